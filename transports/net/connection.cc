#include "transports/net/connection.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "transports/net/gzip.h"
#include "transports/net/shard.h"

namespace sluice::http {
namespace {

using std::chrono::milliseconds;

// What is swallowed of a refused request, so that its sender sees the answer. Python's and Perl's clients send all of a body
// before they read: one that is up to twice as long as bodies may be is let run out, unkept.
constexpr std::size_t kLinger = 1 << 20;
constexpr std::size_t kLingerBodies = 2;
constexpr milliseconds kLingerTime{5000};
constexpr std::size_t kBatch = 256 << 10;  // bytes of answers that are gathered before they are sent
constexpr std::size_t kHead = 1024;        // bytes of a response's head, without the headers that come along
constexpr std::size_t kKeep = 1 << 20;     // of the shared output's room that is kept for the next answer
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kAllow = "Allow: POST, OPTIONS\r\n";

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
  }
}

}  // namespace

Connection::Connection(Shard& shard, int fd, std::unique_ptr<TlsStream> tls)
    : Exchange(shard.loop), shard_(shard), fd_(fd), tls_(std::move(tls)), timer_(shard.loop) {
  set_party(reinterpret_cast<std::uintptr_t>(this));
}

Connection::~Connection() {
  if (fd_ < 0) return;
  shard_.loop.unwatch(fd_, *this);
  ::close(fd_);
}

void Connection::start() {
  // Edge-triggered and for both directions at once: no further epoll_ctl in the connection's life.
  shard_.loop.watch(fd_, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
  enter(tls_ ? Phase::headers : Phase::idle);  // the handshake has no longer than the headers
}

void Connection::on_ready(std::uint32_t events) {
  auto alive = shared_from_this();
  try {
    work(events);
  } catch (const std::bad_alloc&) {
    // In the middle of a request or of what is sent: nobody can tell any more where the next one begins.
    shard_.output.clear();
    if (phase_ == Phase::running) cancel();
    close();
  }
}

void Connection::work(std::uint32_t events) {
  if (events & (EPOLLERR | EPOLLHUP)) {
    // Both directions are gone: nobody is left to answer. An end of its sending alone (EPOLLRDHUP) is
    // no farewell: some clients send, half-close and read.
    if (phase_ == Phase::running) cancel();
    return close();
  }
  if (events & (EPOLLIN | EPOLLRDHUP) || tls_) readable_ = true;  // TLS may have to write before it can read, and the reverse
  if (events & EPOLLRDHUP) peer_closed_ = true;
  if ((events & EPOLLOUT || tls_) && !out_.empty()) flush();
  read();
  if (peer_closed_ && phase_ == Phase::running && !asked_ && !http_1_0_ && eager()) {
    // Half-closed or gone? An interim response tells: a socket that nobody has any more answers it with a reset.
    asked_ = true;
    shard_.output += kContinue;
    flush();
  }
}

ssize_t Connection::receive() {
  if (tls_) return tls_->recv(shard_.input.data(), shard_.input.size());
  return ::recv(fd_, shard_.input.data(), shard_.input.size(), 0);
}

ssize_t Connection::transmit(const char* bytes, std::size_t count) {
  return tls_ ? tls_->send(bytes, count) : ::send(fd_, bytes, count, MSG_NOSIGNAL);
}

std::string_view Connection::certificate() { return tls_ ? std::string_view(tls_->peer()) : std::string_view(); }

// Reads as long as there is something to read and room to work on it.
void Connection::read() {
  while (fd_ >= 0 && readable_ && phase_ != Phase::running && phase_ != Phase::writing) {
    const ssize_t got = receive();
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      if (tls_ && phase_ == Phase::headers && !parser_ && tls_->established()) enter(Phase::idle);
      return;
    }
    if (got == 0 && parser_ && (phase_ == Phase::headers || phase_ == Phase::body))
      return refuse(400, phase_ == Phase::body ? "the request ends before its body is whole" : "the request ends in the middle of its headers");
    if (got <= 0) return close();
    // A short read has emptied the socket, and the next byte comes with an edge of its own; only an end
    // of input that epoll has already told does not.
    if (static_cast<std::size_t>(got) < shard_.input.size() && !peer_closed_ && !tls_) readable_ = false;
    if (phase_ == Phase::lingering) {
      lingered_ += static_cast<std::size_t>(got);
      if (lingered_ > std::max(kLinger, kLingerBodies * shard_.limits.body_bytes)) return close();
      continue;
    }
    std::string_view bytes(shard_.input.data(), static_cast<std::size_t>(got));
    if (pending_.empty()) {
      consume(bytes);
    } else {
      std::string whole = std::move(pending_);
      pending_.clear();
      consume(whole.append(bytes));
    }
  }
}

