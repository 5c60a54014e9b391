// Load for a zerorpc server: raw ZMTP 3.0 over epoll, because libzmq as the client would be the bottleneck.
//
//   zerorpc_load --endpoint tcp://127.0.0.1:4243 --connections 8 --window 8 --seconds 2
//                [--calls N] [--method add] [--args '[3, 4]']

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::string_view_literals;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "zerorpc_load: %s\n", what.c_str());
  std::exit(1);
}

// The greeting of the NULL mechanism and the READY of a DEALER.
const std::string kGreeting = std::string("\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL"sv) + std::string(48, '\0');
constexpr std::string_view kReady =
    "\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06"
    "DEALER\x08Identity\0\0\0\0"sv;

// The frames of one call, with room for its id.
struct Request {
  std::string bytes;
  std::size_t id_at;

  Request(const std::string& method, const std::string& args) {
    std::string payload = "\x93\x82\xaamessage_id\xc4\x20";
    const std::size_t id = payload.size();
    payload += std::string(32, '0') + std::string("\xa1v\x03"sv);
    const auto name = nlohmann::json::to_msgpack(method), packed = nlohmann::json::to_msgpack(nlohmann::json::parse(args));
    payload.append(name.begin(), name.end());
    payload.append(packed.begin(), packed.end());
    bytes = "\x01\0"sv;  // the delimiter
    if (payload.size() < 256) {
      bytes += '\0';
      bytes += static_cast<char>(payload.size());
    } else {
      bytes += '\x02';
      for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(payload.size() >> shift);
    }
    id_at = bytes.size() + id;
    bytes += payload;
  }

  void number(std::uint64_t call) {
    for (std::size_t i = 0; i < 16; ++i, call >>= 4) bytes[id_at + 15 - i] = "0123456789abcdef"[call & 15];
  }
};

struct Connection {
  int fd = -1;
  std::string in, out;
  std::deque<Clock::time_point> sent;  // answers come in order, as a rule: good enough for a median
};

class Load {
 public:
  Load(const std::string& endpoint, std::size_t connections, std::size_t window, Request request)
      : window_(window), request_(std::move(request)), connections_(connections) {
    epoll_ = epoll_create1(0);
    for (Connection& connection : connections_) open(connection, endpoint);
  }

  // Runs for so long, or until so many calls are answered.
  void run(double seconds, std::uint64_t calls) {
    most_ = calls;
    begun_ = Clock::now();
    const auto end = begun_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    epoll_event events[256];
    auto heard = begun_;
    while (answered_ < most_ && (now_ = Clock::now()) < end) {
      const int count = epoll_wait(epoll_, events, 256, 100);
      now_ = Clock::now();
      if (count > 0) heard = now_;
      if (now_ - heard > std::chrono::seconds(10)) die("no answer for 10 s");
      for (int i = 0; i < count; ++i) ready(*static_cast<Connection*>(events[i].data.ptr));
    }
  }

  void report() {
    const double seconds = std::chrono::duration<double>(Clock::now() - begun_).count();
    std::sort(took_.begin(), took_.end());
    auto at = [&](double share) {
      return took_.empty() ? 0.0 : took_[static_cast<std::size_t>(share * static_cast<double>(took_.size() - 1))];
    };
    std::printf("%.0f calls/s, %llu calls, %llu other answers, p50 %.0f us, p99 %.0f us\n", static_cast<double>(answered_) / seconds,
                static_cast<unsigned long long>(answered_), static_cast<unsigned long long>(wrong_), at(0.5), at(0.99));
    if (wrong_) std::exit(1);
  }

