#include "gateway/access/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace sluice::access {
namespace {

std::runtime_error cannot_be_opened(const std::string& name, int error) {
  return std::runtime_error("the audit log " + name + " cannot be opened: " + std::strerror(error) + " (access.audit)");
}

}  // namespace

Journal::File::File(const std::string& name) : fd(name == "-" ? ::dup(STDERR_FILENO) : ::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)) {
  if (fd < 0) throw cannot_be_opened(name, errno);
}

void Journal::check(const std::string& name) {
  if (name == "-") return;
  const auto slash = name.rfind('/');
  const std::string folder = slash == name.npos ? "." : name.substr(0, slash + 1);
  std::error_code unknown;
  if (std::filesystem::is_directory(name, unknown)) throw cannot_be_opened(name, EISDIR);
  if (::access(name.c_str(), W_OK) == 0) return;
  if (errno != ENOENT || ::access(folder.c_str(), W_OK | X_OK) != 0) throw cannot_be_opened(name, errno);
}

Journal::File::~File() { ::close(fd); }

Journal::Journal(std::string name) : name_(std::move(name)), file_(std::make_unique<File>(name_)) {
  thread_ = std::thread([this] { work(); });
}

Journal::~Journal() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Journal::add(std::string line) {
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() >= kWaiting) {
      ++lost_;
      return;
    }
    waiting_.push_back(std::move(line));
    if (waiting_.size() > 1) return;  // it was told already
  }
  changed_.notify_one();
}

UniqueFunction<void()> Journal::prepare_reopening() {
  return [this, file = std::make_unique<File>(name_)]() mutable {
    {
      std::lock_guard lock(mutex_);
      fresh_ = std::move(file);
    }
    changed_.notify_one();
  };
}

void Journal::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || fresh_ || !waiting_.empty(); });
    auto lines = std::exchange(waiting_, {});
    const std::size_t lost = std::exchange(lost_, 0);
    auto fresh = std::exchange(fresh_, nullptr);
    const bool stopping = stopping_;
    lock.unlock();
    std::string text;
    for (const std::string& line : lines) text.append(line).append("\n");
    if (lost) text += "{\"lost_lines\":" + std::to_string(lost) + "}\n";
    write(text);
    if (fresh) file_ = std::move(fresh);
    lock.lock();
    if (stopping && waiting_.empty()) return;
  }
}

// A full disk must not end the gateway, nor hold up its calls: these lines are lost.
void Journal::write(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(file_->fd, text.data() + done, text.size() - done);
    if (n > 0)
      done += static_cast<std::size_t>(n);
    else if (errno != EINTR)
      return;
  }
}

}  // namespace sluice::access
