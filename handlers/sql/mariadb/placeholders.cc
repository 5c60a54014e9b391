#include "handlers/sql/mariadb/placeholders.h"

#include <algorithm>
#include <charconv>

#include "rpc/fault.h"

namespace sluice::sql::mariadb {
namespace {

bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool name_part(char c) { return name_start(c) || digit(c) || c == '$'; }
bool space_or_control(char c) { return static_cast<unsigned char>(c) <= ' '; }

// Where what starts at `at` ends, when it is a string, a quoted name or a comment; else `at`. What an executable comment holds is code.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
  const char c = text[at];
  const std::size_t size = text.size();
  auto is = [&](std::size_t i, char wanted) { return i < size && text[i] == wanted; };
  const bool dashes = c == '-' && is(at + 1, '-') && (at + 2 >= size || space_or_control(text[at + 2]));
  if (c == '#' || dashes) return std::min(text.find('\n', at), size);
  if (c == '/' && is(at + 1, '*') && !is(at + 2, '!') && !(is(at + 2, 'M') && is(at + 3, '!'))) {
    const auto end = text.find("*/", at + 2);
    return end == text.npos ? size : end + 2;
  }
  if (c != '\'' && c != '"' && c != '`') return at;
  for (std::size_t i = at + 1; i < size; ++i) {
    if (text[i] == '\\' && c != '`') {
      ++i;
    } else if (text[i] == c) {
      if (!is(i + 1, c)) return i + 1;
      ++i;
    }
  }
  return size;
}

}  // namespace

Marked mark_placeholders(std::string_view text, bool named) {
  Marked out;
  out.text.reserve(text.size());
  std::size_t copied = 0, marks = 0;
  auto replace = [&](std::size_t from, std::size_t to, std::size_t parameter) {
    out.text.append(text, copied, from - copied).append("?");
    out.order.push_back(parameter);
    out.parameters = std::max(out.parameters, parameter + 1);
    copied = to;
    return to;
  };
  for (std::size_t i = 0; i < text.size();) {
    if (const auto end = skip_quoted(text, i); end > i) {
      i = end;
      continue;
    }
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    const bool begins = i == 0 || !name_part(text[i - 1]);
    if (text[i] == '?') {
      out.numbered = true;
      i = replace(i, i + 1, marks++);
    } else if (text[i] == '$' && digit(next) && begins) {
      std::size_t number = 0;
      const auto* end = std::from_chars(text.data() + i + 1, text.data() + text.size(), number).ptr;
      const auto to = static_cast<std::size_t>(end - text.data());
      out.numbered = true;
      i = number > 0 && number <= 65'535 ? replace(i, to, number - 1) : to;
    } else if (named && text[i] == ':' && name_start(next) && begins) {
      std::size_t end = i + 1;
      while (end < text.size() && name_part(text[end])) ++end;
      std::string name(text.substr(i + 1, end - i - 1));
      const auto known = static_cast<std::size_t>(std::ranges::find(out.names, name) - out.names.begin());
      if (known == out.names.size()) out.names.push_back(std::move(name));
      i = replace(i, end, known);
    } else {
      ++i;
    }
  }
  out.text.append(text, copied);
  return out;
}

std::vector<const Value*> in_order(const Marked& statement, const Value& params) {
  std::vector<const Value*> out;
  if (params.get_if<Value::Struct>()) {
    if (statement.numbered)
      throw Fault(Fault::Kind::bad_arguments, "'params' is a struct, but the statement has a ? or $1 in it; pass an array, or write :name for each");
    for (const std::size_t at : statement.order) {
      const Value* value = params.find(statement.names[at]);
      if (!value) throw Fault(Fault::Kind::bad_arguments, "the statement has the parameter :" + statement.names[at] + ", but 'params' has no member of that name");
      out.push_back(value);
    }
    return out;
  }
  const auto* array = params.get_if<Value::Array>();
  if (!array && !params.is_nil()) throw Fault(Fault::Kind::bad_arguments, "'params' must be an array for ? and $1, or a struct for :name, not " + describe(params));
  const std::size_t given = array ? array->size() : 0;
  if (const auto names = given > 0 && statement.parameters == 0 ? mark_placeholders(statement.text, true).names : std::vector<std::string>(); !names.empty())
    throw Fault(Fault::Kind::bad_arguments, "the statement has :" + names.front() + " in it; pass 'params' as a struct, or write ? or $1");
  if (given != statement.parameters)
    throw Fault(Fault::Kind::bad_arguments, "the statement has " + std::to_string(statement.parameters) + " parameters, but " + std::to_string(given) + " were given");
  for (const std::size_t at : statement.order) out.push_back(&(*array)[at]);
  return out;
}

}  // namespace sluice::sql::mariadb
