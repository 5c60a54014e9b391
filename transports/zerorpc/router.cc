#include "transports/zerorpc/router.h"

#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

namespace sluice::zerorpc {
namespace {

std::string advice(int error) {
  switch (error) {
    case EADDRINUSE: return "another process listens there; choose another port (0 takes a free one)";
    case EACCES: return "this user may not listen there; choose a port above 1023 or a folder that is yours";
    case EADDRNOTAVAIL:
    case ENODEV: return "this machine has no such address; 127.0.0.1 serves this machine alone, * everybody";
    default: return "expected tcp://ADDRESS:PORT or ipc://PATH";
  }
}

std::string_view view(const zmq::message_t& frame) { return {static_cast<const char*>(frame.data()), frame.size()}; }

}  // namespace

Router::Router(RouterOptions options) : curve_secret_(options.curve_secret), context_(1) {
  context_.set(zmq::ctxopt::max_sockets, 4);  // ours, ZAP's and both ends of the backlog's events; a leak should show
  socket_ = zmq::socket_t(context_, zmq::socket_type::router);
  socket_.set(zmq::sockopt::router_mandatory, true);  // else libzmq drops in silence what it cannot deliver
  socket_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options.message_bytes));
  socket_.set(zmq::sockopt::handshake_ivl, options.handshake_ms);
  socket_.set(zmq::sockopt::rcvhwm, options.queued_messages);
  socket_.set(zmq::sockopt::sndhwm, options.queued_messages);
  socket_.set(zmq::sockopt::linger, options.linger_ms);
  socket_.set(zmq::sockopt::tcp_keepalive, 1);
  socket_.set(zmq::sockopt::backlog, 1024);
  backlog_ = std::make_unique<Backlog>(context_, socket_);
}

Router::~Router() {
  socket_.close();  // with its linger, which the context waits for
  context_.shutdown();
  zap_.reset();
  backlog_.reset();
  for (const SocketFile& file : files_)
    if (struct stat now{}; ::stat(file.path.c_str(), &now) == 0 && now.st_dev == file.device && now.st_ino == file.inode) ::unlink(file.path.c_str());
}

std::string Router::bind(const std::string& wanted) {
  constexpr std::string_view kCurve = "curve+";
  const bool curve = wanted.starts_with(kCurve);
  const std::string endpoint = curve ? wanted.substr(kCurve.size()) : wanted;
  if (curve && curve_secret_.empty())
    throw std::runtime_error("zerorpc cannot listen on '" + wanted + "' without a key: make one by `sluice keygen FILE` and name it in zerorpc.curve_keys");
  if (curve && !zap_) zap_ = std::make_unique<Zap>(context_);
  curve_ = curve_ || curve;
  // libzmq takes these over into each listener as it is bound.
  socket_.set(zmq::sockopt::curve_server, curve);
  if (curve) socket_.set(zmq::sockopt::curve_secretkey, curve_secret_);
  if (!endpoint.starts_with("tcp://") && !endpoint.starts_with("ipc://"))
    throw std::runtime_error("zerorpc cannot listen on '" + endpoint +
                             "': unknown kind of endpoint; expected tcp://ADDRESS:PORT or ipc://PATH");
  try {
    socket_.bind(endpoint);
  } catch (const zmq::error_t& error) {
    throw std::runtime_error("zerorpc cannot listen on '" + endpoint + "': " + error.what() + "; " + advice(error.num()));
  }
  const std::string bound = socket_.get(zmq::sockopt::last_endpoint);
  constexpr std::string_view kIpc = "ipc://";
  if (bound.starts_with(kIpc)) {
    const std::string path = bound.substr(kIpc.size());
    if (struct stat file{}; ::stat(path.c_str(), &file) == 0) files_.push_back({path, file.st_dev, file.st_ino});
  }
  return (curve ? std::string(kCurve) : std::string()) + bound;
}

int Router::fd() const { return static_cast<int>(socket_.get(zmq::sockopt::fd)); }

bool Router::readable() const { return (socket_.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0; }

Router::Got Router::receive(Incoming& incoming) {
  std::size_t count = 0;
  bool more = true;
  while (more) {
    zmq::message_t& frame = frames_[std::min(count, kFrames - 1)];  // what is beyond is read and forgotten
    if (!socket_.recv(frame, zmq::recv_flags::dontwait)) return Got::nothing;
    ++count;
    more = frame.more();
  }
  if (count < 2 || count > kFrames) return Got::malformed;
  incoming.identity = view(frames_[0]);
  incoming.payload = view(frames_[count - 1]);
  const char* key = curve_ ? zmq_msg_gets(frames_[count - 1].handle(), "User-Id") : nullptr;
  incoming.key = key ? std::string_view(key) : std::string_view();
  // The delimiter's content is not looked at, and it may be missing: so do zerorpc's own servers.
  incoming.more_count = count > 3 ? count - 3 : 0;
  for (std::size_t i = 0; i < incoming.more_count; ++i) incoming.more[i] = view(frames_[1 + i]);
  return Got::message;
}

Router::Sent Router::send(std::string_view bytes, const std::size_t* lengths, std::size_t count) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
    if (zmq_send(socket_.handle(), bytes.data() + at, lengths[i], flags) < 0) return zmq_errno() == EHOSTUNREACH ? Sent::gone : Sent::full;
    at += lengths[i];
  }
  return Sent::sent;
}

}  // namespace sluice::zerorpc