// Serves every whole request in `bytes`; what is left waits in pending_. Answers are sent together.
void Connection::consume(std::string_view bytes) {
  consuming_ = true;
  while (fd_ >= 0 && !closing_ && (phase_ == Phase::idle || phase_ == Phase::headers || phase_ == Phase::body)) {
    if (!parser_) {
      // RFC 9112, 2.2: an empty line before a request is skipped.
      while (!bytes.empty() && (bytes.front() == '\r' || bytes.front() == '\n')) bytes.remove_prefix(1);
      if (bytes.empty()) break;
      parser_.emplace(shard_.limits);
      continued_ = false;
    }
    bytes.remove_prefix(parser_->feed(bytes));
    if (const Refusal& no = parser_->refused(); no.status) {
      refuse(no.status, no.reason);
    } else if (parser_->done()) {
      serve();
      if (shard_.output.size() > kBatch) flush();
    } else {
      const bool in_body = parser_->headers_done();
      if (in_body && parser_->expects_continue() && !continued_) {
        shard_.output += kContinue;
        continued_ = true;
      }
      if (Phase phase = in_body ? Phase::body : Phase::headers; phase_ != phase) enter(phase);
      break;
    }
  }
  consuming_ = false;
  if (fd_ < 0) return shard_.output.clear();
  if (!closing_) pending_.assign(bytes);
  flush();
}

void Connection::serve() {
  const std::string_view method = parser_->method();
  keeps_alive_ = parser_->keeps_alive() && !shard_.draining();
  http_1_0_ = parser_->http_1_0();
  accepts_gzip_ = parser_->accepts_gzip();
  phase_ = Phase::running;

  if (method == "POST") {
    if (!parser_->has_length()) return refuse(411, "a POST needs a Content-Length, or Transfer-Encoding: chunked");
    Request request{parser_->target(), parser_->content_type(), parser_->body(), parser_->authorization()};
    std::string inflated;
    if (parser_->gzipped()) {
      switch (inflate(request.body, shard_.limits.body_bytes, inflated)) {
        case Inflated::whole: request.body = inflated; break;
        case Inflated::damaged: return refuse(400, "the body is not what its Content-Encoding says");
        case Inflated::too_large:
          return refuse(413, "the unzipped body is longer than " + std::to_string(shard_.limits.body_bytes) + " bytes (limits.body_bytes)");
      }
    }
    shard_.service.serve(request, *this);
  } else if (auto page = method == "GET" || method == "HEAD" ? shard_.service.get(parser_->target()) : std::nullopt) {
    head(page->status, page->content_type, page->body.size(), "Cache-Control: no-store\r\n");
    if (method == "GET") shard_.output += page->body;
    finish_request();
  } else if (method == "OPTIONS") {
    head(204, {}, 0, kAllow);
    finish_request();
  } else {
    constexpr std::string_view kWhy = "XML-RPC is served here: POST a methodCall.\n";
    head(405, "text/plain", kWhy.size(), kAllow);
    if (method != "HEAD") shard_.output += kWhy;
    finish_request();
  }
  parser_.reset();
  if (phase_ == Phase::running) enter(Phase::running);
}

void Connection::respond(std::uint64_t ticket, Outcome&& outcome) {
  if (ticket != ticket_ || phase_ != Phase::running) return;  // too late: its request was answered, or its client is gone
  auto alive = shared_from_this();
  shard_.service.answer(*this, std::move(outcome));
}

std::string Connection::address() const {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (fd_ < 0 || ::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return {};
  if (peer.ss_family == AF_INET) ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(peer).sin_addr, text, sizeof text);
  if (peer.ss_family == AF_INET6) ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(peer).sin6_addr, text, sizeof text);
  return text;
}

void Connection::send(Response&& response) {
  if (phase_ != Phase::running) return;
  std::string& more = response.headers;
  if (accepts_gzip_ && response.body.size() >= shard_.limits.gzip_from_bytes) {
    if (std::string small = gzip(response.body); !small.empty() && small.size() < response.body.size()) {
      response.body = std::move(small);
      more += "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
    }
  }
  shard_.output.reserve(shard_.output.size() + response.body.size() + more.size() + kHead);  // fails before a byte is written
  head(response.status, response.content_type, response.body.size(), more);
  shard_.output += response.body;
  finish_request();
}

