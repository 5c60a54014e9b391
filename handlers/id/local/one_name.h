#pragma once
// OneName: holds the name by which an SQLite file is used. SQLite keeps what is new in files beside that name (-wal, -shm), so that two
// gateways which use one file under two names do not see what the other wrote, and give the same ids.

#include <string>

namespace sluice::id {

// Throws Fault (conflict) when the file is there and has other names: hard links.
void refuse_other_names(const std::string& file);

class OneName {
 public:
  // Makes the file when it is not there. To be made before SQLite opens the file, and to be kept until it has closed it: closing any
  // descriptor of a file ends all of SQLite's locks on it. Throws Fault: conflict when the file has other names, or is used under
  // another one now; unavailable when it cannot be locked.
  explicit OneName(const std::string& file);
  ~OneName();
  OneName(const OneName&) = delete;
  OneName& operator=(const OneName&) = delete;

 private:
  const int fd_;
};

}  // namespace sluice::id
