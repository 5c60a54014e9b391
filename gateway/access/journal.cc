#include "gateway/access/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace sluice::access {

Journal::File::File(const std::string& name) : fd(name == "-" ? ::dup(STDERR_FILENO) : ::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)) {
  if (fd < 0) throw std::runtime_error("the audit log " + name + " cannot be opened: " + std::strerror(errno) + " (access.audit)");
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
