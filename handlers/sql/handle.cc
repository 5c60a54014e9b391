#include "handlers/sql/handle.h"

#include <sys/random.h>

#include "rpc/fault.h"

namespace sluice::sql {

std::string new_handle() {
  unsigned char raw[16];
  if (::getrandom(raw, sizeof raw, 0) != sizeof raw) throw Fault(Fault::Kind::internal, "getrandom failed");
  std::string out;
  for (unsigned char c : raw) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

}  // namespace sluice::sql
