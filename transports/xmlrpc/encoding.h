#pragma once
// Encoding: an XML document in whatever encoding it declares becomes UTF-8.

#include <string>
#include <string_view>

namespace sluice::xmlrpc {

// The document as valid UTF-8 without a byte order mark: `document` itself, or a copy in `storage`. UTF-8 and ASCII are
// taken as they are; ISO-8859-1, ISO-8859-15, windows-1252 and UTF-16 are converted. Throws Fault: unsupported_encoding, or
// invalid_character when the bytes are not what the encoding allows or not what XML can hold.
std::string_view to_utf8(std::string_view document, std::string& storage);

}  // namespace sluice::xmlrpc
