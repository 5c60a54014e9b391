#include "handlers/sql/token.h"

#include <sodium/utils.h>

#include <array>
#include <charconv>

namespace sluice::sql {
namespace {

constexpr std::string_view kPrefix = "s1.";  // the form's version
constexpr std::size_t kSignature = 24;       // hexadecimal digits: 96 bits
constexpr std::size_t kLongest = 4096;

template <class T>
bool number(std::string_view& text, T& out, char end) {
  auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  if (end == '\0') return true;
  if (text.empty() || text.front() != end) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Seal::Seal(std::string_view secret) {
  crypto_auth_hmacsha256_init(&keyed_, reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
}

std::string Seal::signature(std::string_view payload) const {
  auto state = keyed_;
  std::array<unsigned char, crypto_auth_hmacsha256_BYTES> digest;
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(payload.data()), payload.size());
  crypto_auth_hmacsha256_final(&state, digest.data());
  std::string out;
  for (std::size_t i = 0; i < kSignature / 2; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

// s1.<system>.<domain>-<origin>-<seq>[_...].<signature>
std::string Seal::close(const Position& at) const {
  std::string out(kPrefix);
  out += at.system;
  out += '.';
  for (std::size_t i = 0; i < at.marks.size(); ++i) {
    if (i > 0) out += '_';
    const Mark& mark = at.marks[i];
    out += std::to_string(mark.domain) + "-" + std::to_string(mark.origin) + "-" + std::to_string(mark.seq);
  }
  out += '.';
  return out + signature(std::string_view(out).substr(0, out.size() - 1));
}

std::optional<Position> Seal::open(std::string_view token) const {
  if (!token.starts_with(kPrefix) || token.size() > kLongest) return std::nullopt;
  const auto last = token.rfind('.');
  const auto payload = token.substr(0, last);
  const auto given = token.substr(last + 1);
  if (given.size() != kSignature || sodium_memcmp(given.data(), signature(payload).data(), kSignature) != 0) return std::nullopt;
  const auto system_end = payload.find('.', kPrefix.size());
  if (system_end == payload.npos) return std::nullopt;
  Position out;
  out.system = payload.substr(kPrefix.size(), system_end - kPrefix.size());
  auto rest = payload.substr(system_end + 1);
  while (!rest.empty()) {
    Mark mark;
    if (!number(rest, mark.domain, '-') || !number(rest, mark.origin, '-') || !number(rest, mark.seq, '\0')) return std::nullopt;
    out.marks.push_back(mark);
    if (!rest.empty() && rest.front() == '_') rest.remove_prefix(1);
    else if (!rest.empty()) return std::nullopt;
  }
  return out;
}

}  // namespace sluice::sql
