#pragma once
// Journal: the audit log: a JSON object a line, appended to a file by a thread of its own, so that no call waits for a disk.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rpc/function.h"

namespace sluice::access {

class Journal {
 public:
  // Throws std::runtime_error when the file cannot be opened. "-" is standard error.
  explicit Journal(std::string name);
  ~Journal();  // writes what is left
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Throws as the constructor would; opens nothing for good, and makes nothing.
  static void check(const std::string& name);

  void add(std::string line);  // from any thread; without its newline
  // The file was moved away: opens it anew, throws like the constructor; what is answered writes to it from then on. From any thread.
  UniqueFunction<void()> prepare_reopening();

 private:
  static constexpr std::size_t kWaiting = 100'000;  // lines; what comes while so many wait is counted, and the count written
  struct File {  // open while it lives
    explicit File(const std::string& name);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    const int fd;
  };
  void work();
  void write(const std::string&);

  const std::string name_;
  std::unique_ptr<File> file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> waiting_;
  std::size_t lost_ = 0;
  std::unique_ptr<File> fresh_;  // takes the place of file_
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::access
