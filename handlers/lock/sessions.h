#pragma once
// Sessions: leases that are renewed for a caller as long as he shows that he lives. Silent for the session's ttl, he gets no
// more renewals, and what he holds runs out; back within another ttl, he goes on with what is left. On one loop.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "handlers/lock/options.h"
#include "rpc/loop.h"

namespace sluice::lock {

class Sessions {
 public:
  // What a session lost, and why: "expired", "taken" by another owner, "forced: ..." or "unavailable: ..." of the store.
  struct Loss {
    std::string db, name;
    Token token = 0;
    std::string reason;
    Value::Struct value() const;
  };

  // Is told of losses. While one listens, the session lives.
  class Listener {
   public:
    virtual void on_lost(const Loss&) = 0;
    virtual void on_end(const char* why) = 0;  // "closed", "expired"; the last call
   protected:
    ~Listener() = default;
  };

  using Renew = std::function<void(const std::string& db, Lease, milliseconds ttl, UniqueFunction<void(Change)>)>;

  Sessions(Loop& home, const Limits& limits, Renew renew);  // `limits` outlives it
  ~Sessions();

  // All but the first throw Fault (not_found) for a session that is over or never was.
  std::string open(milliseconds ttl);  // throws overloaded
  milliseconds touch(const std::string& id);  // he lives; answers the session's ttl
  void attach(const std::string& id, const std::string& db, const Lease&, milliseconds ttl, BootClock::time_point until);  // throws overloaded
  void listen(const std::string& id, Listener&);  // what was lost before is told at once
  std::vector<std::pair<std::string, Lease>> close(const std::string& id);  // answers what is to be released, with its db

  bool exists(const std::string& id) const { return sessions_.contains(id); }
  void deaf(const std::string& id, Listener&);  // no longer listens: from now on silence counts
  void detach(const std::string& db, const Lease&);  // given back by whoever holds it; nothing when no session does
  void renewed(const std::string& db, const Lease&, milliseconds ttl, BootClock::time_point until);
  void forced(const std::string& db, const Lease&, const std::string& why);
  Value::Array lost(const std::string& id) const;  // all since he last held them; empty for an unknown session
  std::size_t leases(const std::string& id) const;

 private:
  struct Session;
  using Key = std::pair<std::string, std::string>;  // db, name
  using Holding = std::pair<Key, Token>;

  Session& get(const std::string& id);
  Session* find(const std::string& id) const;
  static bool lives(const Session&);
  void arm(const std::string& id, const Key&, milliseconds after);
  void due(const std::string& id, const Key&);
  void lose(const std::string& id, const Key&, std::string reason);
  void watch_end(const std::string& id);

  Loop& home_;
  const Limits& limits_;
  Renew renew_;
  std::unordered_map<std::string, std::unique_ptr<Session>> sessions_;
  std::map<Holding, std::string> holders_;  // of each attached lease: its session
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

std::string random_name();  // 32 hex digits of the system's randomness

}  // namespace sluice::lock
