#include "handlers/id/uuid.h"

#include <ctime>

#include <cstring>

#include "handlers/id/random.h"

namespace sluice::id {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kGregorianToUnix = 0x01B21DD213814000;  // 100 ns from 1582-10-15 to 1970-01-01
constexpr char kHex[] = "0123456789abcdef";
constexpr char kCrockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

timespec wall() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t;
}

void put(Uuid& to, std::size_t at, std::size_t size, std::uint64_t value) noexcept {
  for (std::size_t i = 0; i < size; ++i) to[at + i] = static_cast<std::uint8_t>(value >> (8 * (size - 1 - i)));
}
std::uint64_t get(const Uuid& from, std::size_t at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | from[at + i];
  return value;
}

void mark(Uuid& uuid, int version) noexcept {
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | version << 4);
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<Uuid> parse_hex(std::string_view text) {
  Uuid out{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int digit = hex_digit(text[i]);
    if (digit < 0) return std::nullopt;
    out[digits / 2] = static_cast<std::uint8_t>(out[digits / 2] << 4 | digit);
    ++digits;
  }
  return out;
}

std::optional<Uuid> parse_ulid(std::string_view text) {
  if (text[0] > '7') return std::nullopt;  // 130 bits of text, 128 of value
  Wide value = 0;
  for (char c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    const char* at = c ? std::strchr(kCrockford, c) : nullptr;
    if (!at) return std::nullopt;
    value = value << 5 | static_cast<unsigned>(at - kCrockford);
  }
  Uuid out{};
  put(out, 0, 8, static_cast<std::uint64_t>(value >> 64));
  put(out, 8, 8, static_cast<std::uint64_t>(value));
  return out;
}

}  // namespace

std::string uuid_text(const Uuid& uuid) {
  std::string out(36, '-');
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    out[at++] = kHex[uuid[i] >> 4];
    out[at++] = kHex[uuid[i] & 15];
  }
  return out;
}

std::string ulid_text(const Uuid& uuid) {
  Wide value = static_cast<Wide>(get(uuid, 0, 8)) << 64 | get(uuid, 8, 8);
  std::string out(26, '0');
  for (std::size_t i = 26; i-- > 0; value >>= 5) out[i] = kCrockford[static_cast<unsigned>(value) & 31];
  return out;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() == 36) return parse_hex(text);
  if (text.size() == 26) return parse_ulid(text);
  return std::nullopt;
}

UuidParts parts(const Uuid& uuid) noexcept {
  const int version = uuid[6] >> 4;
  const auto unix_ms = [](std::uint64_t gregorian) { return (static_cast<std::int64_t>(gregorian) - static_cast<std::int64_t>(kGregorianToUnix)) / 10'000; };
  switch (version) {
    case 1: return {1, unix_ms((get(uuid, 6, 2) & 0x0fff) << 48 | get(uuid, 4, 2) << 32 | get(uuid, 0, 4))};
    case 6: return {6, unix_ms(get(uuid, 0, 6) << 12 | (get(uuid, 6, 2) & 0x0fff))};
    case 7: return {7, static_cast<std::int64_t>(get(uuid, 0, 6))};
    default: return {version, std::nullopt};
  }
}

void Uuid7State::next(std::uint64_t now_ms, std::uint32_t random) noexcept {
  if (now_ms > ms) {
    ms = now_ms;
    counter = random & 0x7ff;
  } else if (++counter > 0xfff) {
    ++ms;
    counter = random & 0x7ff;
  }
}

Uuids::Uuids() : clock_sequence_(static_cast<std::uint16_t>(random_word())), node_(random_word() | std::uint64_t{1} << 40) {}  // the bit of a node that is no hardware's

std::uint64_t Uuids::gregorian() {
  const timespec t = wall();
  const std::uint64_t now = static_cast<std::uint64_t>(t.tv_sec) * 10'000'000 + static_cast<std::uint64_t>(t.tv_nsec) / 100 + kGregorianToUnix;
  std::uint64_t last = last_.load(std::memory_order_relaxed), next = 0;
  do next = now > last ? now : last + 1;
  while (!last_.compare_exchange_weak(last, next, std::memory_order_relaxed));
  return next;
}

Uuid Uuids::v1() {
  const std::uint64_t time = gregorian();
  Uuid out;
  put(out, 0, 4, time);
  put(out, 4, 2, time >> 32);
  put(out, 6, 2, time >> 48);
  put(out, 8, 2, clock_sequence_);
  put(out, 10, 6, node_);
  mark(out, 1);
  return out;
}

Uuid Uuids::v4() {
  Uuid out;
  random_octets(out.data(), out.size());
  mark(out, 4);
  return out;
}

Uuid Uuids::v6() {
  const std::uint64_t time = gregorian();
  Uuid out;
  put(out, 0, 6, time >> 12);
  put(out, 6, 2, time & 0x0fff);
  put(out, 8, 2, clock_sequence_);
  put(out, 10, 6, node_);
  mark(out, 6);
  return out;
}

Uuid Uuids::v7() {
  std::uint64_t random[2]{};
  random_octets(random, 10);  // 64 bits for the tail, 16 for the counter's beginning
  const timespec t = wall();
  const std::uint64_t now = static_cast<std::uint64_t>(t.tv_sec) * 1000 + static_cast<std::uint64_t>(t.tv_nsec) / 1'000'000;
  std::uint64_t last = seven_.load(std::memory_order_relaxed);
  Uuid7State state;
  do {
    state = {last >> 12, static_cast<std::uint32_t>(last & 0xfff)};
    state.next(now, static_cast<std::uint32_t>(random[1] & 0xffff));
  } while (!seven_.compare_exchange_weak(last, state.ms << 12 | state.counter, std::memory_order_relaxed));
  Uuid out;
  put(out, 0, 6, state.ms);
  put(out, 6, 2, state.counter);
  put(out, 8, 8, random[0]);
  mark(out, 7);
  return out;
}

}  // namespace sluice::id
