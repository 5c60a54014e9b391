#include "transports/xmlrpc/scanner.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

namespace sluice::xmlrpc {
namespace {

bool space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

enum NamePart : std::uint8_t { kNone, kInside, kStart };  // XML 1.0, 2.3, with every character beyond ASCII let pass

constexpr std::array<NamePart, 256> kNamePart = [] {
  std::array<NamePart, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c >= 0x80;
    table[c] = letter ? kStart : (c >= '0' && c <= '9') || c == '-' || c == '.' ? kInside : kNone;
  }
  return table;
}();

bool name_start(char c) { return kNamePart[static_cast<unsigned char>(c)] == kStart; }
bool name_character(char c) { return kNamePart[static_cast<unsigned char>(c)] != kNone; }

void append_utf8(std::uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// Takes `name = "value"` from the front of `text`. nullopt: another name stands there, or none; "": no value follows.
std::optional<std::string_view> take_declared(std::string_view& text, std::string_view name) {
  std::string_view rest = text;
  auto skip_space = [&rest] { rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size())); };
  skip_space();
  if (rest.size() == text.size() || !rest.starts_with(name)) return {};
  rest.remove_prefix(name.size());
  skip_space();
  if (!rest.starts_with('=')) return "";
  rest.remove_prefix(1);
  skip_space();
  if (!rest.starts_with('"') && !rest.starts_with('\'')) return "";
  const auto end = rest.find(rest.front(), 1);
  if (end == rest.npos) return "";
  const std::string_view value = rest.substr(1, end - 1);
  text = rest.substr(end + 1);
  return value;
}

// XML 1.0, fourth edition, 2.8, rules 23 to 26 and 32, which take any version, as Python's parser does; `text` is what stands between
// `<?xml` and `?>`. Whether we read the encoding is to_utf8's matter.
bool is_declaration(std::string_view text) {
  const auto version = take_declared(text, "version");
  if (!version || version->empty() || !std::ranges::all_of(*version, name_character)) return false;
  if (const auto encoding = take_declared(text, "encoding"); encoding && encoding->empty()) return false;
  if (const auto standalone = take_declared(text, "standalone"); standalone && *standalone != "yes" && *standalone != "no") return false;
  return std::ranges::all_of(text, space);
}

}  // namespace

void Scanner::fail(Fault::Kind kind, const std::string& what) const {
  const auto line = 1 + std::count(begin_, at_, '\n');
  const char* start = at_;
  while (start > begin_ && start[-1] != '\n') --start;
  throw Fault(kind, "line " + std::to_string(line) + ", column " + std::to_string(at_ - start + 1) + ": " + what);
}

std::string Scanner::near() const {
  if (at_ == end_) return "the document ends";
  std::string_view rest(at_, std::min<std::size_t>(static_cast<std::size_t>(end_ - at_), 30));
  return "here stands " + describe(Value(rest.substr(0, std::max<std::size_t>(rest.find('\n'), 1)))).substr(7);  // without "string "
}

void Scanner::skip_space() {
  while (at_ < end_ && space(*at_)) ++at_;
}

void Scanner::skip_past(std::string_view terminator, std::string_view what) {
  const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  const auto found = rest.find(terminator);
  if (found == rest.npos) fail(Fault::Kind::parse_error, std::string(what) + " that begins here has no end");
  at_ += found + terminator.size();
}

bool Scanner::skip_misc() {
  if (starts("<!--")) {
    at_ += 4;
    skip_past("--", "a comment");
    if (at_ == end_ || *at_ != '>') fail(Fault::Kind::parse_error, "'--' must not stand inside a comment");
    ++at_;
    return true;
  }
  if (starts("<?")) {
    if (starts("<?xml ") || starts("<?xml?")) fail(Fault::Kind::parse_error, "an XML declaration may only stand at the very beginning");
    at_ += 2;
    if (at_ == end_ || !name_start(*at_)) fail(Fault::Kind::parse_error, "a processing instruction needs a name");
    skip_past("?>", "a processing instruction");
    return true;
  }
  if (starts("<!DOCTYPE")) fail(Fault::Kind::parse_error, "a DOCTYPE is not read: XML-RPC has no use for one");
  return false;
}

