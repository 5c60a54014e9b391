#include "rpc/reply.h"

#include <exception>
#include <functional>
#include <utility>

namespace sluice {
namespace {

thread_local Reply::Rescue* innermost = nullptr;

}  // namespace

std::uint64_t Responder::party() const noexcept { return principal_ ? std::hash<std::string_view>{}(principal_->name()) : party_; }

void Responder::cancel() noexcept {
  if (cancelled_.exchange(true, std::memory_order_relaxed)) return;
  auto then = std::move(on_cancel_);
  if (then) then();
}

Reply::Rescue::Rescue(const Reply& of) noexcept : to_(of.to_.get()), ticket_(of.ticket_), outer_(std::exchange(innermost, this)) {}

Reply::Rescue::~Rescue() { innermost = outer_; }

Reply::~Reply() {
  if (!to_) return;
  if (innermost && innermost->to_ == to_.get() && innermost->ticket_ == ticket_ && std::uncaught_exceptions() > 0)
    innermost->rescued_ = std::make_unique<Reply>(std::move(*this));
  else
    send(Fault(Fault::Kind::internal, "the method ended without an answer; this is a bug of the gateway's"));
}

void Reply::send(Outcome&& outcome) {
  auto to = std::exchange(to_, nullptr);
  if (!to) return;  // answered before
  if (gauge_) std::exchange(gauge_, nullptr)->fetch_sub(1, std::memory_order_relaxed);
  Loop& loop = to->loop();
  if (Loop::current() == &loop) {
    to->respond(ticket_, std::move(outcome));
  } else {
    loop.post([to = std::move(to), ticket = ticket_, outcome = std::move(outcome)]() mutable { to->respond(ticket, std::move(outcome)); });
  }
}

void Reply::on_cancel(UniqueFunction<void()> then, bool eager) {
  if (to_->cancelled()) return then();
  to_->on_cancel_ = std::move(then);
  to_->set_eager(eager);
}

}  // namespace sluice
