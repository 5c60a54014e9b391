#include "transports/xmlrpc/encoding.h"

#include <iconv.h>

#include <array>
#include <cerrno>

#include "rpc/fault.h"
#include "transports/xmlrpc/characters.h"

namespace sluice::xmlrpc {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}

// The encoding that the XML declaration names, "" without one. Only looked at, not checked: the reader does that.
std::string_view declared(std::string_view document) {
  if (!document.starts_with("<?xml")) return {};
  const std::string_view declaration = document.substr(0, document.find("?>"));
  auto at = declaration.find("encoding");
  if (at == declaration.npos) return {};
  at = declaration.find_first_of("'\"", at);
  if (at == declaration.npos) return {};
  const auto end = declaration.find(declaration[at], at + 1);
  return end == declaration.npos ? std::string_view() : declaration.substr(at + 1, end - at - 1);
}

std::string converted(std::string_view document, const char* encoding) {
  iconv_t converter = ::iconv_open("UTF-8", encoding);
  if (converter == reinterpret_cast<iconv_t>(-1)) throw Fault(Fault::Kind::unsupported_encoding, std::string("this machine cannot convert from ") + encoding);
  std::string out(document.size() * 3 + 4, '\0');  // no character of these encodings takes more than 3 bytes for each of its own
  char* from = const_cast<char*>(document.data());
  char* to = out.data();
  std::size_t from_left = document.size(), to_left = out.size();
  const std::size_t result = ::iconv(converter, &from, &from_left, &to, &to_left);
  ::iconv_close(converter);
  if (result == static_cast<std::size_t>(-1))
    throw Fault(Fault::Kind::invalid_character, "byte " + std::to_string(document.size() - from_left) + " of the document is no " + encoding);
  out.resize(out.size() - to_left);
  return out;
}

std::string_view checked(std::string_view document) {
  if (auto at = find_invalid(document); at != std::string_view::npos) {
    const auto byte = static_cast<unsigned char>(document[at]);
    constexpr char kHex[] = "0123456789ABCDEF";
    throw Fault(Fault::Kind::invalid_character,
                "byte " + std::to_string(at) + " of the document (0x" + kHex[byte >> 4] + kHex[byte & 15] + ") " +
                    (byte < 0x20 ? "is a control character, which XML cannot hold; send such text as base64" : "is no character of UTF-8 that XML can hold"));
  }
  return document;
}

}  // namespace

std::string_view to_utf8(std::string_view document, std::string& storage) {
  if (document.starts_with("\xFE\xFF") || document.starts_with("\xFF\xFE")) {
    storage = converted(document, "UTF-16");
    return checked(storage);
  }
  if (document.starts_with("\xEF\xBB\xBF")) document.remove_prefix(3);
  const std::string_view name = declared(document);
  if (name.empty() || name == "UTF-8" || name == "utf-8") return checked(document);
  const std::string wanted = upper(name);
  if (wanted == "UTF-8" || wanted == "US-ASCII" || wanted == "ASCII") return checked(document);
  constexpr std::array kConverted{"ISO-8859-1", "LATIN1", "ISO-8859-15", "WINDOWS-1252", "CP1252"};
  for (const char* encoding : kConverted)
    if (wanted == encoding) {
      storage = converted(document, encoding);
      return checked(storage);
    }
  throw Fault(Fault::Kind::unsupported_encoding, "the document says it is encoded in '" + wanted.substr(0, 40) +
                                                     "'; UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15, windows-1252, and UTF-16 with a byte order mark are read");
}

}  // namespace sluice::xmlrpc
