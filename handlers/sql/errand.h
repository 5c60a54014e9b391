#pragma once
// Errand: work for a backend that no caller waits for: a lease to renew, a segment of ids to reserve. It has a limit of time
// of its own, and its outcome comes to the loop that it was sent from.

#include "handlers/sql/backend.h"

namespace sluice::sql {

class Errand final : public Responder {
 public:
  using Done = UniqueFunction<void(Outcome)>;

  struct Job {
    std::vector<Statement> statements;  // more than one: one transaction
    Options options;                    // timeout_ms more than 0
    bool writes = true;
  };
  // `done` is called once on `home`, as a rule later; not at all when the gateway ends first.
  static void run(Backend&, Loop& home, Job, Done done);

  Errand(Loop& home, Done done) : Responder(home), done_(std::move(done)) {}

 private:
  void respond(std::uint64_t, sluice::Outcome&&) override;
  Done done_;
  Outcome outcome_{Fault(Fault::Kind::internal, "the database backend gave no answer; this is a bug of the gateway's")};
};

}  // namespace sluice::sql
