#include "handlers/zookeeper/session.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>

namespace sluice::zookeeper {
namespace {

using std::chrono::milliseconds;

constexpr std::int32_t kPing = 11, kSync = 9, kNoNode = -101, kUnimplemented = -6;

std::string int32(std::int32_t n) {
  const auto wire = htonl(static_cast<std::uint32_t>(n));
  return {reinterpret_cast<const char*>(&wire), sizeof wire};
}

// Serves one client, who finds no node here, and nothing at all when he reads without a sync. What is read is answered only when the
// next request has come, as a server before ZooKeeper 3.8.1 does now and then.
class ForgetfulFollower {
 public:
  ForgetfulFollower() {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&any), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size), 0);
    hosts_ = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~ForgetfulFollower() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  const std::string& hosts() const { return hosts_; }

 private:
  void serve() {
    client_ = accept(listener_, nullptr, nullptr);
    if (!frame()) return;
    // Protocol, the session's time, its id, its password, whether this server is read-only.
    send(int32(0) + int32(30'000) + int32(0) + int32(7) + int32(16) + std::string(16, '.') + '\0');
    std::string forgotten;
    bool up_to_date = false;
    while (const auto request = frame()) {
      if (!forgotten.empty()) send(std::exchange(forgotten, {}));
      const std::int32_t type = number(request->substr(4, 4));
      const std::string header = request->substr(0, 4) + int32(0) + int32(1);
      if (type == kPing) {
        send(header + int32(0));
      } else if (type == kSync) {
        send(header + int32(0) + int32(1) + "/");
        up_to_date = true;
      } else {
        forgotten = header + int32(std::exchange(up_to_date, false) ? kNoNode : kUnimplemented);
      }
    }
    close(client_);
  }

  std::optional<std::string> frame() {
    const auto size = take(4);
    return size ? take(static_cast<std::size_t>(number(*size))) : std::nullopt;
  }
  std::optional<std::string> take(std::size_t size) {
    std::string text(size, '\0');
    if (recv(client_, text.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size)) return std::nullopt;
    return text;
  }
  void send(const std::string& frame) {
    const std::string text = int32(static_cast<std::int32_t>(frame.size())) + frame;
    EXPECT_EQ(::send(client_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static std::int32_t number(const std::string& wire) {
    std::uint32_t n = 0;
    wire.copy(reinterpret_cast<char*>(&n), sizeof n);
    return static_cast<std::int32_t>(ntohl(n));
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client_ = -1;
  std::string hosts_;
  std::thread thread_;
};

void has_no_node(void (Session::*ask)(const std::string&, Answered)) {
  ForgetfulFollower server;
  Loop loop;
  Session session(loop, server.hosts(), milliseconds(30'000));  // after two thirds of that it would leave the server
  (session.*ask)("/a", [&](Answer answer) {
    EXPECT_EQ(answer.code, Code::no_node) << answer.why;
    loop.stop();
  });
  loop.run();
}

TEST(Session, AServerThatLetsARequestLieIsReminded) { has_no_node(&Session::get); }

TEST(Session, AListIsAsNewAsWhatWasAcknowledged) { has_no_node(&Session::children); }

TEST(Session, AWatchBeginsWithALook) {
  ForgetfulFollower server;
  Loop loop;
  Session session(loop, server.hosts(), milliseconds(30'000));
  std::unique_ptr<Session::Watch> watch = session.watch("/a", [&] {
    watch.reset();
    loop.stop();
  });
  loop.run();
  EXPECT_FALSE(watch);
}

}  // namespace
}  // namespace sluice::zookeeper
