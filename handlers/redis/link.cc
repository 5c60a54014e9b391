#include "handlers/redis/link.h"

#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

namespace sluice::redis {

// One answer: a value, or the text of an error.
struct Parsed {
  Value value;
  bool error = false;
};

namespace {

Value value_of(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER: return Value(static_cast<std::int64_t>(reply.integer));
    case REDIS_REPLY_ARRAY: {
      Value::Array all;
      all.reserve(reply.elements);
      for (std::size_t i = 0; i < reply.elements; ++i) all.push_back(value_of(*reply.element[i]));
      return Value(std::move(all));
    }
    case REDIS_REPLY_NIL: return {};
    default: return Value(std::string(reply.str, reply.len));
  }
}

}  // namespace

Link::Link(Loop& home, Address address, Limits limits)
    : home_(home),
      address_(std::move(address)),
      limits_(limits),
      reader_(nullptr, redisReaderFree),
      pause_(limits.first_pause),
      retry_(home),
      limit_(home) {}

Link::~Link() {
  close();
  home_.forget(*this);
}

void Link::start(UniqueFunction<void()> greet) {
  greet_ = std::move(greet);
  connect();
}

Fault Link::away() const { return Fault(Fault::Kind::unavailable, "Redis at " + address_.name + " cannot be reached: " + why_); }

void Link::connect() {
  close();
  fd_ = ::socket(address_.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return cut(std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address_.socket), address_.length) < 0 && errno != EINPROGRESS)
    return cut(std::strerror(errno));
  state_ = State::connecting;
  reader_.reset(redisReaderCreate());
  home_.watch(fd_, EPOLLOUT | EPOLLIN, *this);
  want_out_ = true;
  retry_.start(limits_.connect,
               [this] { cut("it did not answer within " + std::to_string(limits_.connect.count()) + " ms of connecting"); });
}

void Link::close() {
  if (fd_ >= 0) {
    home_.unwatch(fd_, *this);
    ::close(fd_);
  }
  fd_ = -1;
  state_ = State::away;
  want_out_ = false;
  out_.clear();
  reader_.reset();
}

// What was sent may have happened. Who waits for a connection goes on waiting for the next attempt, unless that fails too.
void Link::cut(const std::string& why) {
  why_ = why;
  failing_ = state_ != State::open;
  close();
  retry();
  const Fault lost(Fault::Kind::outcome_unknown,
                   "the connection to Redis at " + address_.name + " was lost before its answer came: " + why);
  for (Call& call : std::exchange(sent_, {}))
    if (call.done) call.done(lost);
  if (failing_)
    for (Call& call : std::exchange(waiting_, {})) call.done(away());
}

// Gateways that lost a server together must not come back together.
void Link::retry() {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto pause = pause_ / 2 + milliseconds(static_cast<std::int64_t>(random()) % std::max<std::int64_t>(pause_.count() / 2, 1));
  pause_ = std::min(pause_ * 2, limits_.longest_pause);
  retry_.start(pause, [this] { connect(); });
}

void Link::authenticate() {
  state_ = State::greeting;
  auto accept = [this](Answer answer) {
    if (auto* fault = std::get_if<Fault>(&answer); fault && state_ == State::greeting) cut(fault->message());
  };
  if (!address_.password.empty()) now({"AUTH", address_.password}, limits_.connect, accept);
  if (address_.database != 0) now({"SELECT", std::to_string(address_.database)}, limits_.connect, accept);
  greet_();
}

void Link::open() {
  if (state_ != State::greeting) return;
  state_ = State::open;
  failing_ = false;
  pause_ = limits_.first_pause;
  retry_.stop();
  for (Call& call : std::exchange(waiting_, {})) send(std::move(call));
}

void Link::call(Words words, milliseconds limit, Done done) {
  ask({std::move(words), nullptr, {}, Clock::now() + limit, std::move(done)}, false);
}
void Link::now(Words words, milliseconds limit, Done done) {
  ask({std::move(words), nullptr, {}, Clock::now() + limit, std::move(done)}, true);
}

namespace {

Words of_script(const Script& script, Words keys, Words arguments) {
  Words words{"EVALSHA", script.sha, std::to_string(keys.size())};
  words.reserve(3 + keys.size() + arguments.size());
  std::ranges::move(keys, std::back_inserter(words));
  std::ranges::move(arguments, std::back_inserter(words));
  return words;
}

}  // namespace

void Link::call(const Script& script, Words keys, Words arguments, milliseconds limit, Done done) {
  ask({of_script(script, std::move(keys), std::move(arguments)), &script, {}, Clock::now() + limit, std::move(done)}, false);
}
void Link::now(const Script& script, Words keys, Words arguments, milliseconds limit, Done done) {
  ask({of_script(script, std::move(keys), std::move(arguments)), &script, {}, Clock::now() + limit, std::move(done)}, true);
}

