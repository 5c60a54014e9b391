#pragma once
// Scalars: the texts of XML-RPC's simple types, both ways. Readers answer false for what the type does not allow.

#include <cstdint>
#include <string>
#include <string_view>

#include "rpc/value.h"

namespace sluice::xmlrpc {

// White space around a number, as Python's reader allows it, is let pass.
bool read_integer(std::string_view text, std::int64_t& out);
bool read_double(std::string_view text, double& out);  // also exponents, inf and nan, which Python sends
bool read_base64(std::string_view text, std::string& out);  // line breaks are let pass, padding is not optional

// YYYYMMDDTHH:MM:SS, with or without dashes, a fraction of a second, Z or an offset; without a zone it is UTC.
bool read_datetime(std::string_view text, DateTime& out);

void write_double(double, std::string& out);      // shortest text that reads back as the same double
void write_base64(std::string_view octets, std::string& out);
// YYYYMMDDTHH:MM:SS in UTC, the one form that every client reads; false, and nothing written, outside of the years 1 to 9999.
bool write_datetime(DateTime, std::string& out);

}  // namespace sluice::xmlrpc
