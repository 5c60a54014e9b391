#pragma once
// The limits of the HTTP server. Each has a name in the configuration and stands in docs/configuration.md.

#include <cstddef>
#include <cstdint>

namespace sluice::http {

struct Limits {
  std::size_t body_bytes = 16 << 20;    // of a request, unchunked and unzipped; more is 413
  std::uint32_t header_bytes = 16 << 10;  // request line and headers together; more is 431
  std::size_t headers = 64;             // more is 431
  std::size_t connections = 20'000;     // of all loops together; one more is answered 503
  std::int64_t header_ms = 10'000;      // from the first byte to the end of the headers; then 408
  std::int64_t body_ms = 30'000;        // from the headers to the end of the body; then 408
  std::int64_t idle_ms = 75'000;        // a kept-alive connection without a request is closed
  std::int64_t write_ms = 30'000;       // an answer of which the peer takes nothing for so long; then cut
  std::size_t gzip_from_bytes = 1400;   // answers of this size are compressed when the caller accepts it
};

}  // namespace sluice::http
