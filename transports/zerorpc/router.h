#pragma once
// Router: our one ROUTER socket. It and the client, the keys, the ZAP thread and the backlog are all that sees libzmq.

#include <sys/types.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "transports/zerorpc/backlog.h"
#include "transports/zerorpc/zap.h"

namespace sluice::zerorpc {

struct RouterOptions {
  std::size_t message_bytes = 16 * 1024 * 1024;  // of one frame; a longer one ends its connection, as libzmq does it
  int queued_messages = 1000;                    // of one caller, in libzmq, each way
  int handshake_ms = 10'000;
  std::string curve_secret{};                    // of this server, for endpoints curve+tcp://; Z85
  int linger_ms = 1000;  // how long answers may take to leave when the gateway stops
};

// One message as it came; the views point into the Router and hold until the next receive().
struct Incoming {
  std::string_view identity;             // the caller, as libzmq knows it
  std::array<std::string_view, 4> more;  // frames that stood between it and the delimiter; none, as a rule
  std::size_t more_count = 0;
  std::string_view payload;
  std::string_view key;  // the caller's CURVE key, which he proved to be his; Z85; "" without CURVE
};

// Who gets an answer: the caller's identity, then the frames that were between it and the delimiter.
using Address = std::vector<std::string>;

class Router {
 public:
  enum class Got : std::uint8_t { message, nothing, malformed };
  enum class Sent : std::uint8_t { sent, full, gone };  // full: that caller's queue; gone: no such caller any more

  explicit Router(RouterOptions);
  ~Router();

  std::string bind(const std::string& endpoint);  // as bound; throws std::runtime_error
  int fd() const;         // readable when libzmq has news; edge-triggered, so ask readable() after every batch of sends
  bool readable() const;  // does a message wait?

  Got receive(Incoming&);
  // Frames one after the other in `bytes`, of these lengths; the first is the identity.
  Sent send(std::string_view bytes, const std::size_t* lengths, std::size_t count);

 private:
  static constexpr std::size_t kFrames = 7;  // identity, up to 4 more, delimiter, payload

  const std::string curve_secret_;
  bool curve_ = false;
  zmq::context_t context_;
  std::unique_ptr<Zap> zap_;
  zmq::socket_t socket_;
  std::unique_ptr<Backlog> backlog_;
  std::array<zmq::message_t, kFrames> frames_;
  // The files of ipc endpoints, which libzmq leaves behind; by their inode, as another process may have taken the path since.
  struct SocketFile {
    std::string path;
    dev_t device;
    ino_t inode;
  };
  std::vector<SocketFile> files_;
};

}  // namespace sluice::zerorpc
