#pragma once
// The zerorpc transport: one ROUTER on one loop, its callers and their open channels.
// docs/wire-zerorpc.md has the protocol as we speak it.

#include <atomic>
#include <memory>
#include <unordered_map>

#include "rpc/authenticator.h"
#include "rpc/transport.h"
#include "transports/zerorpc/channel.h"

namespace sluice::zerorpc {

struct Options {
  std::vector<std::string> endpoints{"tcp://127.0.0.1:4243"};  // tcp (port 0 or *: a free one) and ipc
  std::string name = "sluice";                                 // what _zerorpc_name says
  int heartbeat_ms = 5000;                // must be that of the clients; 0: none, and no caller is ever lost by silence
  int call_ms = 60'000;                   // the most a call may take, streams excepted; 0: no limit
  std::size_t open_calls = 10'000;        // that wait or stream, of all callers; more are shed
  std::size_t caller_open_calls = 2'000;  // of one caller
  std::size_t answer_bytes = 16 * 1024 * 1024;
  Authenticator* authenticator = nullptr;  // outlives the transport; nullptr: nobody is asked who he is
  EventLimits event;
  RouterOptions router;
  Outbox::Limits outbox;
};

class Transport final : public sluice::Transport, Loop::Watcher, Loop::TurnEnd, Channel::Host {
 public:
  // What happened since the start; read from any thread.
  struct Counters {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> garbage{0};   // messages that are no events; those with a header are answered
    std::atomic<std::uint64_t> unrouted{0};  // events for a channel that is not open: late windows, as a rule
    std::atomic<std::uint64_t> shed{0};      // calls refused for a limit of ours
    std::atomic<std::uint64_t> lost{0};      // callers lost by silence, by their connection, or by not reading
    std::atomic<std::int64_t> open{0};       // channels now
  };

  // Both outlive the transport.
  Transport(Loop&, const Dispatcher&, Options);
  ~Transport() override;

  std::string_view name() const override { return "zerorpc"; }
  void start() override;
  std::vector<std::string> endpoints() const override { return bound_; }
  void drain(UniqueFunction<void()> done) override;

  const Counters& counters() const noexcept { return counters_; }

 private:
  // The open channels of one caller by message_id. An id may come twice: both calls run.
  using Caller = std::unordered_multimap<std::string, std::shared_ptr<Channel>>;

  void on_ready(std::uint32_t events) override;
  void on_turn_end() override;

  Outbox& outbox() override { return outbox_; }
  MessageIds& ids() override { return ids_; }
  std::size_t answer_bytes() const override { return options_.answer_bytes; }
  void wrote() override;
  void closed(Channel&) override;
  void lost_caller() override { count(counters_.lost); }

  void receive();
  void receive_soon();
  void take(const Incoming&);
  void call(const Incoming&);
  std::optional<Fault> identify(Channel&, std::string_view key) const;
  void run(Channel&, Value&& name, Value&& args);
  void keep(std::shared_ptr<Channel>);
  void deliver(const Incoming&);
  std::vector<std::shared_ptr<Channel>> channels_of(const std::string& identity) const;
  void retry_slow();
  void drop_lost();
  void finish_drain();

  template <class T>
  static void count(std::atomic<T>& counter, T by = 1) {  // one writer: no locked instruction
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  Loop& loop_;
  const Dispatcher& dispatcher_;
  const Options options_;
  Router router_;
  Outbox outbox_;
  EventReader reader_;
  MessageIds ids_;
  Event event_;  // the one being served; keeps its memory
  Call call_;

  std::vector<std::string> bound_;
  bool watching_ = false, turn_end_asked_ = false, receive_posted_ = false;
  // A call that is answered at once needs no channel of its own: it borrows this one.
  std::shared_ptr<Channel> spare_;
  std::unordered_map<std::string, Caller> callers_;  // by identity; only those with open channels
  std::vector<std::string> lost_;                    // to be dropped when no channel is on the stack
  Timer retry_;
  UniqueFunction<void()> drained_;
  bool draining_ = false;
  Counters counters_;
};

}  // namespace sluice::zerorpc
