#include "handlers/sql/errand.h"

namespace sluice::sql {

void Errand::run(Backend& backend, Loop& home, Job job, Done done) {
  auto errand = std::make_shared<Errand>(home, std::move(done));
  Work work{Reply(errand)};
  work.statements = std::move(job.statements);
  work.options = std::move(job.options);
  work.options.own = true;
  work.expects_write = job.writes;
  // On the backend's thread: the outcome is laid down before the answer is posted, so that one hop brings both.
  work.done = [to = errand.get()](Outcome outcome, Reply reply) {
    to->outcome_ = std::move(outcome);
    reply(Value());
  };
  backend.run(std::move(work));
}

void Errand::respond(std::uint64_t, sluice::Outcome&&) { done_(std::move(outcome_)); }

}  // namespace sluice::sql