void Connection::head(int status, std::string_view content_type, std::size_t length, std::string_view more_headers) {
  std::string& out = shard_.output;
  char number[24];
  auto append = [&](auto n) { out.append(number, std::to_chars(number, number + sizeof number, n).ptr); };
  if (status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
  } else {
    out += "HTTP/1.1 ";
    append(status);
    out += ' ';
    out += reason(status);
    out += "\r\n";
  }
  out += shard_.date();
  if (!content_type.empty()) {
    out += "Content-Type: ";
    out += content_type;
    out += "\r\nContent-Length: ";
    append(length);
    out += "\r\n";
  }
  out += more_headers;
  if (!keeps_alive_)
    out += "Connection: close\r\n";
  else if (http_1_0_)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

// The request cannot be served and what follows it cannot be trusted: say why, then part.
void Connection::refuse(int status, std::string_view why) {
  keeps_alive_ = false;
  head(status, "text/plain", why.size() + 1, {});
  shard_.output += why;
  shard_.output += '\n';
  phase_ = Phase::running;
  finish_request();
  parser_.reset();
}

void Connection::finish_request() {
  ++ticket_;
  renew();
  asked_ = false;
  enter(Phase::idle);
  if (!keeps_alive_) closing_ = true;
  if (!consuming_) resume();
}

// After an answer that came later, or after the socket took what it had refused.
void Connection::resume() {
  auto alive = shared_from_this();
  if (!closing_ && !pending_.empty()) {
    std::string bytes = std::move(pending_);
    pending_.clear();
    consume(bytes);
  } else {
    flush();
  }
  read();
}

void Connection::flush() {
  std::string& fresh = shard_.output;
  if (!out_.empty()) {
    out_ += fresh;
    fresh.clear();
  }
  std::string& data = out_.empty() ? fresh : out_;
  std::size_t sent = 0;
  while (sent < data.size()) {
    const ssize_t n = transmit(data.data() + sent, data.size() - sent);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      fresh.clear();
      if (phase_ == Phase::running) cancel();
      return close();
    }
  }
  if (sent < data.size()) {
    if (&data == &out_) {
      out_.erase(0, sent);
    } else if (fresh.size() > kKeep) {
      out_ = std::move(fresh.erase(0, sent));
    } else {
      out_.assign(data, sent);
    }
    fresh.clear();
    if (fresh.capacity() > kKeep) std::string().swap(fresh);
    if (phase_ != Phase::running) enter(Phase::writing);
    return;
  }
  fresh.clear();
  if (fresh.capacity() > kKeep) std::string().swap(fresh);
  if (!out_.empty()) std::string().swap(out_);
  sent_all();
}

void Connection::sent_all() {
  if (closing_ && phase_ != Phase::running && phase_ != Phase::lingering) {
    // RFC 9112, 9.6: closing with unread bytes would reset the connection and take the answer along.
    if (tls_) tls_->say_goodbye();
    ::shutdown(fd_, SHUT_WR);
    pending_.clear();
    enter(Phase::lingering);
    readable_ = true;
  } else if (phase_ == Phase::writing) {
    enter(Phase::idle);
    if (!consuming_ && !pending_.empty()) resume();
  }
}

void Connection::drain() {
  auto alive = shared_from_this();
  keeps_alive_ = false;
  if (phase_ == Phase::idle && pending_.empty()) close();
}

void Connection::close() {
  if (fd_ < 0) return;
  shard_.loop.unwatch(fd_, *this);
  ::close(fd_);
  phase_ = Phase::closed;
  timer_.stop();
  shard_.forget(std::exchange(fd_, -1));
}

void Connection::enter(Phase phase) {
  phase_ = phase;
  const Limits& limits = shard_.limits;
  milliseconds span{};
  switch (phase) {
    case Phase::idle: span = milliseconds(limits.idle_ms); break;
    case Phase::headers: span = milliseconds(limits.header_ms); break;
    case Phase::body: span = milliseconds(limits.body_ms); break;
    case Phase::running: span = milliseconds(shard_.service.call_ms()); break;
    case Phase::writing: span = milliseconds(limits.write_ms); break;
    case Phase::lingering: span = kLingerTime; break;
    case Phase::closed: return;
  }
  due_ = deadline_in(span, shard_.loop.now());
  // The timer is late rather than moved: a busy connection does not touch the wheel at every request.
  if (!timer_.running() || due_ < timer_at_) arm(due_);
}

void Connection::arm(Clock::time_point at) {
  timer_at_ = at;
  timer_.start(std::chrono::ceil<milliseconds>(at - shard_.loop.now()), [this] { on_time(); });
}

void Connection::on_time() {
  auto alive = shared_from_this();
  if (shard_.loop.now() < due_) return arm(due_);
  switch (phase_) {
    case Phase::headers:
      if (tls_ && !tls_->established()) return close();
      refuse(408, "the request's headers did not come within " + std::to_string(shard_.limits.header_ms) + " ms");
      break;
    case Phase::body: refuse(408, "the request's body did not come within " + std::to_string(shard_.limits.body_ms) + " ms"); break;
    case Phase::running:
      cancel();
      shard_.service.answer(*this, Fault(Fault::Kind::deadline_exceeded,
                                         "the call took longer than " + std::to_string(shard_.service.call_ms()) + " ms and was cancelled"));
      break;
    default: close(); break;
  }
}

}  // namespace sluice::http
