#pragma once
// Hider: numbers of 63 bits turned into others of 63 bits, and back, under a key: a Feistel network whose round function is
// AES-128 (OpenSSL's). Who has no key learns from a hidden id neither the id nor the next one. Nothing is stored: the mapping
// is a permutation, so hidden ids are as unique as the plain ones.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::id {

class Hider {
 public:
  static constexpr int kRounds = 10;
  static constexpr std::size_t kKeyBytes = 16;

  // `id` stands in front of the texts, so that a key can be replaced while old texts are still revealed. Throws
  // std::invalid_argument when the key is not of kKeyBytes.
  Hider(std::string id, std::string_view key);
  // "k1=/etc/sluice/id.key": the file holds 32 hexadecimal digits and is nobody else's to read (mode 0600). Throws
  // std::runtime_error with a message for the operator.
  static Hider from_file(std::string_view setting);

  Hider(Hider&&) noexcept;
  ~Hider();

  // `space` separates: the same number is hidden differently in each. From any thread. `id` is not negative.
  std::int64_t hide(std::int64_t id, std::string_view space) const;
  std::int64_t reveal(std::int64_t hidden, std::string_view space) const;

  const std::string& id() const noexcept { return id_; }

 private:
  struct Cipher;
  std::string id_;
  std::unique_ptr<Cipher> cipher_;
};

// 13 letters and digits of Crockford's base 32, lower case, for a number that is not negative; and back, where upper case and
// the look-alikes o, i and l will do. -1: no such text.
std::string hidden_text(std::int64_t number);
std::int64_t parse_hidden(std::string_view text);

}  // namespace sluice::id
