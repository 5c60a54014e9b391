#include "handlers/id/local/one_name.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "handlers/id/local/checksum.h"
#include "rpc/fault.h"

namespace sluice::id {
namespace {

// Far beyond the bytes that SQLite locks (from 2^30 on) and those of any file: one for each name.
constexpr off_t kNames = off_t{1} << 61;

Fault failed(const std::string& file, const char* what) {
  return Fault(Fault::Kind::unavailable, "the file '" + file + "' that keeps worker ids cannot be " + what + ": " + std::strerror(errno));
}

// A name is a place in a folder, and not a path: containers see one folder at different paths, and the files beside the name with it.
off_t number_of(const std::string& file) {
  const auto path = std::filesystem::canonical(file);
  struct stat folder {};
  if (::stat(path.parent_path().c_str(), &folder) != 0) throw failed(file, "looked up");
  const std::string name = std::to_string(folder.st_dev) + "/" + std::to_string(folder.st_ino) + "/" + path.filename().string();
  return static_cast<off_t>(checksum(name) % static_cast<std::uint64_t>(kNames));
}

struct flock lock_of(short type, off_t first, off_t count) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = kNames + first;
  lock.l_len = count;
  return lock;
}

// Does anybody hold one of these names?
bool held(int fd, const std::string& file, off_t first, off_t count) {
  if (count == 0) return false;
  struct flock lock = lock_of(F_WRLCK, first, count);
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0) throw failed(file, "looked at for locks");
  return lock.l_type != F_UNLCK;
}

// Who uses a name shares the lock of it.
void hold(int fd, const std::string& file) {
  const off_t own = number_of(file);
  struct flock lock = lock_of(F_RDLCK, own, 1);
  if (::fcntl(fd, F_OFD_SETLK, &lock) != 0) throw failed(file, "locked");
  if (held(fd, file, 0, own) || held(fd, file, own + 1, kNames - own - 1))
    throw Fault(Fault::Kind::conflict, "the file '" + file + "' is used by a gateway under another name (it was moved, or is mounted alone elsewhere): SQLite keeps what "
                                           "is new beside the name, so both would give the same ids. Let all gateways use the same name in the same folder (id.file)");
}

}  // namespace

void refuse_other_names(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || status.st_nlink < 2) return;
  throw Fault(Fault::Kind::conflict, "the file '" + file + "' has " + std::to_string(status.st_nlink) + " names (hard links): what is kept beside one of them is not beside the others, so "
                                         "gateways would give the same ids. Remove the other names; find FOLDER -xdev -samefile '" + file + "' tells them");
}

OneName::OneName(const std::string& file) : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (fd_ < 0) throw failed(file, "opened");
  try {
    refuse_other_names(file);
    hold(fd_, file);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

OneName::~OneName() { ::close(fd_); }

}  // namespace sluice::id
