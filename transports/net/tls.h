#pragma once
// TLS for listeners, by OpenSSL: certificates that can be replaced while connections live, and a stream over one socket that is
// read and written like the socket itself. The only header of ours that stands for OpenSSL.

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "rpc/function.h"

struct ssl_st;
struct ssl_ctx_st;

namespace sluice::http {

class TlsStream {
 public:
  TlsStream(std::shared_ptr<ssl_ctx_st> context, int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // As recv(2) and send(2) on a non-blocking socket; the handshake goes on within them. EAGAIN may mean that the other
  // direction has to move first.
  ssize_t recv(char* to, std::size_t most);
  ssize_t send(const char* from, std::size_t count);
  void say_goodbye();  // nothing is sent after it

  bool established() const;
  // The common name of the peer's certificate, once it was verified; "" without one.
  const std::string& peer();

 private:
  ssize_t result(int got);
  std::shared_ptr<ssl_ctx_st> context_;
  ssl_st* ssl_;
  std::string peer_;
  bool peer_known_ = false;
};

class Tls {
 public:
  struct Files {
    std::string certificate;  // PEM: the server's, then those that lead to its root
    std::string key;          // PEM
    std::string client_ca;    // PEM: who vouches for clients; empty: they are not asked
  };
  // What the constructor and prepare_reload() throw: names the file, and what is wrong with it.
  struct Unusable : std::runtime_error {
    Unusable(const char* key, const std::string& what) : std::runtime_error(std::string(key) + ": " + what), key(key) {}
    const char* const key;  // of the configuration, such as "tls.key"; a literal
  };
  Tls(Files, bool client_required);

  // Reads the files anew and throws when they are broken; what is answered puts them in place, for connections to come.
  UniqueFunction<void()> prepare_reload();
  std::unique_ptr<TlsStream> accept(int fd) const;

 private:
  std::shared_ptr<ssl_ctx_st> load() const;
  const Files files_;
  const bool client_required_;
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace sluice::http