 private:
  void open(Connection& connection, const std::string& endpoint) {
    const auto colon = endpoint.rfind(':');
    if (!endpoint.starts_with("tcp://") || colon < 6) die("expected --endpoint tcp://ADDRESS:PORT, not " + endpoint);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(colon + 1))));
    if (inet_pton(AF_INET, endpoint.substr(6, colon - 6).c_str(), &address.sin_addr) != 1) die("expected a numeric address in " + endpoint);
    connection.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) die(endpoint + ": " + std::strerror(errno));
    int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection.out = kGreeting + std::string(kReady);
    flush(connection);
    // libzmq closes a connection that brings a message before both sides are ready: read its greeting and READY.
    char theirs[64 + 2];
    receive_all(connection.fd, theirs, sizeof theirs);
    std::string ready(static_cast<unsigned char>(theirs[65]), '\0');
    receive_all(connection.fd, ready.data(), ready.size());
    for (std::size_t i = 0; i < window_; ++i) ask(connection);
    flush(connection);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void ask(Connection& connection) {
    request_.number(++asked_);
    connection.out += request_.bytes;
    connection.sent.push_back(now_);
  }

  void flush(Connection& connection) {
    std::string_view left = connection.out;
    while (!left.empty()) {
      const ssize_t count = send(connection.fd, left.data(), left.size(), MSG_NOSIGNAL);
      if (count < 0) die(std::string("send: ") + std::strerror(errno));
      left.remove_prefix(static_cast<std::size_t>(count));
    }
    connection.out.clear();
  }

  static void receive_all(int fd, char* to, std::size_t size) {
    if (recv(fd, to, size, MSG_WAITALL) != static_cast<ssize_t>(size)) die("the server closed the connection");
  }

  void ready(Connection& connection) {
    static char buffer[256 * 1024];
    const ssize_t count = recv(connection.fd, buffer, sizeof buffer, 0);
    if (count <= 0) die("the server closed the connection");
    connection.in.append(buffer, static_cast<std::size_t>(count));
    std::string_view left = connection.in;
    while (take_frame(connection, left)) {
    }
    connection.in.erase(0, connection.in.size() - left.size());
    flush(connection);
  }

  bool take_frame(Connection& connection, std::string_view& left) {
    if (left.size() < 2) return false;
    const auto flags = static_cast<unsigned char>(left[0]);
    std::size_t head = 2, size = static_cast<unsigned char>(left[1]);
    if (flags & 2) {
      if (left.size() < 9) return false;
      head = 9;
      size = 0;
      for (std::size_t i = 1; i < 9; ++i) size = size << 8 | static_cast<unsigned char>(left[i]);
    }
    if (left.size() < head + size) return false;
    const bool answer = (flags & 5) == 0;  // neither a command nor followed by more
    if (answer) take_answer(connection, left.substr(head, std::min<std::size_t>(size, 200)));
    left.remove_prefix(head + size);
    return true;
  }

  void take_answer(Connection& connection, std::string_view payload) {
    if (payload.find("\xa7_zpc_hb"sv) != payload.npos) return;
    ++answered_;
    if (payload.find("\xa2OK"sv) == payload.npos) ++wrong_;
    if (took_.size() < 1'000'000) took_.push_back(std::chrono::duration<double, std::micro>(now_ - connection.sent.front()).count());
    connection.sent.pop_front();
    if (asked_ < most_) ask(connection);
  }

  const std::size_t window_;
  Request request_;
  std::vector<Connection> connections_;
  int epoll_ = -1;
  Clock::time_point begun_, now_ = Clock::now();
  std::uint64_t asked_ = 0, answered_ = 0, wrong_ = 0, most_ = ~std::uint64_t{0};
  std::vector<double> took_;
};

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--endpoint", "tcp://127.0.0.1:4243"},
                                             {"--connections", "1"},
                                             {"--window", "1"},
                                             {"--seconds", "2"},
                                             {"--calls", "0"},
                                             {"--method", "add"},
                                             {"--args", "[3, 4]"}};
  for (int i = 1; i < argc; i += 2) {
    auto option = options.find(argv[i]);
    if (option == options.end() || i + 1 == argc)
      die("unknown option or no value: " + std::string(argv[i]) +
          "; expected --endpoint, --connections, --window, --seconds, --calls, --method or --args, each with a value");
    option->second = argv[i + 1];
  }
  const std::uint64_t calls = std::stoull(options["--calls"]);
  Load load(options["--endpoint"], std::stoul(options["--connections"]), std::stoul(options["--window"]),
            Request(options["--method"], options["--args"]));
  load.run(calls ? 3600 : std::stod(options["--seconds"]), calls ? calls : ~std::uint64_t{0});
  load.report();
}
