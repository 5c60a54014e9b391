#pragma once
// Cursor: a read whose rows are taken in parts, on a connection of its own, which holds its snapshot from the first row on.

#include <mutex>

#include "handlers/sql/sqlite/readers.h"

namespace sluice::sql::sqlite {

// Opens when it is first pulled from. Pulls run on the readers' threads.
class Cursor {
 public:
  // `open_ones` counts the cursors that hold a connection; more than `most` are refused.
  Cursor(std::string file, Statement, std::shared_ptr<std::atomic<std::int64_t>> open_ones, std::int64_t most);
  ~Cursor();

  Source::Batch next(std::size_t most);  // one thread at a time
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }  // from any thread
  const std::vector<std::string>& columns() const noexcept { return columns_; }
  const Verdict& verdict() const noexcept { return verdict_; }

 private:
  void open();

  std::string file_;
  Statement statement_;
  std::shared_ptr<std::atomic<std::int64_t>> open_ones_;
  std::int64_t most_;
  bool counted_ = false, ended_ = false;
  std::unique_ptr<Connection> connection_;
  std::optional<Connection::Prepared> prepared_;
  std::vector<std::string> columns_;
  Verdict verdict_;
  std::atomic<bool> stopped_{false};
};

}  // namespace sluice::sql::sqlite
