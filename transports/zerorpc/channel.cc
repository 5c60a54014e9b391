#include "transports/zerorpc/channel.h"

#include <algorithm>
#include <cmath>

#include "transports/zerorpc/pack.h"
#include "transports/zerorpc/python.h"
#include "rpc/utf8.h"

namespace sluice::zerorpc {
namespace {

constexpr std::size_t kMostMessage = 64 * 1024;  // bytes of an error's text: it may repeat the caller's
constexpr std::int64_t kBatch = 64;              // items asked of a source at a time
constexpr std::int64_t kPerTurn = 256;           // items of one stream in one turn, so that the others get theirs

std::string_view text(const Value& value) {
  auto* string = value.get_if<std::string>();
  return string ? std::string_view(*string) : std::string_view();
}

// As Python's int(args[0]) has it, of any size and cut off behind its point, and nothing of what is no number.
std::int64_t announced(const Value& args) {
  auto* array = args.get_if<Value::Array>();
  if (!array || array->empty()) return 0;
  const Value& more = array->front();
  if (auto* number = more.get_if<std::int64_t>()) return *number;
  if (more.get_if<std::uint64_t>()) return Window::kMost;  // 2^63 and above
  if (auto* real = more.get_if<double>(); real && !std::isnan(*real))
    return static_cast<std::int64_t>(std::clamp(*real, -double{Window::kMost}, double{Window::kMost}));
  auto* flag = more.get_if<bool>();
  return flag && *flag ? 1 : 0;
}

}  // namespace

void Channel::begin(const Incoming& from, const Event& event) {
  renew();
  address_.resize(1 + from.more_count);
  address_[0] = from.identity;
  for (std::size_t i = 0; i < from.more_count; ++i) address_[1 + i] = from.more[i];
  message_id_ = event.message_id;
  trace_id_ = event.trace_id;
  version_ = event.version;
  state_ = State::running;
  window_ = Window();
  heartbeat_ = Heartbeat(version_ < 2);  // as Python: a peer of version 1 speaks first
}

void Channel::open(std::chrono::milliseconds heartbeat, std::chrono::milliseconds limit) {
  open_ = true;
  interval_ = heartbeat;
  limit_ = limit;
  if (interval_.count() > 0) tick_.start(interval_, [this] { beat(); });
  // A stream may take as long as it likes, if its reader shows that it lives.
  const bool endless = state_ == State::streaming && version_ >= 2;
  if (limit_.count() > 0 && !endless)
    deadline_.start(limit_, [this] {
      fail(Fault(Fault::Kind::deadline_exceeded,
                 "no answer within " + std::to_string(limit_.count()) + " ms, the most that a call may take here; the work was cancelled"));
    });
}

void Channel::beat() {
  switch (heartbeat_.tick()) {
    case Heartbeat::Action::lost: host_->lost_caller(); return abandon();
    case Heartbeat::Action::beat: emit("_zpc_hb", Value(0), true); break;
    case Heartbeat::Action::none: break;
  }
  tick_.start(interval_, [this] { beat(); });
}

void Channel::take(const Event& event) {
  const std::string_view name = text(event.name);
  const bool beat = name == "_zpc_hb";
  if (beat) heartbeat_.heard();
  // Before version 3 the heartbeats carried the window.
  if (name == "_zpc_more" || (beat && event.version < 3)) {
    window_.add(announced(event.args));
    pump();
  }
}

void Channel::respond(std::uint64_t, Outcome&& outcome) {
  if (state_ != State::running) return;  // too late: nobody waits any more
  if (auto* value = std::get_if<Value>(&outcome)) return answer(*value);
  if (auto* fault = std::get_if<Fault>(&outcome)) return refuse(*fault);
  forget_cancel();
  source_ = std::move(std::get<std::unique_ptr<Source>>(outcome));
  state_ = State::streaming;
  ended_ = false;
  broke_.reset();
  if (version_ >= 2) deadline_.stop();
  pump();
}

void Channel::answer(const Value& value) {
  try {
    emit("OK", value, true);
    close();
  } catch (const Fault& fault) {
    refuse(fault);
  } catch (const std::bad_alloc&) {
    refuse(Fault::out_of_memory());
  }
}

void Channel::refuse(const Fault& fault) {
  // An ERR event has a name, a text and a traceback: there is no other place for when to try again.
  const std::string more = fault.retry_hint();
  auto fit = [&](std::string_view text, std::string_view more = {}) { return Value(to_utf8(text.substr(0, kMostMessage)) + std::string(more)); };
  if (version_ < 2)
    emit("ERR", fit(python_exception(fault), more), true);
  else
    emit("ERR", Value::Array{fit(fault.exception_name()), fit(fault.message(), more), Value()}, false);
  close();
}

void Channel::fail(const Fault& fault) {
  if (state_ == State::closed) return;
  auto self = shared_from_this();
  refuse(fault);
  cancel();
}

void Channel::abandon() {
  if (state_ == State::closed) return;
  auto self = shared_from_this();
  close();
  cancel();
}

// `wrapped`: args is an array of this one value, as that of an answer; an item of a stream stands bare.
void Channel::emit(std::string_view name, const Value& args, bool wrapped) {
  Outbox& outbox = host_->outbox();
  std::string& out = outbox.begin(address_);
  try {
    write_head(out, host_->ids().next(), {message_id_, trace_id_}, name);
    if (wrapped) out += '\x91';
    pack(out, args);
    if (name != "ERR" && outbox.written() > host_->answer_bytes())  // a fault has to get through
      throw Fault(Fault::Kind::too_large, "the answer has " + std::to_string(outbox.written()) + " bytes, more than " +
                                              std::to_string(host_->answer_bytes()) + "; ask for less at a time, or for a stream");
  } catch (...) {
    outbox.take_back();
    throw;
  }
  outbox.finish();
  host_->wrote();
}

void Channel::close() {
  auto self = shared_from_this();
  state_ = State::closed;
  tick_.stop();
  deadline_.stop();
  if (!pulling_) source_.reset();  // else pump() does, once the source has let go of the stack
  if (std::exchange(open_, false)) host_->closed(*this);
}

// Asks the source for what the reader has room for, and tells the end of it.
void Channel::pump() {
  if (state_ != State::streaming || pumping_ || waiting_ || posted_) return;
  auto self = shared_from_this();
  pumping_ = true;
  std::int64_t budget = kPerTurn;
  while (state_ == State::streaming && !waiting_) {
    if (window_.slots() == 0 || host_->outbox().slow(identity())) break;
    if (ended_) {
      window_.take();
      if (broke_) {
        refuse(*broke_);
      } else {
        emit("STREAM_DONE", Value(), false);
        close();
      }
      break;
    }
    if (budget <= 0 || host_->outbox().full()) {
      posted_ = true;
      loop().post([self] {
        self->posted_ = false;
        self->pump();
      });
      break;
    }
    const std::int64_t most = std::min({window_.slots(), kBatch, budget});
    budget -= most;
    waiting_ = pulling_ = true;
    source_->pull(static_cast<std::size_t>(most), [this](Source::Batch batch) { take_batch(std::move(batch)); });
    pulling_ = false;
  }
  pumping_ = false;
  if (state_ == State::closed) source_.reset();
}

void Channel::take_batch(Source::Batch&& batch) {
  auto self = shared_from_this();
  waiting_ = false;
  if (state_ != State::streaming) return;
  ended_ = batch.end || batch.fault;
  broke_ = std::move(batch.fault);
  try {
    for (const Value& item : batch.items) {
      window_.take();
      emit("STREAM", item, false);
    }
  } catch (const Fault& fault) {  // an item that cannot travel breaks the stream
    ended_ = true;
    broke_ = fault;
  } catch (const std::bad_alloc&) {
    ended_ = true;
    broke_ = Fault::out_of_memory();
  }
  pump();
}

}  // namespace sluice::zerorpc
