#pragma once
// Channel: one call of one caller, from its request to its answer or the end of its stream. Lives on
// the transport's loop.

#include <memory>
#include <optional>
#include <string>

#include "rpc/reply.h"
#include "transports/zerorpc/envelope.h"
#include "transports/zerorpc/event.h"
#include "transports/zerorpc/heartbeat.h"
#include "transports/zerorpc/outbox.h"
#include "transports/zerorpc/window.h"

namespace sluice::zerorpc {

class Channel final : public Responder, public std::enable_shared_from_this<Channel> {
 public:
  // What a channel needs of its transport. Outlives every channel that is not closed.
  class Host {
   public:
    virtual Outbox& outbox() = 0;
    virtual MessageIds& ids() = 0;
    virtual std::size_t answer_bytes() const = 0;
    virtual void wrote() = 0;           // something lies in the outbox
    virtual void closed(Channel&) = 0;  // an open channel is over; the host lets go of it
    virtual void lost_caller() = 0;     // for counting
   protected:
    ~Host() = default;
  };

  Channel(Loop& loop, Host& host) : Responder(loop), host_(&host), tick_(loop), deadline_(loop) {}

  // A fresh or finished channel takes another call. Its content is copied, into memory that is kept.
  void begin(const Incoming&, const Event&);
  // The call was not answered at once: heartbeats go both ways from now on, and its time is limited. 0: not so.
  void open(std::chrono::milliseconds heartbeat, std::chrono::milliseconds limit);

  // A later event of the caller's on this channel.
  void take(const Event&);
  // The caller can be written to again.
  void resume() { pump(); }
  void fail(const Fault&);  // answers it, cancels the work and closes
  void abandon();           // the caller is gone: cancels the work and closes, sends nothing

  void respond(std::uint64_t ticket, Outcome&&) override;

  bool is_closed() const noexcept { return state_ == State::closed; }
  const std::string& identity() const noexcept { return address_.front(); }
  const std::string& message_id() const noexcept { return message_id_; }

 private:
  enum class State : std::uint8_t { running, streaming, closed };

  void answer(const Value&);
  void refuse(const Fault&);
  void emit(std::string_view name, const Value& args, bool wrapped);
  void close();
  void beat();
  void pump();
  void take_batch(Source::Batch&&);

  Host* host_;
  Address address_;
  std::string message_id_, trace_id_;  // raw msgpack
  std::int64_t version_ = 0;
  State state_ = State::closed;
  bool open_ = false;

  Heartbeat heartbeat_;
  std::chrono::milliseconds interval_{0}, limit_{0};
  Timer tick_, deadline_;

  Window window_;
  std::unique_ptr<Source> source_;
  bool waiting_ = false;  // for a batch
  bool pulling_ = false;  // inside source_->pull()
  bool pumping_ = false;
  bool posted_ = false;         // pump() will run in a later turn
  bool ended_ = false;          // the source has no more; the end is still to be told
  std::optional<Fault> broke_;  // how it ended
};

}  // namespace sluice::zerorpc