void Link::ask(Call call, bool urgent) {
  if (sent_.size() + waiting_.size() >= limits_.calls)
    return home_.post([done = std::move(call.done), name = address_.name, calls = limits_.calls]() mutable {
      done(Fault(Fault::Kind::overloaded, std::to_string(calls) + " calls wait for Redis at " + name + " already"));
    });
  if (state_ == State::open || (urgent && state_ == State::greeting)) return send(std::move(call));
  if (failing_ || urgent) return home_.post([done = std::move(call.done), fault = away()]() mutable { done(std::move(fault)); });
  arm(call.until);
  waiting_.push_back(std::move(call));
}

void Link::send(Call call) {
  append(call.words);
  if (!call.script) call.words.clear();
  call.sent = Clock::now();
  arm(std::min(call.until, call.sent + limits_.stuck));
  sent_.push_back(std::move(call));
}

void Link::tell(const Words& words) {
  if (state_ == State::open || state_ == State::greeting) append(words);
}

void Link::append(const Words& words) {
  auto length = [this](char kind, std::size_t n) { (out_ += kind).append(std::to_string(n)).append("\r\n"); };
  length('*', words.size());
  for (const std::string& word : words) {
    length('$', word.size());
    out_.append(word).append("\r\n");
  }
  write_soon();
}

void Link::write_soon() {
  if (!std::exchange(writing_, true)) home_.at_turn_end(*this);
}

void Link::on_turn_end() {
  writing_ = false;
  if (fd_ < 0 || state_ == State::connecting) return;
  while (!out_.empty()) {
    const ssize_t n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      // Those who asked are told from the loop, and not while they still ask.
      return home_.post([this, fd = fd_, error = errno] {
        if (fd_ == fd) cut(std::strerror(error));
      });
    }
    out_.erase(0, static_cast<std::size_t>(n));
  }
  if (const bool want = !out_.empty(); want != want_out_) {
    want_out_ = want;
    home_.rewatch(fd_, want ? EPOLLIN | EPOLLOUT : EPOLLIN, *this);
  }
}

void Link::on_ready(std::uint32_t events) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return cut(std::strerror(error));
    authenticate();
    return write_soon();
  }
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read();
  if (fd_ >= 0 && (events & EPOLLOUT)) write_soon();
}

void Link::read() {
  char buffer[16 * 1024];
  const int fd = fd_;
  while (true) {
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return cut(n == 0 ? "it closed the connection" : std::strerror(errno));
    redisReaderFeed(reader_.get(), buffer, static_cast<std::size_t>(n));
    while (true) {
      void* raw = nullptr;
      if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK)
        return cut("its answer is no Redis protocol: " + std::string(reader_->errstr));
      if (!raw) break;
      auto* reply = static_cast<redisReply*>(raw);
      Parsed parsed{value_of(*reply), reply->type == REDIS_REPLY_ERROR};
      freeReplyObject(reply);
      answered(std::move(parsed));
      if (fd_ != fd) return;  // it was cut by that
    }
    if (n < static_cast<ssize_t>(sizeof buffer)) return;
  }
}

void Link::answered(Parsed parsed) {
  if (sent_.empty()) {
    if (push_ && !parsed.error) push_(parsed.value);
    return;
  }
  Call call = std::move(sent_.front());
  sent_.pop_front();
  if (!parsed.error) {
    if (call.done) call.done(std::move(parsed.value));
    return;
  }
  const std::string& text = *parsed.value.get_if<std::string>();
  if (call.script && text.starts_with("NOSCRIPT") && call.words.front() == "EVALSHA") {
    call.words[0] = "EVAL";
    call.words[1] = call.script->text;
    return send(std::move(call));
  }
  if (call.done) call.done(Fault(Fault::Kind::unavailable, "Redis at " + address_.name + " refused: " + text));
}

void Link::arm(Clock::time_point due) {
  if (limit_.running() && limit_due_ <= due) return;
  limit_due_ = due;
  limit_.start(std::chrono::ceil<milliseconds>(std::max(due - Clock::now(), Clock::duration::zero())), [this] { look_at_limits(); });
}

void Link::look_at_limits() {
  const auto now = Clock::now();
  if (!sent_.empty() && sent_.front().sent + limits_.stuck <= now)
    cut("it did not answer for " + std::to_string(std::chrono::duration_cast<milliseconds>(now - sent_.front().sent).count()) + " ms");
  std::vector<std::pair<Done, bool>> late;
  auto next = Clock::time_point::max();
  for (Call& call : sent_) {
    if (call.done && call.until <= now) late.emplace_back(std::exchange(call.done, {}), true);
    if (call.done) next = std::min(next, call.until);
  }
  if (!sent_.empty()) next = std::min(next, sent_.front().sent + limits_.stuck);
  std::erase_if(waiting_, [&](Call& call) {
    if (call.until <= now)
      late.emplace_back(std::move(call.done), false);
    else
      next = std::min(next, call.until);
    return call.until <= now;
  });
  if (next != Clock::time_point::max()) arm(next);
  for (auto& [done, was_sent] : late)
    done(was_sent ? Fault(Fault::Kind::outcome_unknown, "Redis at " + address_.name + " did not answer in time")
                  : Fault(Fault::Kind::unavailable, "Redis at " + address_.name + " could not be reached in time"));
}

}  // namespace sluice::redis
