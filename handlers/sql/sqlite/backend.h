#pragma once
// The embedded database: one writer, some readers, one file. Its "replicas" are the read-only handles: always fresh, and what
// keeps a slow report from holding up a write.

#include <atomic>

#include "handlers/sql/sqlite/readers.h"
#include "handlers/sql/sqlite/writer.h"

namespace sluice::sql::sqlite {

struct Settings {
  std::string file = "./sluice.db";
  std::string secret{};               // seals tokens; empty: one that ends with the process
  std::size_t readers = 2;            // threads
  std::size_t reads_waiting = 10'000;
  std::size_t cursors = 64;           // open ones, streams included: each holds a connection
  Writer::Limits writer;
};

class Sqlite final : public Backend {
 public:
  explicit Sqlite(Settings);  // throws Fault when the file cannot be opened
  ~Sqlite() override;

  std::string_view dialect() const override { return "sqlite"; }
  void run(Work) override;
  void begin(Work) override;
  void commit(Work) override;
  void rollback(Work) override;
  std::unique_ptr<Source> open(Statement, Options, Loop&, std::shared_ptr<Head> head) override;
  void explain(std::string statement, Reply, ExplainDone) override;
  void set_split(Split split) noexcept override { split_.store(split, std::memory_order_relaxed); }
  Split split() const noexcept override { return split_.load(std::memory_order_relaxed); }
  void status(UniqueFunction<void(Value::Struct)> done) override;

 private:
  bool may_leave_the_primary(const Options&) noexcept;
  void read(Connection&, Work, Clock::time_point arrived);
  std::optional<Fault> token_problem(const std::string& token) const;

  const Settings settings_;
  std::atomic<Split> split_{Split{}};
  std::atomic<std::uint64_t> turn_{0}, reads_{0}, forwarded_{0};
  std::shared_ptr<std::atomic<std::int64_t>> cursors_ = std::make_shared<std::atomic<std::int64_t>>(0);
  Writer writer_;    // first: it creates the file
  Readers readers_;
};

}  // namespace sluice::sql::sqlite
