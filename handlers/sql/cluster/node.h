#pragma once
// Node: one server of a Cluster: its connections, a look at it ten times a second, and what that told. On the cluster's loop.

#include <functional>
#include <string>
#include <vector>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/cluster/health.h"
#include "handlers/sql/cluster/pipeline.h"
#include "rpc/fair_queue.h"
#include "rpc/loop.h"
#include "rpc/shedder.h"
#include "rpc/workers.h"

namespace sluice::sql::cluster {

struct NodeLimits {
  std::size_t read_links = 8;     // shared by reads
  std::size_t write_links = 16;   // shared by writes that commit by themselves
  std::size_t leases = 32;        // transactions and cursors at once
  std::size_t waiting = 10'000;   // calls that wait for a connection: reads, writes, and those that want one for themselves
  std::chrono::milliseconds queue_target{5};  // of their wait: rpc/shedder.h
  std::chrono::milliseconds connect{3000};
  std::chrono::milliseconds probe_every{100};
  PipelineLimits pipeline;
  std::chrono::milliseconds overdue{250};  // a statement whose time is up for so long is stopped, and its connection with it
  std::chrono::milliseconds redial{500};   // after a connection that failed beside others, of its kind
  Health::Limits health;
};

class Node {
 public:
  // What a node tells the cluster; all on the loop.
  struct Events {
    std::function<void(Node&)> looked;           // a probe was answered: report() is fresh
    std::function<void(Node&)> gone;             // unreachable, or hangs
    std::function<double(const Node&)> others_ms;  // what the other nodes' reads take
  };
  Node(std::string name, std::string host, std::string port, Engine&, Loop&, Workers&, const NodeLimits&, Events);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void start();

  const std::string& name() const noexcept { return address_.name; }
  const Report& report() const noexcept { return report_; }
  const Position& at() const noexcept { return at_; }  // the furthest position that it is known to have
  void saw(const Position&, Clock::time_point now);
  Clock::time_point seen_at() const noexcept { return seen_at_; }  // when at() was last confirmed or raised
  Clock::time_point asked_at() const noexcept { return asked_at_; }  // when the question was sent that report() answers
  bool known() const noexcept { return looked_; }  // report() means something
  Health& health() noexcept { return health_; }
  const Health& health() const noexcept { return health_; }
  std::size_t in_flight() const noexcept { return in_flight_; }
  std::size_t load() const noexcept { return in_flight_ + lines_[static_cast<std::size_t>(Link::Use::read)].size(); }
  std::size_t waiting() const noexcept { return lines_[0].size() + lines_[1].size() + lease_line_.size(); }  // for a connection
  std::uint64_t calls(Link::Use use) const noexcept { return calls_[static_cast<std::size_t>(use)]; }
  std::string trouble() const { return trouble_; }  // why it is not reachable

  // Sends on a shared connection, for reads or for writes; waits for one when it must, in turn with other parties. `trip.done` is told in
  // any case; a trip that never went out fails as `starting`, or as `shed` (nothing has run).
  void send(Link::Use, Trip);

  // A connection for one holder. Give it back with give(): clean, or it is closed. A node that goes down first answers with a Failure,
  // and one where too many wait.
  class Lease;
  using Leased = UniqueFunction<void(std::variant<std::shared_ptr<Lease>, Failure>)>;
  void lease(std::uint64_t party, Deadline, Leased);

  // Closes connections, those for reads alone or all: what was under way ends as lost, what waited was not sent.
  void cut(const std::string& why, bool reads_alone);

  // To be called now and then. Statements whose time is up are stopped, and those of shared connections on which nothing came back for so
  // long. Those who wait are sent where there is room by now, or told that their time is up.
  void sweep(std::chrono::milliseconds longest);

  void look_soon();  // probes now, when nothing is under way

 private:
  struct Held;  // a Link and what is known of it
  using Links = std::vector<std::unique_ptr<Held>>;

  // Those who wait for a connection of one kind.
  template <class T>
  struct Line {
    struct Entry {
      T what;
      Deadline deadline;
      Clock::time_point since;
    };
    FairQueue<Entry> queue;
    Shedder shedder;
    std::string_view who, bound;  // for messages: what they are, and the key that says how many connections there are for them
    Clock::time_point dial_after{};  // the server would take no more a moment ago

    Line(std::string_view what, std::string_view key, std::size_t links, const NodeLimits& limits) : shedder({limits.waiting, limits.queue_target}, links), who(what), bound(key) {}
    bool empty() const noexcept { return queue.empty(); }
    std::size_t size() const noexcept { return queue.size(); }
    // nullopt: it may wait.
    std::optional<Failure> arrive(std::uint64_t party, Deadline, Clock::time_point now, const std::string& node);
    void push(std::uint64_t party, T what, Deadline deadline, Clock::time_point now) { queue.push(party, {std::move(what), deadline, now}); }
    T start(Clock::time_point now) {
      Entry entry = queue.pop();
      shedder.start(now - entry.since, now);
      return std::move(entry.what);
    }
  };

  void resolve(UniqueFunction<void()> then);
  void dial(Link::Use);
  void opened(Held&, std::optional<Failure>);
  void drop(Held&);
  void kill(const Held&);
  void stop(Held&, const std::string& why);
  Held* reach(Link::Use);
  void pump(Link::Use);
  template <class T>
  void tell_late(Line<T>&);
  void dispatch(Held&, Link::Use, Trip);
  void probe();
  void hangs();
  void probe_answered(std::variant<Report, Failure>);
  void down(const std::string& why);
  void send_back(Link::Use, const std::string& why);
  void send_reads_elsewhere(const std::string& why);
  Links& links(Link::Use use) { return links_[static_cast<std::size_t>(use)]; }
  Line<Trip>& line(Link::Use use) { return lines_[static_cast<std::size_t>(use)]; }

  Address address_;
  Engine& engine_;
  Loop& loop_;
  Workers& workers_;
  const NodeLimits& limits_;
  Events events_;
  Health health_;
  Report report_;
  Position at_;
  Clock::time_point seen_at_{}, asked_at_{};
  bool looked_ = false;
  std::string trouble_ = "not connected yet";

  std::array<Links, 4> links_;
  std::vector<Lane> lanes_;          // of reach(), kept for its memory
  std::array<Line<Trip>, 2> lines_;  // for reads, for writes
  Line<Leased> lease_line_;
  std::array<std::uint64_t, 4> calls_{};
  std::size_t in_flight_ = 0, reads_in_flight_ = 0;
  bool probing_ = false;
  Clock::time_point probe_sent_{};
  Clock::duration way_{};  // there and back: the quickest probe since it came up
  Timer next_probe_, probe_late_, unconnected_;
  std::chrono::milliseconds redial_{50};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Destroying it gives the connection back as not clean.
class Node::Lease {
 public:
  Lease(Node& node, Held& held, std::weak_ptr<bool> node_alive, Clock::time_point since) : node_(node), held_(&held), node_alive_(std::move(node_alive)), since_(since) {}
  ~Lease() { give(false); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Node& node() const noexcept { return node_; }
  // nullptr: the connection is gone.
  Link* link() noexcept;
  void give(bool clean);
  // Ends what runs on it, as lost, and the connection.
  void stop(const std::string& why);

 private:
  friend class Node;
  Node& node_;
  Held* held_;
  std::weak_ptr<bool> node_alive_;
  Clock::time_point since_;
};

}  // namespace sluice::sql::cluster
