#include "handlers/id/local/kept_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>
#include <utility>

#include "handlers/id/local/checksum.h"

namespace sluice::id {
namespace {

// The file has two places. A write goes to the older one, so that one that is cut off leaves the newer one as it was.
constexpr std::size_t kPlace = 65'536;

Fault failed(const std::string& file, const char* what) {
  return Fault(Fault::Kind::unavailable, "the file '" + file + "' that keeps the marks of this gateway's ids cannot be " + what + ": " + std::strerror(errno));
}

std::string sealed(const std::string& format, const std::string& text) {
  return format + " " + std::to_string(checksum(text)) + " " + std::to_string(text.size()) + "\n" + text;
}

std::optional<std::string> unsealed(const std::string& format, std::string_view place) {
  const auto line = place.find('\n');
  if (!place.starts_with(format) || line == place.npos) return std::nullopt;
  std::istringstream in{std::string(place.substr(format.size(), line - format.size()))};
  std::uint64_t sum = 0;
  std::size_t size = 0;
  if (!(in >> sum >> size) || size > place.size() - line - 1) return std::nullopt;
  std::string text(place.substr(line + 1, size));
  if (checksum(text) != sum) return std::nullopt;
  return text;
}

}  // namespace

KeptFile::Descriptor::~Descriptor() {
  if (fd >= 0) ::close(fd);
}

KeptFile::KeptFile(Loop& home, std::string file, std::string format)
    : home_(home), file_(std::move(file)), format_(std::move(format)), open_(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (open_.fd < 0) throw failed(file_, "opened");
  if (::flock(open_.fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw failed(file_, "locked");
    throw InUse(Fault::Kind::conflict, "the file '" + file_ + "' is used by another gateway, whose marks are in it; give each gateway an id.file of its own, and a worker id if it is "
                                           "the configuration that gives it (id.backend)");
  }
  Newest found = newest(open_.fd, file_, format_);
  if (found.any && !found.good)
    throw Fault(Fault::Kind::conflict, "the file '" + file_ + "' is damaged, or not one that keeps the marks of ids. Restore it; or, if all ids that this gateway "
                                           "gave are older than this machine's clock, remove it");
  written_ = found.written;
  found_ = std::move(found.text);
  // A file is there after a crash only when its folder says so.
  const auto path = std::filesystem::absolute(file_).parent_path();
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd < 0) throw failed(path.string(), "opened");
  if (::fsync(folder.fd) != 0) throw failed(path.string(), "synced");
}

std::string KeptFile::text_of(const std::string& file, const std::string& format) {
  const Descriptor open(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  return open.fd < 0 ? "" : newest(open.fd, file, format).text;
}

KeptFile::Newest KeptFile::newest(int fd, const std::string& file, const std::string& format) {
  std::string place(kPlace, '\0');
  Newest newest;
  for (const off_t at : {off_t{0}, static_cast<off_t>(kPlace)}) {
    const ssize_t got = ::pread(fd, place.data(), kPlace, at);
    if (got < 0) throw failed(file, "read");
    newest.any = newest.any || got > 0;
    const auto text = unsealed(format, std::string_view(place).substr(0, static_cast<std::size_t>(got)));
    if (!text) continue;
    newest.good = true;
    std::int64_t written = 0;
    const char* const end = std::from_chars(text->data(), text->data() + text->size(), written).ptr;
    if (written <= newest.written) continue;
    newest.written = written;
    newest.text.assign(end, text->data() + text->size());
  }
  return newest;
}

void KeptFile::keep(UniqueFunction<std::string()> content, Written done) {
  waiting_.push_back(std::move(done));
  if (writing_)
    content_ = std::move(content);
  else
    write_next(std::move(content));
}

void KeptFile::write_next(UniqueFunction<std::string()> content) {
  writing_ = true;
  ++written_;
  std::string text = sealed(format_, std::to_string(written_) + content());
  writer_.run([this, text = std::move(text), at = static_cast<off_t>(written_ % 2) * static_cast<off_t>(kPlace), fd = open_.fd,
               alive = std::weak_ptr<bool>(alive_), done = std::exchange(waiting_, {})]() mutable {
    std::optional<Fault> fault;
    if (text.size() > kPlace)
      fault.emplace(Fault::Kind::too_large, "the spaces of id.spaces need " + std::to_string(text.size()) + " bytes in the file '" + file_ + "', which has " +
                                                std::to_string(kPlace) + "; have fewer, with shorter names");
    else if (::pwrite(fd, text.data(), text.size(), at) != static_cast<ssize_t>(text.size()))
      fault = failed(file_, "written");
    else if (::fdatasync(fd) != 0)
      fault = failed(file_, "synced");
    home_.post([this, alive, fault = std::move(fault), done = std::move(done)]() mutable {
      if (alive.expired()) return;
      writing_ = false;
      if (!waiting_.empty()) write_next(std::exchange(content_, {}));
      for (Written& each : done) each(fault ? &*fault : nullptr);
    });
  });
}

}  // namespace sluice::id
