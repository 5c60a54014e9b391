// XML-RPC calls by the clock, whether or not they are answered: what crowds of people do, as opposed to a fixed number of clients who
// wait for each other. Times count from when a call was meant to be sent. Prints one line of JSON.
//   overload_load PORT BODY_FILE RATE SECONDS    so many calls a second, at random times (Poisson), each on an idle connection or a new one
//   overload_load PORT BODY_FILE 0 SECONDS N     the capacity: N connections, each waiting for its answer

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kPatience = 1.0;         // s; then a caller has given up, and an answer is worth nothing
constexpr std::size_t kConnections = 4000;

struct Connection {
  int fd = -1;
  std::string in;
  Clock::time_point meant{};  // the call that is under way; none: idle
  bool connected = false;     // a call that came before is sent then
};

struct Load {
  Load(int port, std::string body) {
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    request = "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  Connection* connect() {
    auto* c = new Connection;
    c->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->fd < 0 || (::connect(c->fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)) {
      close(c);
      return nullptr;
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = c;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    ++open;
    return c;
  }

  void close(Connection* c) {
    if (c->fd >= 0) ::close(c->fd);
    closed.push_back(c);  // this turn's events may still name it
    c->fd = -1;
  }

  void ask(Clock::time_point meant) {
    ++asked;
    Connection* c = nullptr;
    if (!idle.empty()) {
      c = idle.back();
      idle.pop_back();
    } else if (open < kConnections) {
      c = connect();
    }
    if (!c) {
      ++failed;
      return;
    }
    c->meant = meant;
    send(c);
  }

  void send(Connection* c) {
    if (c->connected && ::send(c->fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) end(c, false);
  }

  void end(Connection* c, bool whole) {
    if (c->meant != Clock::time_point{}) {
      const double took = Seconds(Clock::now() - c->meant).count();
      if (whole && c->in.find("<fault>") != std::string::npos) {
        if (c->in.find("-32010") != std::string::npos)
          refused.push_back(took);
        else
          ++failed;
      } else if (whole && took <= kPatience && c->in.compare(0, 12, "HTTP/1.1 200") == 0) {
        served.push_back(took);
      } else {
        ++failed;
      }
    }
    c->meant = {};
    const bool keep = whole && c->in.find("onnection: close") == std::string::npos;
    c->in.clear();
    if (keep) {
      if (closed_loop)
        c->meant = Clock::now(), ++asked, send(c);
      else
        idle.push_back(c);
      return;
    }
    std::erase(idle, c);
    --open;
    close(c);
    if (closed_loop) ask(Clock::now());
  }

  void ready(Connection* c, std::uint32_t events) {
    if (c->fd < 0) return;
    if (events & (EPOLLERR | EPOLLHUP)) return end(c, false);
    if (events & EPOLLOUT && !std::exchange(c->connected, true)) send(c);
    if (c->fd < 0) return;
    char buffer[65536];
    for (;;) {
      const ssize_t n = ::recv(c->fd, buffer, sizeof buffer, 0);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return end(c, false);
      c->in.append(buffer, static_cast<std::size_t>(n));
      const auto head = c->in.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      auto at = c->in.find("ontent-Length: ");
      if (at == std::string::npos) at = c->in.find("ontent-length: ");
      if (at == std::string::npos || c->in.size() < head + 4 + static_cast<std::size_t>(std::atoi(c->in.c_str() + at + 15))) continue;
      return end(c, true);
    }
  }

  void turn(int wait_ms) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, wait_ms);
    for (int i = 0; i < count; ++i) ready(static_cast<Connection*>(events[i].data.ptr), events[i].events);
    for (Connection* c : closed) delete c;
    closed.clear();
  }

  sockaddr_in address{};
  std::string request;
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  bool closed_loop = false;
  std::size_t open = 0;
  std::vector<Connection*> idle, closed;
  std::size_t asked = 0, failed = 0;
  std::vector<double> served, refused;
};

double quantile(std::vector<double>& all, double q) {
  if (all.empty()) return 0;
  std::ranges::sort(all);
  return 1000 * all[std::min(all.size() - 1, static_cast<std::size_t>(q * static_cast<double>(all.size())))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  std::ifstream file(argv[2]);
  Load load(std::atoi(argv[1]), std::string(std::istreambuf_iterator<char>(file), {}));
  const double rate = std::atof(argv[3]), seconds = std::atof(argv[4]);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  // The first part brings the server into its stride, and is not counted.
  const auto start = Clock::now();
  constexpr double warm_up = 2;
  const auto counts_from = start + std::chrono::duration_cast<Clock::duration>(Seconds(warm_up));
  const auto until = counts_from + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
  bool counting = false;
  auto begin_to_count = [&](Clock::time_point now) {
    if (counting || now < counts_from) return;
    counting = true;
    load.served.clear();
    load.refused.clear();
    load.asked = load.failed = 0;
  };

  if (rate <= 0) {
    load.closed_loop = true;
    for (int i = argc > 5 ? std::atoi(argv[5]) : 8; i > 0; --i) load.ask(Clock::now());
    for (auto now = Clock::now(); now < until; now = Clock::now()) {
      begin_to_count(now);
      load.turn(1);
    }
  } else {
    std::mt19937_64 random(4242);
    std::exponential_distribution<double> gap(rate);
    auto next = start;
    for (;;) {
      const auto now = Clock::now();
      begin_to_count(now);
      if (now >= until) break;
      while (next <= now) {
        load.ask(next);
        next += std::chrono::duration_cast<Clock::duration>(Seconds(gap(random)));
      }
      // Short waits are spun through: a late call would be our fault, not the server's.
      const double left = Seconds(next - Clock::now()).count();
      load.turn(left > 0.0015 ? 1 : 0);
    }
  }
  const std::size_t still = rate > 0 ? load.open - load.idle.size() : 0;
  std::printf("{\"asked\": %zu, \"served\": %zu, \"refused\": %zu, \"failed\": %zu, \"unanswered\": %zu, \"goodput\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"refused_p99_ms\": %.2f}\n", load.asked,
              load.served.size(), load.refused.size(), load.failed, still, static_cast<double>(load.served.size()) / seconds, quantile(load.served, 0.5), quantile(load.served, 0.99),
              quantile(load.refused, 0.99));
}
