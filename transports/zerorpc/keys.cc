#include "transports/zerorpc/keys.h"

#include <fcntl.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <stdexcept>

namespace sluice::zerorpc {

KeyPair make_keys() {
  std::array<char, 41> public_key{}, secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) throw std::runtime_error("this libzmq was built without CURVE");
  return {public_key.data(), secret_key.data()};
}

bool is_key(const std::string& text) noexcept {
  std::array<unsigned char, 32> raw{};
  return text.size() == 40 && zmq_z85_decode(raw.data(), text.c_str()) != nullptr;
}

void save_keys(const std::string& file, const KeyPair& keys) {
  const std::string content = "public " + keys.public_key + "\nsecret " + keys.secret_key + "\n";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool well = fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!well) throw std::runtime_error(file + " cannot be written: " + std::strerror(error) + (error == EEXIST ? "; remove it first if its key is not in use" : ""));
}

KeyPair load_keys(const std::string& file, FileKind kind) {
  std::istringstream in(read_file(file, kind));
  KeyPair keys;
  std::string name, value;
  while (in >> name >> value) {
    if (name == "public") keys.public_key = value;
    if (name == "secret") keys.secret_key = value;
  }
  if (!is_key(keys.public_key) || !is_key(keys.secret_key))
    throw std::runtime_error(file + " holds no key pair; expected the lines 'public KEY' and 'secret KEY' that `sluice keygen` writes");
  return keys;
}

}  // namespace sluice::zerorpc
