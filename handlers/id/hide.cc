#include "handlers/id/hide.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace sluice::id {
namespace {

constexpr char kLetters[] = "0123456789abcdefghjkmnpqrstvwxyz";

int digit_of(char c) noexcept {
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  if (c == 'o') return 0;
  if (c == 'i' || c == 'l') return 1;
  const char* at = c ? std::strchr(kLetters, c) : nullptr;
  return at ? static_cast<int>(at - kLetters) : -1;
}

using Block = std::array<unsigned char, 16>;

EVP_CIPHER_CTX* context() {
  struct Freed {
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    ~Freed() { EVP_CIPHER_CTX_free(context); }
  };
  thread_local Freed freed;
  return freed.context;
}

}  // namespace

struct Hider::Cipher {
  Block key{};
  ~Cipher() { OPENSSL_cleanse(key.data(), key.size()); }

  // One pass through the network, over 64 bits; the rounds run backward to undo it.
  std::uint64_t pass(std::uint64_t value, const Block& tweak, bool back) const {
    auto left = static_cast<std::uint32_t>(value >> 32);
    auto right = static_cast<std::uint32_t>(value);
    for (int i = 0; i < kRounds; ++i) {
      const int round = back ? kRounds - 1 - i : i;
      Block block = tweak;  // 11 octets of the space's, one of the round, four of the half
      block[11] = static_cast<unsigned char>(round);
      std::memcpy(block.data() + 12, back ? &left : &right, 4);
      Block out;
      int size = 0;
      if (EVP_EncryptUpdate(context(), out.data(), &size, block.data(), static_cast<int>(block.size())) != 1) throw std::runtime_error("OpenSSL's AES failed");
      std::uint32_t mix;
      std::memcpy(&mix, out.data(), 4);
      if (back) {
        const std::uint32_t old = right ^ mix;
        right = left;
        left = old;
      } else {
        const std::uint32_t next = left ^ mix;
        left = right;
        right = next;
      }
    }
    return static_cast<std::uint64_t>(left) << 32 | right;
  }

  // Again and again until the sign bit is clear: twice on average, and a permutation of the 63 bits.
  std::int64_t walk(std::int64_t from, std::string_view space, bool back) const {
    if (EVP_EncryptInit_ex(context(), EVP_aes_128_ecb(), nullptr, key.data(), nullptr) != 1) throw std::runtime_error("OpenSSL has no AES-128");
    unsigned char digest[SHA256_DIGEST_LENGTH];
    ::SHA256(reinterpret_cast<const unsigned char*>(space.data()), space.size(), digest);
    Block tweak{};
    std::memcpy(tweak.data(), digest, 11);
    auto value = static_cast<std::uint64_t>(from);
    do value = pass(value, tweak, back);
    while (value >> 63);
    return static_cast<std::int64_t>(value);
  }
};

Hider::Hider(std::string id, std::string_view key) : id_(std::move(id)), cipher_(std::make_unique<Cipher>()) {
  if (key.size() != kKeyBytes) throw std::invalid_argument("a key for hiding ids has " + std::to_string(kKeyBytes) + " bytes, not " + std::to_string(key.size()));
  std::memcpy(cipher_->key.data(), key.data(), kKeyBytes);
}
Hider::Hider(Hider&&) noexcept = default;
Hider::~Hider() = default;

Hider Hider::from_file(std::string_view setting) {
  const auto equals = setting.find('=');
  const std::string id(setting.substr(0, equals));
  bool good = equals != setting.npos && !id.empty() && id.size() <= 16;
  for (const char c : id) good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
  if (!good) throw std::runtime_error("id.keys: '" + std::string(setting) + "' is no key; one is written as 'k1=FILE', the id in lower case letters and digits, 16 at most");
  const std::string path(setting.substr(equals + 1));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    throw std::runtime_error("id.keys: cannot read the key file " + path + ": " + std::generic_category().message(errno) + "; make one with: (umask 077; openssl rand -hex 16 > " + path + ")");
  struct stat status {};
  char text[64]{};
  const bool told = ::fstat(fd, &status) == 0;
  const bool regular = told && S_ISREG(status.st_mode), private_ = told && (status.st_mode & 077) == 0;
  const ssize_t size = ::read(fd, text, sizeof text);
  ::close(fd);
  if (!regular) throw std::runtime_error("id.keys: cannot read the key file " + path + ": it is no regular file");
  if (!private_) throw std::runtime_error("id.keys: the key file " + path + " can be read by others; run: chmod 600 " + path);
  std::string key;
  const std::string_view digits = std::string_view(text, size > 0 ? static_cast<std::size_t>(size) : 0).substr(0, 32);
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    int value = 0;
    for (const char c : digits.substr(i, 2)) {
      const char lower = static_cast<char>(c | 0x20);
      const int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1000;
      value = value * 16 + digit;
    }
    if (value < 0) break;
    key += static_cast<char>(value);
  }
  const std::string_view rest = std::string_view(text, size > 0 ? static_cast<std::size_t>(size) : 0).substr(std::min<std::size_t>(32, size > 0 ? static_cast<std::size_t>(size) : 0));
  OPENSSL_cleanse(text, 32);
  if (key.size() != kKeyBytes || rest.find_first_not_of(" \r\n\t") != rest.npos)
    throw std::runtime_error("id.keys: the key file " + path + " must hold 32 hexadecimal digits and nothing else; make one with: (umask 077; openssl rand -hex 16 > " + path + ")");
  Hider hider(id, key);
  OPENSSL_cleanse(key.data(), key.size());
  return hider;
}

std::int64_t Hider::hide(std::int64_t id, std::string_view space) const { return cipher_->walk(id, space, false); }
std::int64_t Hider::reveal(std::int64_t hidden, std::string_view space) const { return cipher_->walk(hidden, space, true); }

std::string hidden_text(std::int64_t number) {
  std::string out(13, '0');
  auto rest = static_cast<std::uint64_t>(number);
  for (std::size_t i = 13; i-- > 0; rest >>= 5) out[i] = kLetters[rest & 31];
  return out;
}

std::int64_t parse_hidden(std::string_view text) {
  if (text.size() != 13 || digit_of(text[0]) > 7) return -1;
  std::uint64_t value = 0;
  for (const char c : text) {
    const int digit = digit_of(c);
    if (digit < 0) return -1;
    value = value << 5 | static_cast<unsigned>(digit);
  }
  return static_cast<std::int64_t>(value);
}

}  // namespace sluice::id
