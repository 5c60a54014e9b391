#include "handlers/sql/classify/placeholders.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "rpc/fault.h"

namespace sluice::sql {
namespace {

bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool name_part(char c) { return name_start(c) || digit(c) || c == '$'; }

// Where what starts at `at` ends, when it is a string, a quoted name or a comment; else `at`.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
  const char c = text[at];
  const std::size_t size = text.size();
  auto next = [&](std::size_t i) { return i + 1 < size ? text[i + 1] : '\0'; };
  if (c == '-' && next(at) == '-') return std::min(text.find('\n', at), size);
  if (c == '/' && next(at) == '*') {
    std::size_t depth = 0, i = at;
    while (i < size) {
      if (text[i] == '/' && next(i) == '*') {
        ++depth;
        i += 2;
      } else if (text[i] == '*' && next(i) == '/') {
        i += 2;
        if (--depth == 0) return i;
      } else {
        ++i;
      }
    }
    return size;
  }
  if (c == '\'' || c == '"') {
    // E'...' alone has backslash escapes (standard_conforming_strings is on).
    const bool escapes = c == '\'' && at > 0 && (text[at - 1] == 'e' || text[at - 1] == 'E') && (at < 2 || !name_part(text[at - 2]));
    std::size_t i = at + 1;
    while (i < size) {
      if (escapes && text[i] == '\\') {
        i += 2;
      } else if (text[i] == c) {
        if (next(i) != c) return i + 1;
        i += 2;
      } else {
        ++i;
      }
    }
    return size;
  }
  if (c == '$' && (at == 0 || !name_part(text[at - 1]))) {
    std::size_t i = at + 1;
    if (i < size && digit(text[i])) return at;
    while (i < size && name_part(text[i]) && text[i] != '$') ++i;
    if (i < size && text[i] == '$') {
      const std::string_view tag = text.substr(at, i + 1 - at);
      const auto end = text.find(tag, i + 1);
      return end == text.npos ? size : end + tag.size();
    }
  }
  return at;
}

constexpr std::string_view kTelling = "-/'\"$?:";  // all others mean nothing to us

constexpr std::array<bool, 256> kTells = [] {
  std::array<bool, 256> table{};
  for (const char c : kTelling) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

// Calls `plain(i)` for each of the telling characters outside of quotes; it answers where to go on.
template <class F>
void outside_quotes(std::string_view text, F plain) {
  for (std::size_t i = 0; i < text.size();) {
    if (!kTells[static_cast<unsigned char>(text[i])]) {
      ++i;
      continue;
    }
    const std::size_t end = skip_quoted(text, i);
    i = end > i ? end : plain(i);
  }
}

std::size_t highest_number(std::string_view text) {
  std::size_t highest = 0;
  outside_quotes(text, [&](std::size_t i) {
    if (text[i] != '$' || i + 1 >= text.size() || !digit(text[i + 1]) || (i > 0 && name_part(text[i - 1]))) return i + 1;
    std::size_t number = 0;
    const auto* end = std::from_chars(text.data() + i + 1, text.data() + text.size(), number).ptr;
    highest = std::max(highest, number);
    return static_cast<std::size_t>(end - text.data());
  });
  return highest;
}

}  // namespace

Numbered number_placeholders(std::string_view text, bool named) {
  Numbered out;
  out.parameters = highest_number(text);
  out.numbered = out.parameters > 0;
  const bool marks = !named && out.parameters == 0;
  if (!named && (!marks || text.find('?') == text.npos)) {
    out.text = text;
    return out;
  }
  out.text.reserve(text.size() + 16);
  std::size_t copied = 0;
  auto replace = [&](std::size_t from, std::size_t to, const std::string& by) {
    out.text.append(text, copied, from - copied).append(by);
    copied = to;
    return to;
  };
  outside_quotes(text, [&](std::size_t i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (marks && text[i] == '?') {
      if (next == '?') return replace(i, i + 2, "?");
      return replace(i, i + 1, "$" + std::to_string(++out.parameters));
    }
    out.marked |= text[i] == '?';
    if (text[i] == ':' && next == ':') return i + 2;
    if (named && text[i] == ':' && name_start(next)) {
      std::size_t end = i + 1;
      while (end < text.size() && name_part(text[end])) ++end;
      const std::string name(text.substr(i + 1, end - i - 1));
      auto known = std::ranges::find(out.names, name);
      const auto number = static_cast<std::size_t>(known - out.names.begin()) + 1;
      if (known == out.names.end()) out.names.push_back(name);
      out.parameters = out.names.size();
      return replace(i, end, "$" + std::to_string(number));
    }
    return i + 1;
  });
  out.text.append(text, copied);
  return out;
}

std::vector<const Value*> in_order(const Numbered& statement, const Value& params) {
  std::vector<const Value*> out;
  if (params.get_if<Value::Struct>()) {
    if (statement.numbered || statement.parameters > statement.names.size() || (statement.marked && statement.names.empty())) throw Fault(Fault::Kind::bad_arguments, "'params' is a struct, but the statement has ? or $1 in it; pass an array, or write :name for each");
    for (const std::string& name : statement.names) {
      const Value* value = params.find(name);
      if (!value) throw Fault(Fault::Kind::bad_arguments, "the statement has the parameter :" + name + ", but 'params' has no member of that name");
      out.push_back(value);
    }
    return out;
  }
  if (auto* array = params.get_if<Value::Array>())
    for (const Value& value : *array) out.push_back(&value);
  else if (!params.is_nil())
    throw Fault(Fault::Kind::bad_arguments, "'params' must be an array for ? and $1, or a struct for :name, not " + describe(params));
  if (out.size() == statement.parameters) return out;
  std::string why = "the statement has " + std::to_string(statement.parameters) + " parameters, but " + std::to_string(out.size()) + " were given";
  if (statement.parameters > out.size() && !statement.numbered) why += "; an operator of PostgreSQL with a ? in it is written with ??";
  if (const auto names = number_placeholders(statement.text, true).names; statement.parameters == 0 && !names.empty()) why = "the statement has :" + names.front() + " in it; pass 'params' as a struct, or write ? or $1";
  throw Fault(Fault::Kind::bad_arguments, why);
}

}  // namespace sluice::sql
