// Bodies that say they are zipped: whatever they hold, no more comes out than was allowed, and what is taken whole is zipped and
// unzipped again unchanged. The first byte says how much is allowed.

#include <cstdint>
#include <cstdlib>

#include "transports/net/gzip.h"

using namespace sluice::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t most = data[0] * std::size_t{1024};
  std::string out;
  const Inflated inflated = inflate(bytes, most, out);
  if (out.size() > most || out.capacity() > 2 * most + 4096) std::abort();
  if (inflated == Inflated::whole) {
    std::string again;
    if (inflate(gzip(out), most, again) != Inflated::whole || again != out) std::abort();
    // One byte less than it needs is too little.
    again.clear();
    if (!out.empty() && inflate(bytes, out.size() - 1, again) != Inflated::too_large) std::abort();
  }
  return 0;
}
