#pragma once
// Journal: the audit log: a JSON object a line, appended to a file by a thread of its own, so that no call waits for a disk.

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice::access {

class Journal {
 public:
  // Throws std::runtime_error when the file cannot be opened. "-" is standard error.
  explicit Journal(std::string file);
  ~Journal();  // writes what is left
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(std::string line);  // from any thread; without its newline
  void reopen();               // from any thread: the file was moved away

 private:
  static constexpr std::size_t kWaiting = 100'000;  // lines; what comes while so many wait is counted, and the count written
  void work();
  void write(const std::string&);
  int open() const;

  const std::string file_;
  int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> waiting_;
  std::size_t lost_ = 0;
  bool reopen_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::access
