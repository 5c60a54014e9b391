#pragma once
// Reply: the one answer that a call gets. Move-only; answers a fault by itself if it is dropped.

#include <atomic>
#include <memory>
#include <variant>

#include "rpc/clock.h"
#include "rpc/fault.h"
#include "rpc/function.h"
#include "rpc/loop.h"
#include "rpc/principal.h"
#include "rpc/source.h"

namespace sluice {

using Outcome = std::variant<Value, std::unique_ptr<Source>, Fault>;

// The caller's side of a Reply, implemented by a transport: a connection, a channel.
class Responder {
 public:
  explicit Responder(Loop& loop) noexcept : loop_(loop) {}
  virtual ~Responder() = default;
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  // Called on loop(), exactly once for each Reply that was made, possibly from within
  // Dispatcher::call(). `ticket` is what the Reply was made with. Must not throw.
  virtual void respond(std::uint64_t ticket, Outcome&&) = 0;

  Loop& loop() const noexcept { return loop_; }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }  // from any thread

  // Who calls; nullptr: nobody was asked. Set before the Reply is made.
  const std::shared_ptr<const Principal>& principal() const noexcept { return principal_; }
  void set_principal(std::shared_ptr<const Principal> principal) noexcept { principal_ = std::move(principal); }

  // When the call is cancelled, whatever has become of it: whoever would run it later need not. Set before the Reply is made.
  Deadline deadline() const noexcept { return deadline_; }
  void set_deadline(Deadline deadline) noexcept { deadline_ = deadline; }

  // Whose call it is, where callers are served in turns: the principal's, or else the connection's, which the transport numbers.
  // 0: the gateway's own.
  std::uint64_t party() const noexcept;
  void set_party(std::uint64_t party) noexcept { party_ = party; }

 protected:
  // On loop(): the caller is gone or out of time. Work that asked to know is told; an answer that
  // still comes is to be dropped by respond(). Only the first call does anything.
  void cancel() noexcept;
  // On loop(): the call is over, whoever waited for its cancelling need not.
  void forget_cancel() noexcept { on_cancel_.reset(); }
  // Does the work lay store by knowing soon? Then a caller who may be gone, or may not, is worth asking.
  bool eager() const noexcept { return eager_ && on_cancel_; }
  // One that stands in front of another Reply passes it on.
  virtual void set_eager(bool eager) noexcept { eager_ = eager; }
  // Ready for another call (a kept-alive connection that takes them in turn).
  void renew() noexcept {
    cancelled_.store(false, std::memory_order_relaxed);
    on_cancel_.reset();
    eager_ = false;
  }

 private:
  friend class Reply;
  Loop& loop_;
  std::atomic<bool> cancelled_{false};
  UniqueFunction<void()> on_cancel_;
  bool eager_ = false;
  std::shared_ptr<const Principal> principal_;
  Deadline deadline_ = kNoDeadline;
  std::uint64_t party_ = 0;
};

class Reply {
 public:
  Reply() noexcept = default;
  Reply(std::shared_ptr<Responder> to, std::uint64_t ticket = 0) noexcept : to_(std::move(to)), ticket_(ticket) {}
  Reply(Reply&&) noexcept = default;
  Reply& operator=(Reply&&) = delete;
  ~Reply();  // unanswered: the caller gets an internal fault

  // Answers, from any thread: off the caller's loop the answer is posted to it. The Reply is spent.
  void operator()(Value value) { send(Outcome(std::move(value))); }
  void operator()(std::unique_ptr<Source> source) { send(Outcome(std::move(source))); }
  void operator()(Fault fault) { send(Outcome(std::move(fault))); }
  void send(Outcome&&);

  explicit operator bool() const noexcept { return to_ != nullptr; }  // not answered yet

  Loop& loop() const noexcept { return to_->loop(); }
  const std::shared_ptr<const Principal>& principal() const noexcept { return to_->principal(); }
  Deadline deadline() const noexcept { return to_->deadline(); }
  std::uint64_t party() const noexcept { return to_->party(); }
  // Is the caller gone, or out of time? From any thread; long work asks now and then.
  bool cancelled() const noexcept { return to_->cancelled(); }
  // Only on loop(): `then` runs there when the caller goes before the answer. At most one. `eager`: what he waits for must not
  // be given to the dead, so the transport does what it can to find out.
  void on_cancel(UniqueFunction<void()> then, bool eager = false);
  void set_eager(bool eager) noexcept { to_->set_eager(eager); }

  // While it lives, the Reply of one call that is dropped by an exception is kept here instead of answering by itself, so
  // that whoever runs the method can answer with what was thrown. Nests; belongs to one thread.
  class Rescue {
   public:
    explicit Rescue(const Reply& of) noexcept;
    ~Rescue();
    Rescue(const Rescue&) = delete;
    Rescue& operator=(const Rescue&) = delete;
    Reply* reply() noexcept { return rescued_.get(); }  // nullptr: none was dropped

   private:
    friend class Reply;
    const Responder* to_;
    std::uint64_t ticket_;
    Rescue* outer_;
    std::unique_ptr<Reply> rescued_;
  };

  // Counts this call in `gauge` until it is answered. The gauge outlives the Reply.
  void count_in(std::atomic<std::int64_t>& gauge) noexcept {
    gauge_ = &gauge;
    gauge.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  std::shared_ptr<Responder> to_;
  std::uint64_t ticket_ = 0;
  std::atomic<std::int64_t>* gauge_ = nullptr;
};

}  // namespace sluice
