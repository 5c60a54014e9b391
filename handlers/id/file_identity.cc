#include "handlers/id/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace sluice::id {

std::string identity_of(const std::string& file) {
  struct statx status {};
  if (file.empty() || ::statx(AT_FDCWD, file.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0)
    return "";
  return std::to_string(status.stx_ino) + "." + std::to_string(status.stx_btime.tv_sec) + "." + std::to_string(status.stx_btime.tv_nsec);
}

Fault copied(const std::string& file, const std::string& original, const std::string& own) {
  return Fault(Fault::Kind::conflict, "the file '" + file + "' is a copy of one that keeps worker ids (made as " + original + ", this is " +
                                          own +
                                          "): two gateways would give the same ids. Use the original; or, when no gateway will ever use "
                                          "that again, set id.accept_copy = true once");
}

Fault older(const std::string& file, std::int64_t changes, std::int64_t remembered) {
  return Fault(Fault::Kind::conflict, "the file '" + file + "' is older than what gateways remember of it (" + std::to_string(changes) + " changes, and " + std::to_string(remembered) +
                                          " in '" + file + "-marks'): an older copy was written over it, it was made anew, or SQLite's files beside it are gone; ids and numbers would repeat. Restore the newest; "
                                          "or set the numbers of tags and sequences above all that were given, and id.accept_copy = true once: "
                                          "ids of the time go on above all that were given");
}

}  // namespace sluice::id
