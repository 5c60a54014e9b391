// The HTTP request parser: a request is read the same whether it comes whole or in pieces. The first byte says where it is cut.

#include <cstdlib>

#include "transports/net/request_parser.h"

using namespace sluice::http;

namespace {

struct Seen {
  int status;
  bool done;
  std::string method, target, body;
  bool operator==(const Seen&) const = default;
};

Seen fed(std::string_view bytes, std::size_t step) {
  static const Limits limits{.body_bytes = 1 << 16, .header_bytes = 4096, .headers = 16};
  RequestParser parser(limits);
  std::string pending, body;
  for (std::size_t at = 0; at < bytes.size() && !parser.done() && !parser.refused().status; at += step) {
    pending += bytes.substr(at, step);
    const std::size_t used = parser.feed(pending);
    if (parser.done()) body = parser.body();  // it may point into what was fed
    pending.erase(0, used);
  }
  return {parser.refused().status, parser.done(), std::string(parser.method()), std::string(parser.target()), std::move(body)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Seen whole = fed(bytes, bytes.size());
  const Seen pieces = fed(bytes, 1 + data[0] % 64);
  // A limit may be noticed earlier in one way than in the other; what is served must be the same.
  if (whole.done && pieces.done && !(whole == pieces)) std::abort();
  if (whole.done && whole.body.size() > 1 << 16) std::abort();
  return 0;
}
