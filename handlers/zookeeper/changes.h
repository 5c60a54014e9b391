#pragma once
// Changes: nodes are read, a function decides what they become, and that is written if none of them has changed meanwhile; else
// all begins anew. So is every change of locks and ids in ZooKeeper made: atomic, and judged by the leader's clock.
//
// Everything is called on the loop, and answers there, once, within the limit of time. It may be called back at once.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "handlers/zookeeper/server_clock.h"
#include "handlers/zookeeper/session.h"
#include "rpc/fault.h"

namespace sluice::zookeeper {

struct Node {
  bool exists = false;
  std::string data;
  std::int32_t version = 0;
  std::int64_t zxid = 0, mtime_ms = 0;  // of its last change
};

class Changes {
 public:
  struct View {
    const std::vector<Node>& nodes;  // in the order of the paths
    BootClock::time_point now;       // ours; what is granted counts from here
    std::int64_t earliest_ms;        // the leader's clock shows no less ...
    std::int64_t latest_ms;          // ... and no more
    bool in_doubt;                   // an earlier write of this may have happened, and the answer was lost
  };
  // What a node becomes; nullopt: it goes.
  struct Put {
    std::size_t node;
    std::optional<std::string> data;
  };
  // How new what was read must be when nothing is written by it (a write is refused if anything has changed since). `current` holds all
  // that was acknowledged before run() was called, and costs a write of its own.
  enum class Age : std::uint8_t { current, any };
  // Called for each attempt; an empty answer ends it without a write. What has begun to happen is to be known by the nodes.
  using Decide = UniqueFunction<std::vector<Put>(const View&)>;
  struct Done {
    std::optional<Fault> fault;  // unavailable: nothing happened; outcome_unknown
    std::int64_t zxid = 0;       // of the write; 0: there was none. The same for all nodes
  };

  Changes(Loop& loop, Session& session, std::string root, std::chrono::milliseconds limit);
  ~Changes();

  // Paths are below the root; folders come into being by themselves. Those that share a node run one after another.
  void run(std::vector<std::string> paths, Decide, UniqueFunction<void(Done)>, Age = Age::current);
  void children(const std::string& path, UniqueFunction<void(std::variant<std::vector<std::string>, Fault>)>);  // current; of no node: none
  std::string full(const std::string& path) const { return root_ + "/" + path; }

 private:
  struct Run;
  using Handle = std::shared_ptr<Run>;

  void start_if_first(const Handle&);
  void attempt(const Handle&);
  void again(const Handle&, std::chrono::milliseconds pause);
  void read(const Handle&);
  void decide(const Handle&);
  void write(const Handle&, std::vector<Change>);
  void set_clock(const Handle&);
  void touch(Answered);
  void make_folders(const Handle&, const std::vector<std::string>& full_paths);
  void finish(const Handle&, Done);
  void learn(BootClock::time_point sent, const Answer&);
  Fault away(const Answer&) const;

  Loop& loop_;
  Session& session_;
  const std::string root_;
  const std::chrono::milliseconds limit_;
  ServerClock clock_;
  BootClock::time_point touched_{};                  // when the clock was last asked for
  std::int64_t reign_ = 0;                           // the leader's, the upper half of a zxid
  std::map<std::string, std::deque<Handle>> lines_;  // by path: who runs, and who waits for him
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::zookeeper
