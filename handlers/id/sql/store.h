#pragma once
// SqlStore: worker ids, tags and sequences as rows of a database, behind the sql handler's own backends.

#include <memory>
#include <set>
#include <vector>

#include "handlers/id/local/high_mark.h"
#include "handlers/id/sql/statements.h"
#include "handlers/id/store.h"
#include "handlers/sql/errand.h"

namespace sluice::id {

class SqlStore final : public Store {
 public:
  struct Options {
    std::int64_t limit_ms = 2000;  // of an operation
    std::string file;              // of an embedded database: a copy of it is refused, and an older one, by what -marks behind its name remembers; "" for a server
    bool accept_copy = false;      // the copy becomes the original
  };

  // `backend` outlives the store. Throws Fault: bad_arguments for a dialect that it does not speak, and as HighMark does.
  SqlStore(sql::Backend& backend, Loop& home, Options);

  std::string_view backend() const override { return backend_.dialect(); }
  void claim(Claim, UniqueFunction<void(Claimed)>) override;
  void extend(Extend, UniqueFunction<void(Extended)>) override;
  void release(Extend, UniqueFunction<void(Extended)>) override;
  void create(Tag, UniqueFunction<void(Creation)>) override;
  void reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)>) override;
  void sequence(std::string tag, UniqueFunction<void(Number)>) override;

 private:
  using Done = sql::Errand::Done;
  struct Waiting {
    std::vector<sql::Statement> statements;
    Done done;
  };

  void run(const std::vector<std::string>& texts, const Value::Struct& all, Done);
  void run(std::vector<sql::Statement>, Done);
  void send(std::vector<sql::Statement>, Done);
  void set_up();
  void set_up_done(const sql::Outcome&);
  void ready(const Fault* fault);
  void keep(const std::vector<std::string>& texts, const Extend&, UniqueFunction<void(Extended)>);
  template <class Outcome>
  void remember(const Value::Array& row, std::size_t changes_at, std::int64_t mark_ms, Outcome, UniqueFunction<void(Outcome)> done);
  void next_of(std::string name, UniqueFunction<void(Number)>);

  static constexpr std::size_t kSequencesKnown = 1000;

  sql::Backend& backend_;
  Loop& home_;
  const Options options_;
  const Statements statements_;
  std::unique_ptr<HighMark> top_;  // of a file
  bool ready_ = false, setting_up_ = false;
  std::vector<Waiting> waiting_;       // for the tables to be there
  std::set<std::string> sequences_;    // that were made already
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // errands may outlive the store
};

}  // namespace sluice::id
