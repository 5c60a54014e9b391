#include "transports/net/shard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

namespace sluice::http {
namespace {

constexpr int kAcceptsPerTurn = 64;  // so that a storm of new connections does not hold up the old ones

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

Address resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0)
    throw std::runtime_error("cannot listen on '" + host + "': " + ::gai_strerror(error) + "; give an address of this machine, such as 127.0.0.1");
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

std::string advice(int error, std::uint16_t port) {
  switch (error) {
    case EADDRINUSE: return "; another program listens there: stop it, or choose another port";
    case EACCES: return port < 1024 ? "; ports below 1024 need root: choose another" : "";
    case EADDRNOTAVAIL: return "; it is no address of this machine";
    default: return "";
  }
}

}  // namespace

Shard::Shard(Service& service, Loop& loop, const Server::Options& options, std::atomic<std::size_t>& connections)
    : service(service), loop(loop), limits(options.limits), options_(options), count_(connections) {}

Shard::~Shard() {
  stop_listening();
  if (spare_ >= 0) ::close(spare_);
  drained_.reset();
  // A Reply that is still out there may keep a connection for longer than us: it must not need us then.
  for (std::size_t i = 0; i < connections_.size(); ++i)
    if (auto connection = connections_[i]) connection->close();
}

std::uint16_t Shard::listen(std::uint16_t port, bool share) {
  const Address address = resolve(options_.host, port);
  listener_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto fail = [&] {
    const int error = errno;
    throw std::runtime_error("cannot listen on " + options_.host + ":" + std::to_string(port) + ": " + std::strerror(error) + advice(error, port));
  };
  if (listener_ < 0) fail();
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (share) ::setsockopt(listener_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // Inherited by the connections: answers are whole when they are sent.
  ::setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address.storage), address.length) < 0) fail();
  if (::listen(listener_, SOMAXCONN) < 0) fail();
  loop.watch(listener_, EPOLLIN, *this);
  spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  Address bound;
  bound.length = sizeof bound.storage;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length);
  return ntohs(bound.storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound.storage)->sin6_port
                                                   : reinterpret_cast<sockaddr_in*>(&bound.storage)->sin_port);
}

void Shard::on_ready(std::uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && listener_ >= 0; ++i) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      accept_one(fd);
    } else if (errno == EMFILE || errno == ENFILE) {
      return give_way();
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

void Shard::accept_one(int fd) {
  if (count_.load(std::memory_order_relaxed) >= limits.connections) return turn_away(fd);
  std::unique_ptr<TlsStream> tls;
  try {
    if (options_.tls) tls = options_.tls->accept(fd);
  } catch (const std::runtime_error&) {  // no memory for it
    ::close(fd);
    return;
  }
  count_.fetch_add(1, std::memory_order_relaxed);
  const auto at = static_cast<std::size_t>(fd);
  if (connections_.size() <= at) connections_.resize(std::max(at + 1, connections_.size() * 2));
  connections_[at] = std::make_shared<Connection>(*this, fd, std::move(tls));
  ++open_;
  connections_[at]->start();
}

// Without a free descriptor accept() fails and the listener stays readable, for ever: the spare one is
// given up for a moment, so that the caller is told instead of left waiting, and the loop does not spin.
void Shard::give_way() {
  if (spare_ < 0) return;
  ::close(spare_);
  if (const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); fd >= 0) turn_away(fd);
  spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void Shard::turn_away(int fd) {
  constexpr std::string_view kFull =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 52\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
      "too many connections; try again (limits.connections)";
  static_assert(kFull.size() - kFull.find("\r\n\r\n") - 4 == 52);
  [[maybe_unused]] auto sent = options_.tls ? 0 : ::send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL);  // a courtesy
  ::shutdown(fd, SHUT_WR);
  ::close(fd);
}

void Shard::forget(int fd) {
  auto gone = std::move(connections_[static_cast<std::size_t>(fd)]);  // its caller holds another reference
  --open_;
  count_.fetch_sub(1, std::memory_order_relaxed);
  if (draining_ && open_ == 0 && drained_) loop.post(std::exchange(drained_, {}));
}

void Shard::drain(UniqueFunction<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  stop_listening();
  for (std::size_t i = 0; i < connections_.size(); ++i)
    if (auto connection = connections_[i]) connection->drain();
  if (open_ == 0 && drained_) loop.post(std::exchange(drained_, {}));
}

void Shard::stop_listening() {
  if (listener_ < 0) return;
  loop.unwatch(listener_, *this);
  ::close(std::exchange(listener_, -1));
}

std::string_view Shard::date() {
  if (loop.now() >= date_until_) {
    char text[48];
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    date_.assign(text, std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc));
    date_until_ = loop.now() + std::chrono::milliseconds(500);
  }
  return date_;
}

}  // namespace sluice::http
