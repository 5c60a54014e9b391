#include "handlers/id/options.h"

#include <array>
#include <charconv>
#include <span>

#include "rpc/convert.h"
#include "rpc/nearest.h"

namespace sluice::id {
namespace {

std::string quoted(const std::string& text) { return describe(Value(text)).substr(7); }

}  // namespace

Options read_options(const std::string& method, const Value::Struct& given, unsigned known) {
  constexpr std::array<std::string_view, 2> kNames{"as", "space"};
  constexpr std::array<std::pair<std::string_view, As>, 6> kAll{{{"text", As::text}, {"list", As::text}, {"int", As::integer}, {"range", As::range}, {"ulid", As::ulid}, {"uuid", As::text}}};
  Options options;
  for (const auto& [name, value] : given) {
    if (value.is_nil()) continue;  // Python's None: as if it were not there
    if (name == "space" && (known & kSpace)) {
      const auto* text = value.get_if<std::string>();
      if (!text) throw Fault(Fault::Kind::bad_arguments, method + "() option 'space' must be string, not " + describe(value));
      options.space = *text;
    } else if (name == "as" && (known & kAs)) {
      const auto* text = value.get_if<std::string>();
      bool found = false;
      for (const auto& [word, as] : kAll)
        if (text && *text == word) found = true, options.as = as;
      if (!found) throw Fault(Fault::Kind::bad_arguments, method + "() option 'as' must be \"text\", \"int\", \"list\" or \"range\" (of ids), \"uuid\" or \"ulid\" (of id.uuid), not " + describe(value));
    } else {
      const auto close = nearest(name, std::span(kNames).subspan(known & kAs ? 0 : 1, (known & kAs ? 1 : 0) + (known & kSpace ? 1 : 0)));
      throw Fault(Fault::Kind::bad_arguments, method + "() has no option " + quoted(name) +
                                                  (close.empty() ? std::string("; it takes ") + (known & kAs ? "as" : "") + (known == (kAs | kSpace) ? " and " : "") + (known & kSpace ? "space" : "")
                                                                 : "; did you mean '" + std::string(close) + "'?"));
    }
  }
  return options;
}

std::int64_t read_id(const std::string& method, const Value& given) {
  std::int64_t id = -1;
  if (const auto* text = given.get_if<std::string>()) {
    const char* const end = text->data() + text->size();
    if (text->empty() || std::from_chars(text->data(), end, id).ptr != end) id = -1;
  } else if (!Wire<std::int64_t>::take(Value(given), id)) {
    id = -1;
  }
  if (id < 0) throw Fault(Fault::Kind::bad_arguments, method + "() takes an id: a decimal string or an int from 0 to 2^63 - 1, not " + describe(given));
  return id;
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
