#include "transports/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <stdexcept>

#include "rpc/read_file.h"

namespace sluice::http {
namespace {

std::string why() {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_peek_last_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

// The last common name, as RFC 6125 wants the most specific one; "" for one that has a NUL inside.
std::string common_name(X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  int at = -1;
  for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) at = next;
  if (at < 0) return {};
  unsigned char* utf8 = nullptr;
  const int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (length < 0) return {};
  std::string name(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(length));
  OPENSSL_free(utf8);
  return name.find('\0') == name.npos ? name : std::string();
}

int as_int(std::size_t count) { return static_cast<int>(std::min<std::size_t>(count, INT_MAX)); }

}  // namespace

TlsStream::TlsStream(std::shared_ptr<ssl_ctx_st> context, int fd) : context_(std::move(context)), ssl_(SSL_new(context_.get())) {
  if (!ssl_ || SSL_set_fd(ssl_, fd) != 1) {
    SSL_free(ssl_);
    throw std::runtime_error("TLS: " + why());
  }
  SSL_set_accept_state(ssl_);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

ssize_t TlsStream::recv(char* to, std::size_t most) {
  ERR_clear_error();
  errno = 0;
  return result(SSL_read(ssl_, to, as_int(most)));
}

ssize_t TlsStream::send(const char* from, std::size_t count) {
  ERR_clear_error();
  errno = 0;
  const ssize_t sent = result(SSL_write(ssl_, from, as_int(count)));
  if (sent == 0) errno = EPIPE;
  return sent == 0 ? -1 : sent;
}

ssize_t TlsStream::result(int got) {
  if (got > 0) return got;
  const int error = errno;
  switch (SSL_get_error(ssl_, got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL:
      if (error == 0) return 0;
      errno = error;
      return -1;
    default: errno = ECONNRESET; return -1;  // no TLS, or broken
  }
}

void TlsStream::say_goodbye() {
  ERR_clear_error();
  if (established()) SSL_shutdown(ssl_);
}

bool TlsStream::established() const { return SSL_is_init_finished(ssl_) == 1; }

const std::string& TlsStream::peer() {
  if (peer_known_ || !established()) return peer_;
  peer_known_ = true;
  if (X509* certificate = SSL_get1_peer_certificate(ssl_)) {
    if (SSL_get_verify_result(ssl_) == X509_V_OK) peer_ = common_name(certificate);
    X509_free(certificate);
  }
  return peer_;
}

Tls::Tls(Files files, bool client_required) : files_(std::move(files)), client_required_(client_required), context_(load()) {}

UniqueFunction<void()> Tls::prepare_reload() {
  return [this, fresh = load()]() mutable {
    std::lock_guard lock(mutex_);
    context_ = std::move(fresh);
  };
}

std::unique_ptr<TlsStream> Tls::accept(int fd) const {
  std::unique_lock lock(mutex_);
  auto context = context_;
  lock.unlock();
  return std::make_unique<TlsStream>(std::move(context), fd);
}

std::shared_ptr<ssl_ctx_st> Tls::load() const {
  ERR_clear_error();
  std::shared_ptr<ssl_ctx_st> made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX* context = made.get();
  if (!context) throw std::runtime_error("TLS: " + why());
  constexpr const char *kCertificate = "tls.certificate", *kKey = "tls.key", *kClientCa = "tls.client_ca";
  // OpenSSL does not say which file it cannot read, nor that it is none.
  auto check = [](const char* key, const std::string& file) {
    try {
      check_file(file);
    } catch (const std::runtime_error& problem) {
      throw Unusable(key, problem.what());
    }
  };
  auto fail = [](const char* key, const std::string& what) { throw Unusable(key, what + ": " + why()); };
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("sluice"), 6);
  check(kCertificate, files_.certificate);
  if (SSL_CTX_use_certificate_chain_file(context, files_.certificate.c_str()) != 1) fail(kCertificate, files_.certificate + " is no certificate in PEM");
  check(kKey, files_.key);
  if (SSL_CTX_use_PrivateKey_file(context, files_.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH || ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
    fail(kKey, files_.key + (other ? " is not the key of " + files_.certificate : " is no key in PEM"));
  }
  if (client_required_ && files_.client_ca.empty()) throw Unusable(kClientCa, "a listener mtls:// needs it: the certificates of those who vouch for clients");
  if (!files_.client_ca.empty()) {
    check(kClientCa, files_.client_ca);
    if (SSL_CTX_load_verify_locations(context, files_.client_ca.c_str(), nullptr) != 1) fail(kClientCa, files_.client_ca + " is no file of certificates in PEM");
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files_.client_ca.c_str()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (client_required_ ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  }
  return made;
}

}  // namespace sluice::http
