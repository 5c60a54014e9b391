#pragma once
// Node: one server of a Cluster: its connections, a look at it ten times a second, and what that told. On the cluster's loop.

#include <functional>
#include <list>
#include <string>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/cluster/health.h"
#include "rpc/fair_queue.h"
#include "rpc/loop.h"
#include "rpc/workers.h"

namespace sluice::sql::cluster {

struct NodeLimits {
  std::size_t read_links = 8;     // shared by reads
  std::size_t write_links = 16;   // shared by writes that commit by themselves
  std::size_t leases = 32;        // transactions and cursors at once
  std::size_t waiting = 10'000;   // calls that wait for a connection
  std::chrono::milliseconds connect{3000};
  std::chrono::milliseconds probe_every{100};
  std::chrono::milliseconds stalled{20};  // a connection without an answer for so long gets no more reads while others have room
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
  std::size_t load() const noexcept { return in_flight_ + waiting_[static_cast<std::size_t>(Link::Use::read)].size(); }
  std::uint64_t calls(Link::Use use) const noexcept { return calls_[static_cast<std::size_t>(use)]; }
  std::string trouble() const { return trouble_; }  // why it is not reachable

  // Sends on a connection for that use; waits for one when it must, in turn with other parties. `trip.done` is told in any case; a trip that never went out fails as
  // `starting` (nothing has run).
  void send(Link::Use, Trip);

  // A connection for one holder. Give it back with give(): clean, or it is closed. A node that goes down first answers with a Failure.
  class Lease;
  using Leased = UniqueFunction<void(std::variant<std::shared_ptr<Lease>, Failure>)>;
  void lease(std::uint64_t party, Leased);

  // Closes connections, those for reads alone or all: what was under way ends as lost, what waited was not sent.
  void cut(const std::string& why, bool reads_alone);

  // Closes the shared connections on which nothing came back for so long: whoever waited there has gone, and a server that is told so
  // stops what it does.
  void cut_stuck(std::chrono::milliseconds limit);

  void look_soon();  // probes now, when nothing is under way

 private:
  struct Held;  // a Link and what is known of it
  using Links = std::list<std::unique_ptr<Held>>;

  void resolve(UniqueFunction<void()> then);
  void dial(Link::Use);
  void opened(Held&, std::optional<Failure>);
  void drop(Held&);
  Held* pick(Link::Use, bool& dial_more);
  Held* reach(Link::Use);
  void pump(Link::Use);
  void dispatch(Held&, Link::Use, Trip);
  void probe();
  void hangs();
  void probe_answered(std::variant<Report, Failure>);
  void down(const std::string& why);
  void send_back(Link::Use, const std::string& why);
  void send_reads_elsewhere(const std::string& why);
  Links& links(Link::Use use) { return links_[static_cast<std::size_t>(use)]; }

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
  std::array<FairQueue<Trip>, 4> waiting_;
  FairQueue<Leased> lease_waiting_;
  std::array<std::uint64_t, 4> calls_{};
  std::size_t in_flight_ = 0;
  bool probing_ = false;
  Clock::time_point probe_sent_{};
  Timer next_probe_, probe_late_, unconnected_;
  std::chrono::milliseconds redial_{50};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Destroying it gives the connection back as not clean.
class Node::Lease {
 public:
  Lease(Node& node, Held& held, std::weak_ptr<bool> node_alive) : node_(node), held_(&held), node_alive_(std::move(node_alive)) {}
  ~Lease() { give(false); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Node& node() const noexcept { return node_; }
  // nullptr: the connection is gone.
  Link* link() noexcept;
  void give(bool clean);

 private:
  friend class Node;
  Node& node_;
  Held* held_;
  std::weak_ptr<bool> node_alive_;
};

}  // namespace sluice::sql::cluster
