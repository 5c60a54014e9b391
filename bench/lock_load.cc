// Pairs of lock.acquire and lock.release a second over XML-RPC, by so many callers that each have a connection and a lock.
//   lock_load --port 4242 --callers 64 --seconds 3 [--db SPACE]

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "lock_load: %s\n", why.c_str());
  std::exit(1);
}

std::string request(const std::string& body) {
  return "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string text(const std::string& value) { return "<value><string>" + value + "</string></value>"; }

std::string member(const std::string& name, const std::string& value) { return "<member><name>" + name + "</name>" + text(value) + "</member>"; }

struct Caller {
  int fd = -1;
  std::string name, owner, acquire, answer, db;
  bool releasing = false;

  void send(const std::string& bytes) {
    if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) fail("the gateway took no request");
  }

  // True when that was the second answer of a pair.
  bool read() {
    char bytes[8192];
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) fail("the gateway closed a connection");
    answer.append(bytes, static_cast<std::size_t>(got));
    if (!answer.ends_with("</methodResponse>") && !answer.ends_with("</methodResponse>\n") && !answer.ends_with("</methodResponse>\r\n")) return false;
    if (answer.find(releasing ? "<name>ok</name><value><boolean>1" : "<name>granted</name><value><boolean>1") == answer.npos) fail("not granted or not released: " + answer);
    if (releasing) {
      answer.clear();
      releasing = false;
      send(acquire);
      return true;
    }
    const auto at = answer.find("<name>token</name>");
    const auto digit = answer.find_first_of("0123456789", at + 18);
    const std::string token = answer.substr(digit, answer.find('<', digit) - digit);
    answer.clear();
    releasing = true;
    if (db.empty())
      send(request("<methodCall><methodName>lock.release</methodName><params><param>" + text(name) + "</param><param>" + text(owner) + "</param><param>" + text(token) +
                   "</param></params></methodCall>"));
    else
      send(request("<methodCall><methodName>lock.release</methodName><params><param><value><struct>" + member("name", name) + member("owner", owner) + member("token", token) +
                   member("db", db) + "</struct></value></param></params></methodCall>"));
    return false;
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--port", "4242"}, {"--callers", "64"}, {"--seconds", "3"}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  std::vector<Caller> callers(static_cast<std::size_t>(std::atoi(options["--callers"].c_str())));
  const int epoll = ::epoll_create1(0);
  for (std::size_t i = 0; i < callers.size(); ++i) {
    Caller& caller = callers[i];
    caller.fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(options["--port"].c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(caller.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("nobody listens on port " + options["--port"]);
    const int on = 1;
    ::setsockopt(caller.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &caller;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, caller.fd, &event);
    caller.name = "lock-" + std::to_string(i);
    caller.owner = "caller-" + std::to_string(i);
    caller.db = options["--db"];
    caller.acquire = request("<methodCall><methodName>lock.acquire</methodName><params><param>" + text(caller.name) + "</param><param><value><struct>" +
                             member("owner", caller.owner) + (caller.db.empty() ? "" : member("db", caller.db)) + "</struct></value></param></params></methodCall>");
    caller.send(caller.acquire);
  }
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::duration<double>(std::atof(options["--seconds"].c_str()));
  long pairs = 0;
  while (std::chrono::steady_clock::now() < end) {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll, events, 64, 100);
    for (int i = 0; i < count; ++i) pairs += static_cast<Caller*>(events[i].data.ptr)->read();
  }
  std::printf("%.0f pairs/s\n", static_cast<double>(pairs) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}
