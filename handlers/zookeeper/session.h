#pragma once
// Session: ZooKeeper's own C client on one of our loops. It finds another server when one dies, and opens a new session when the
// old one has ended; nothing that is asked of it may hang on the session. session.cc alone sees the library's header.
//
// Everything is called on the loop, and answers there, later, once. An answer may take as long as no server is there: callers
// have limits of time of their own.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rpc/function.h"
#include "rpc/loop.h"

struct _zhandle;

namespace sluice::zookeeper {

enum class Code : std::uint8_t {
  ok,
  no_node,
  node_exists,
  bad_version,
  lost,     // the server, or the session: it may have happened or not
  refused,  // by the server, for a reason that Answer::why tells
};

struct Answer {
  Code code = Code::lost;
  std::string why;
  std::string data;                   // of get()
  std::vector<std::string> children;  // of children()
  std::int32_t version = 0;
  std::int64_t zxid = 0;      // of the last change, in the order of all changes
  std::int64_t mtime_ms = 0;  // when that was, by the leader's wall clock
};
using Answered = UniqueFunction<void(Answer)>;

// A change of one node. Those of one write() happen all, or none.
struct Change {
  enum class Kind : std::uint8_t { create, set, remove } kind = Kind::set;
  std::string path, data;
  std::int32_t version = 0;  // that the node must have, for set and remove; -1: any
};

class Session final : private Loop::Watcher, private Loop::TurnEnd {
 public:
  // While it lives, `changed` is called each time the node may have come, gone or changed, and once soon after it began. It may
  // destroy this.
  class Watch {
   public:
    ~Watch();

   private:
    friend class Session;
    Watch(Session& session, std::string path, UniqueFunction<void()> changed);
    Session& session_;
    const std::string path_;
    std::shared_ptr<UniqueFunction<void()>> changed_;
  };

  // `hosts`: HOST:PORT,HOST:PORT. Names are resolved here, and block; throws Fault (unavailable) when that fails.
  Session(Loop& loop, std::string hosts, std::chrono::milliseconds timeout);
  ~Session();

  // What is read is as new as all that was acknowledged before. But the leader acknowledges what it is yet to have: only who reads
  // after an answer to a write of his own, in this session, is sure.
  void get(const std::string& path, Answered);
  void children(const std::string& path, Answered);
  void make(const std::string& path, Answered);  // an empty node
  void write(std::vector<Change>, Answered);     // the answer's zxid and time are those of the whole
  std::unique_ptr<Watch> watch(std::string path, UniqueFunction<void()> changed);

 private:
  struct Call;
  struct Library;  // what the library calls

  void open();
  void reopen();
  int catch_up();
  int begun(int result, Call*);
  void remind_later();
  void pump(int events);
  void look_at(int fd, std::uint32_t events);
  void on_ready(std::uint32_t events) override;
  void on_turn_end() override;
  void flush_later();
  void arm(const std::string& path);
  void arm_all();
  void event(int type, int state, const char* path);
  void poke(const std::string& path);

  Loop& loop_;
  const std::string hosts_;
  const std::chrono::milliseconds timeout_;
  _zhandle* handle_ = nullptr;
  bool inside_ = false;    // of the library: what is asked now is flushed when that returns
  bool flushing_ = false;  // at the end of this turn
  int fd_ = -1;            // that is watched
  std::uint32_t events_ = 0;
  Timer timer_, reminder_;
  std::size_t unanswered_ = 0;  // calls that the library has
  bool answered_ = false;       // any, since the reminder's last look
  std::map<std::string, std::set<Watch*>> watches_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::zookeeper
