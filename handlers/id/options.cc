#include "handlers/id/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "rpc/convert.h"
#include "rpc/nearest.h"

namespace sluice::id {
namespace {

std::string quoted(const std::string& text) { return describe(Value(text)).substr(7); }

As read_as(const std::string& method, const Value& given, Words words) {
  constexpr std::pair<std::string_view, As> kAll[] = {{"text", As::text}, {"list", As::text}, {"int", As::integer}, {"range", As::range}, {"uuid", As::text}, {"ulid", As::ulid}};
  if (const auto* text = given.get_if<std::string>(); text && std::ranges::find(words, *text) != words.end())
    return std::ranges::find(kAll, *text, &std::pair<std::string_view, As>::first)->second;
  std::string all;
  for (const auto* word = words.begin(); word != words.end(); ++word)
    all += (word == words.begin() ? "\"" : word + 1 == words.end() ? " or \"" : ", \"") + std::string(*word) + "\"";
  throw Fault(Fault::Kind::bad_arguments, method + "() option 'as' must be " + all + ", not " + describe(given));
}

}  // namespace

Options read_options(const std::string& method, const Value::Struct& given, bool space, Words as) {
  constexpr std::array<std::string_view, 2> kNames{"as", "space"};
  const bool has_as = as.size() > 0;
  Options options;
  for (const auto& [name, value] : given) {
    if (value.is_nil()) continue;  // Python's None: as if it were not there
    if (name == "space" && space) {
      const auto* text = value.get_if<std::string>();
      if (!text) throw Fault(Fault::Kind::bad_arguments, method + "() option 'space' must be string, not " + describe(value));
      options.space = *text;
    } else if (name == "as" && has_as) {
      options.as = read_as(method, value, as);
    } else {
      const auto close = nearest(name, std::span(kNames).subspan(has_as ? 0 : 1, (has_as ? 1 : 0) + (space ? 1 : 0)));
      throw Fault(Fault::Kind::bad_arguments, method + "() has no option " + quoted(name) +
                                                  (close.empty() ? std::string("; it takes ") + (has_as ? "as" : "") + (has_as && space ? " and " : "") + (space ? "space" : "")
                                                                 : "; did you mean '" + std::string(close) + "'?"));
    }
  }
  return options;
}

std::optional<std::int64_t> maybe_id(const Value& given) {
  std::int64_t id = -1;
  if (const auto* text = given.get_if<std::string>()) {
    const char* const end = text->data() + text->size();
    if (text->empty() || std::from_chars(text->data(), end, id).ptr != end) id = -1;
  } else if (!Wire<std::int64_t>::take(Value(given), id)) {
    id = -1;
  }
  return id < 0 ? std::nullopt : std::optional(id);
}

std::int64_t read_id(const std::string& method, const Value& given, std::string_view option) {
  if (const auto id = maybe_id(given)) return *id;
  throw Fault(Fault::Kind::bad_arguments, method + (option.empty() ? "() takes an id:" : "() option '" + std::string(option) + "' must be") +
                                              " a decimal string or an int from 0 to 2^63 - 1, not " + describe(given));
}

void check_tag(const std::string& method, const std::string& tag) {
  bool good = !tag.empty() && tag.size() <= 40;
  for (const char c : tag) good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
  if (!good) throw Fault(Fault::Kind::bad_arguments, method + "() takes a tag of 1 to 40 lower case letters, digits and underscores, not " + quoted(tag));
}

Value decimal(std::int64_t number) {
  char text[20];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return Value(std::string(text, end));
}

}  // namespace sluice::id
