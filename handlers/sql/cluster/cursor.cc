// Cluster: reads whose rows are taken in parts, on a connection of their own.

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

// Lives on the caller's loop; what it holds of the cluster is touched on the home loop alone.
class CursorSource final : public Source {
 public:
  CursorSource(Cluster& cluster, Statement statement, Options options, Loop& loop, std::shared_ptr<Head> head)
      : cluster_(cluster), loop_(loop), head_(std::move(head)), held_(std::make_shared<Held>(cluster.home_, cluster.settings_.statement)) {
    held_->statement = std::move(statement);
    held_->options = std::move(options);
  }
  ~CursorSource() override {
    // The lease goes where it lives; a cursor that was not read to its end takes its connection with it, in the middle of a fetch too.
    cluster_.on_home([held = std::move(held_)] {
      held->over = true;
      held->late.reset();
      held->lease.reset();
    });
  }

  void pull(std::size_t most, Receiver receive) override {
    auto answer = [this, alive = std::weak_ptr(alive_), &loop = loop_, receiver = std::make_shared<Receiver>(std::move(receive))](Batch batch, Head head) {
      auto shared = std::make_shared<std::pair<Batch, Head>>(std::move(batch), std::move(head));
      auto tell = [this, alive, receiver, shared] {
        if (alive.expired()) return;
        if (head_ && head_->columns.empty()) *head_ = std::move(shared->second);
        (*receiver)(std::move(shared->first));
      };
      if (Loop::current() == &loop)
        tell();
      else
        loop.post(tell);
    };
    cluster_.on_home([&cluster = cluster_, held = held_, most, answer] {
      held->busy = true;
      if (held->lease) return fetch(held, most, answer, {});
      Work work((Reply()));
      work.statements.push_back(held->statement);
      work.options = held->options;
      auto job = std::make_shared<Cluster::Job>(std::move(work));
      job->opened = [held, most, answer](std::variant<std::shared_ptr<Node::Lease>, Fault> opened, Head head) {
        if (auto* fault = std::get_if<Fault>(&opened)) {
          held->busy = false;
          return answer({{}, true, std::move(*fault)}, {});
        }
        held->lease = std::move(std::get<std::shared_ptr<Node::Lease>>(opened));
        fetch(held, most, answer, std::move(head));
      };
      cluster.admit(job);
    });
  }

 private:
  struct Held {
    Held(Loop& home, std::chrono::milliseconds limit) : home(home), limit(limit) {}
    Loop& home;
    const std::chrono::milliseconds limit;
    Statement statement;
    Options options;
    std::shared_ptr<Node::Lease> lease;
    bool busy = false;
    bool over = false;  // the source is gone
    std::unique_ptr<Timer> late;  // for each part of the rows
  };

  template <class Answer>
  static void fetch(const std::shared_ptr<Held>& held, std::size_t most, Answer answer, Head head) {
    Link* link = held->lease->link();
    if (!link || held->over) {
      held->busy = false;
      held->lease.reset();
      return answer({{}, true, Fault(Fault::Kind::unavailable, "the connection of this cursor was lost; open it again")}, {});
    }
    // A server that hangs must not hold a reader for ever.
    held->late = std::make_unique<Timer>(held->home);
    held->late->start(held->limit, [lease = held->lease] { lease->stop("the next rows of the cursor did not come in time"); });
    link->fetch(most, [held, answer, head = std::move(head)](std::variant<Link::Chunk, Failure> fetched) mutable {
      held->busy = false;
      held->late.reset();
      if (held->over) return held->lease.reset();
      if (auto* failure = std::get_if<Failure>(&fetched)) {
        held->lease.reset();
        return answer({{}, true, failure->writes && held->options.read_only ? only_reads(failure->fault.message()) : std::move(failure->fault)}, {});
      }
      auto& chunk = std::get<Link::Chunk>(fetched);
      if (chunk.end) {
        if (Link* link = held->lease->link())
          link->close_cursor([lease = held->lease](bool clean) { lease->give(clean); });
        held->lease.reset();
      }
      answer({std::move(chunk.rows), chunk.end, std::nullopt}, std::move(head));
    });
  }

  Cluster& cluster_;
  Loop& loop_;
  std::shared_ptr<Head> head_;
  std::shared_ptr<Held> held_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

std::unique_ptr<Source> Cluster::open(Statement statement, Options options, Loop& loop, std::shared_ptr<Head> head) {
  return std::make_unique<CursorSource>(*this, std::move(statement), std::move(options), loop, std::move(head));
}

void Cluster::send_cursor(const JobPtr& job, Node& node, bool check) {
  ++counters_.cursors;
  node.lease(job->party(), job->deadline, [this, job, &node, check](std::variant<std::shared_ptr<Node::Lease>, Failure> leased) {
    if (job->answered) return give_back(leased);
    if (auto* failure = std::get_if<Failure>(&leased)) return read_answered(job, node, false, std::move(*failure));
    job->lease = std::move(std::get<std::shared_ptr<Node::Lease>>(leased));
    if (!check) return open_cursor(job, node);
    Trip trip;
    trip.kind = Trip::Kind::read;
    trip.position = true;
    trip.done = [this, job, &node](Trip::Arrived arrived) {
      if (job->answered) return;
      if (auto* at = std::get_if<Trip::Answer>(&arrived); at && reached(at->at, *job->wanted)) {
        node.saw(at->at, home_.now());
        return open_cursor(job, node);
      }
      if (auto lease = std::move(job->lease)) lease->give(true);
      read_answered(job, node, true, std::move(arrived));
    };
    job->lease->link()->send(std::move(trip));
  });
}

void Cluster::open_cursor(const JobPtr& job, Node& node) {
  Link* link = job->lease->link();
  if (!link) return read_answered(job, node, false, Failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection ended"), false});
  link->open_cursor(job->work.statements[0], [this, job, &node](std::variant<std::vector<std::string>, Failure> opened) {
    if (job->answered) return;
    if (auto* failure = std::get_if<Failure>(&opened)) {
      job->lease.reset();
      return read_answered(job, node, false, std::move(*failure));
    }
    leave(job);
    Head head{std::move(std::get<std::vector<std::string>>(opened)), route_of(*job, node)};
    job->opened(std::move(job->lease), std::move(head));
  });
}

}  // namespace sluice::sql::cluster
