#include "transports/zerorpc/backlog.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

namespace sluice::zerorpc {
namespace {

// Accepts and closes, on a thread with a table of descriptors of its own: there it has free ones when the process has none. A spare one
// of the process, given up for a moment, would be taken by libzmq's thread, which asks without a pause. Unbinding is no way either:
// libzmq closes the connections that came by that endpoint.
class Refuser {
 public:
  explicit Refuser(std::vector<int> listeners) : listeners_(std::move(listeners)), thread_([this] { run(); }) {}
  ~Refuser() {
    stopping_ = true;
    refuse();
    thread_.join();
  }

  void refuse() {
    asked_.fetch_add(1);
    asked_.notify_one();
  }

 private:
  void run() {
    if (!keep_listeners_only()) return;
    for (unsigned seen = 0; !stopping_; asked_.wait(seen)) {
      seen = asked_.load();
      for (int listener : listeners_)
        for (int fd = -1; (fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) ::close(fd);
    }
  }

  // All else has to go from this table: what the process closes is not closed for its peer while it is open here.
  bool keep_listeners_only() {
    std::sort(listeners_.begin(), listeners_.end());
    const auto after_last = static_cast<unsigned>(listeners_.back()) + 1;
    if (::close_range(after_last, ~0U, CLOSE_RANGE_UNSHARE) < 0) return false;
    unsigned from = 0;
    for (int listener : listeners_) {
      const auto kept = static_cast<unsigned>(listener);
      if (kept > from) ::close_range(from, kept - 1, 0);
      from = kept + 1;
    }
    return true;
  }

  std::vector<int> listeners_;
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> asked_{0};
  std::thread thread_;
};

}  // namespace

Backlog::Backlog(zmq::context_t& context, zmq::socket_t& listening) : events_(context, zmq::socket_type::pair) {
  constexpr const char* kEvents = "inproc://listeners";
  if (zmq_socket_monitor(listening.handle(), kEvents, ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPT_FAILED) < 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  events_.connect(kEvents);
  thread_ = std::thread([this] { run(); });
}

Backlog::~Backlog() { thread_.join(); }

void Backlog::run() {
  std::vector<int> listeners;
  std::optional<Refuser> refuser;  // from the first need on
  try {
    for (;;) {
      zmq::message_t event;  // 16 bits say which, 32 are its value
      zmq::message_t endpoint;
      [[maybe_unused]] auto first = events_.recv(event);
      [[maybe_unused]] auto second = events_.recv(endpoint);
      std::uint16_t which = 0;
      std::int32_t value = 0;
      std::memcpy(&which, event.data(), sizeof which);
      std::memcpy(&value, event.data<char>() + sizeof which, sizeof value);
      if (which == ZMQ_EVENT_LISTENING) {
        // Else whichever of the two threads comes second would wait in accept().
        if (::fcntl(value, F_SETFL, ::fcntl(value, F_GETFL) | O_NONBLOCK) == 0) listeners.push_back(value);
      } else if (which == ZMQ_EVENT_ACCEPT_FAILED && value == EMFILE && !listeners.empty()) {
        try {
          if (!refuser) refuser.emplace(listeners);
          refuser->refuse();
        } catch (const std::system_error&) {  // no thread to be had: the next failure tries again
        }
      }
    }
  } catch (const zmq::error_t&) {  // the context is shut down
    events_.close();
  }
}

}  // namespace sluice::zerorpc
