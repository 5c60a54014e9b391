#include "handlers/id/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace sluice::id {

std::string identity_of(const std::string& file) {
  struct statx status {};
  if (file.empty() || file.find(":memory:") != file.npos || ::statx(AT_FDCWD, file.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0)
    return "";
  return std::to_string(status.stx_ino) + "." + std::to_string(status.stx_btime.tv_sec) + "." + std::to_string(status.stx_btime.tv_nsec);
}

Fault copied(const std::string& file, const std::string& original, const std::string& own) {
  return Fault(Fault::Kind::conflict, "the file '" + file + "' is a copy of one that keeps worker ids (made as " + original + ", this is " +
                                          own +
                                          "): two gateways would give the same ids. Use the original; or, when no gateway will ever use "
                                          "that again, set id.accept_copy = true once");
}

}  // namespace sluice::id
