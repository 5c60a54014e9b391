#include "gateway/config/mask.h"

#include <algorithm>
#include <vector>

namespace sluice::config {
namespace {

struct Span {
  std::size_t begin, end;
};

// The strings of a line, without their quotes; nothing when it has a URL outside of them, or a string that does not end in it or
// may not: then it is broken, or a part of something longer, and where a URL in it ends nobody knows.
std::vector<Span> strings_of(std::string_view line) {
  std::vector<Span> all;
  std::string outside;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char quote = line[i];
    if (quote != '"' && quote != '\'') {
      outside += quote;
      continue;
    }
    if (line.substr(i).starts_with(std::string(3, quote))) return {};
    const std::size_t begin = ++i;
    while (i < line.size() && line[i] != quote) i += quote == '"' && line[i] == '\\' ? 2 : 1;
    if (i >= line.size()) return {};
    all.push_back({begin, i});
  }
  if (outside.find("://") != outside.npos) return {};
  return all;
}

// What is between the first colon and the last @ is hidden, whatever it is: of a URL that is written wrongly rather too much is
// hidden than a password shown.
void hide_in(std::string_view text, const Span& span, std::vector<Span>& hidden) {
  text = text.substr(0, span.end);
  const auto scheme = text.find("://", span.begin);
  if (scheme == text.npos) return;
  const auto begin = scheme + 3;
  auto at = text.substr(0, text.find('?', begin)).rfind('@');
  if (at == text.npos || at < begin) at = text.rfind('@');
  std::size_t from = begin;
  if (const auto colon = text.find(':', begin); at != text.npos && at > colon) {
    hidden.push_back({colon + 1, at});
    from = at;
  }
  for (auto mark = text.find("password=", from); mark != text.npos; mark = text.find("password=", hidden.back().end)) {
    const auto value = mark + 9;
    hidden.push_back({value, std::min(text.find('&', value), text.size())});
  }
}

}  // namespace

Masked mask_passwords(std::string_view text, std::size_t at) {
  std::vector<Span> hidden;
  if (const auto strings = strings_of(text); !strings.empty())
    for (const Span& one : strings) hide_in(text, one, hidden);
  else
    hide_in(text, {0, text.size()}, hidden);

  Masked out{{}, at};
  std::size_t shown = 0;
  for (const Span& span : hidden) {
    out.text.append(text.substr(shown, span.begin - shown));
    // Of what stands behind it, the place moves; of what is in it, only the beginning is left.
    if (at >= span.end)
      out.at = out.text.size() + 3 + (at - span.end);
    else if (at > span.begin)
      out.at = out.text.size();
    out.text += "***";
    shown = span.end;
  }
  out.text.append(text.substr(shown));
  return out;
}

}  // namespace sluice::config