void Scanner::prolog() {
  if (starts("<?xml") && end_ - at_ > 5 && space(at_[5])) {
    at_ += 5;
    const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
    const auto length = rest.find("?>");
    if (length == rest.npos) fail(Fault::Kind::parse_error, "the XML declaration has no end");
    const std::string_view declaration = rest.substr(0, length);
    if (!is_declaration(declaration))
      fail(Fault::Kind::parse_error, "this is no XML declaration; expected <?xml version=\"1.0\"?> or <?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    at_ += length + 2;
  }
  if (at_ == end_) fail(Fault::Kind::parse_error, "the document is empty; expected a <methodCall>");
}

Scanner::Tag Scanner::tag() {
  for (;;) {
    skip_space();
    if (at_ == end_) fail(Fault::Kind::parse_error, "the document ends before its elements do");
    if (*at_ != '<') {
      if (*at_ == '&') {  // a reference is text too, if it is one
        std::string ignored;
        reference(ignored);
      }
      fail(Fault::Kind::invalid_request, "text where only a tag may stand; " + near());
    }
    if (end_ - at_ > 1 && (at_[1] == '!' || at_[1] == '?')) {
      if (skip_misc()) continue;
      fail(starts("<![CDATA[") ? Fault::Kind::invalid_request : Fault::Kind::parse_error, "text or markup where only a tag may stand; " + near());
    }
    return take_tag();
  }
}

Scanner::Tag Scanner::take_tag() {
  Tag tag;
  ++at_;
  if (at_ < end_ && *at_ == '/') {
    tag.closing = true;
    ++at_;
  }
  const char* start = at_;
  if (at_ == end_ || !name_start(*at_)) fail(Fault::Kind::parse_error, "'<' must begin a tag; " + near());
  while (at_ < end_ && name_character(*at_)) ++at_;
  tag.name = {start, static_cast<std::size_t>(at_ - start)};
  if (at_ < end_ && *at_ == '>') {  // nearly always
    ++at_;
    return tag;
  }
  if (tag.closing)
    skip_space();
  else
    attributes();
  if (at_ < end_ && *at_ == '/' && !tag.closing) {
    tag.empty = true;
    ++at_;
  }
  if (at_ == end_ || *at_ != '>') fail(Fault::Kind::parse_error, "the tag <" + std::string(tag.name.substr(0, 40)) + " is not closed by '>'; " + near());
  ++at_;
  return tag;
}

// XML-RPC has none; namespaces and the like are let pass when they are well-formed.
void Scanner::attributes() {
  std::vector<std::string_view> seen;
  for (;;) {
    const char* before = at_;
    skip_space();
    if (at_ == end_ || *at_ == '>' || *at_ == '/') return;
    const char* start = at_;
    if (at_ == before || !name_start(*at_)) fail(Fault::Kind::parse_error, "expected an attribute or '>'; " + near());
    while (at_ < end_ && name_character(*at_)) ++at_;
    const std::string_view name(start, static_cast<std::size_t>(at_ - start));
    if (seen.size() == 16) fail(Fault::Kind::too_large, "more than 16 attributes");
    if (std::ranges::find(seen, name) != seen.end()) fail(Fault::Kind::parse_error, "the attribute '" + std::string(name.substr(0, 40)) + "' stands twice");
    seen.push_back(name);
    skip_space();
    if (at_ == end_ || *at_ != '=') fail(Fault::Kind::parse_error, "an attribute needs a value; " + near());
    ++at_;
    skip_space();
    if (at_ == end_ || (*at_ != '"' && *at_ != '\'')) fail(Fault::Kind::parse_error, "an attribute's value needs quotes; " + near());
    const char quote = *at_++;
    std::string ignored;
    while (at_ < end_ && *at_ != quote) {
      if (*at_ == '<') fail(Fault::Kind::parse_error, "'<' must not stand in an attribute's value");
      if (*at_ == '&')
        reference(ignored);
      else
        ++at_;
    }
    if (at_ == end_) fail(Fault::Kind::parse_error, "an attribute's value has no end");
    ++at_;
  }
}

void Scanner::open(std::string_view name) {
  skip_space();
  const char* before = at_;
  if (Tag t = tag(); t.name != name || t.closing || t.empty) {
    if (t.name == name && t.empty) fail(Fault::Kind::invalid_request, "<" + std::string(name) + "/> is empty; expected <" + std::string(name) + "> with its content");
    at_ = before;
    fail(Fault::Kind::invalid_request, "expected <" + std::string(name) + ">; " + near());
  }
}

void Scanner::close(std::string_view name) {
  skip_space();
  if (const auto length = static_cast<std::ptrdiff_t>(name.size()); end_ - at_ > length + 2 && at_[0] == '<' && at_[1] == '/' &&
                                                                    at_[length + 2] == '>' && std::memcmp(at_ + 2, name.data(), name.size()) == 0) {
    at_ += length + 3;
    return;
  }
  const char* before = at_;
  Tag t = tag();
  if (t.closing && t.name == name) return;
  at_ = before;
  fail(t.closing ? Fault::Kind::parse_error : Fault::Kind::invalid_request, "expected </" + std::string(name) + ">; " + near());
}

void Scanner::text(std::string& out) {
  for (;;) {
    const char* start = at_;
    while (at_ < end_ && *at_ != '<' && *at_ != '&' && *at_ != '\r' && *at_ != '>') ++at_;
    out.append(start, at_);
    if (at_ == end_) fail(Fault::Kind::parse_error, "the document ends in the middle of a text");
    if (*at_ == '&') {
      reference(out);
    } else if (*at_ == '>') {
      if (at_ - begin_ >= 2 && at_[-1] == ']' && at_[-2] == ']') fail(Fault::Kind::parse_error, "']]>' must not stand in a text");
      out += *at_++;
    } else if (*at_ == '\r') {
      out += '\n';
      at_ += end_ - at_ > 1 && at_[1] == '\n' ? 2 : 1;
    } else if (starts("<![CDATA[")) {
      at_ += 9;
      const char* content = at_;
      skip_past("]]>", "a CDATA section");
      for (const char* c = content; c < at_ - 3; ++c) {
        if (*c != '\r')
          out += *c;
        else if (c[1] != '\n')
          out += '\n';
      }
    } else if (!skip_misc()) {
      if (end_ - at_ > 1 && at_[1] == '!') fail(Fault::Kind::parse_error, "markup that has no place in a text; " + near());
      return;
    }
  }
}

void Scanner::reference(std::string& out) {
  const std::string_view rest(at_, std::min<std::size_t>(static_cast<std::size_t>(end_ - at_), 12));
  const auto semicolon = rest.find(';');
  if (semicolon == rest.npos) fail(Fault::Kind::parse_error, "'&' must begin a reference such as &amp;; " + near());
  const std::string_view name = rest.substr(1, semicolon - 1);
  if (name.starts_with("#")) {
    const bool hex = name.starts_with("#x");
    const std::string_view digits = name.substr(hex ? 2 : 1);
    std::uint32_t code = 0;
    auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
    if (error != std::errc() || stop != digits.data() + digits.size() || digits.empty())
      fail(Fault::Kind::parse_error, "no character reference; " + near());
    if ((code < 0x20 && code != '\t' && code != '\n' && code != '\r') || (code >= 0xD800 && code <= 0xDFFF) || code == 0xFFFE || code == 0xFFFF ||
        code > 0x10FFFF)
      fail(Fault::Kind::invalid_character, "a reference to a character that XML cannot hold; send such text as base64; " + near());
    append_utf8(code, out);
  } else if (name == "lt") {
    out += '<';
  } else if (name == "gt") {
    out += '>';
  } else if (name == "amp") {
    out += '&';
  } else if (name == "quot") {
    out += '"';
  } else if (name == "apos") {
    out += '\'';
  } else {
    fail(Fault::Kind::parse_error, "an entity that XML does not define; only lt, gt, amp, quot and apos are read; " + near());
  }
  at_ += semicolon + 1;
}

void Scanner::end() {
  for (;;) {
    skip_space();
    if (at_ == end_) return;
    if (*at_ != '<' || !skip_misc()) fail(Fault::Kind::parse_error, "nothing may follow the document's element; " + near());
  }
}

}  // namespace sluice::xmlrpc
