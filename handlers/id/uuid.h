#pragma once
// UUIDs of RFC 9562 (versions 1, 4, 6 and 7) and ULIDs, made without a store.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::id {

using Uuid = std::array<std::uint8_t, 16>;

std::string uuid_text(const Uuid&);  // 8-4-4-4-12, lower case
std::string ulid_text(const Uuid&);  // 26 letters and digits of Crockford's base 32, upper case
std::optional<Uuid> parse_uuid(std::string_view);  // either text; nullopt: neither

// What a UUID tells: its version, and for 1, 6 and 7 the Unix milliseconds in it.
struct UuidParts {
  int version = 0;
  std::optional<std::int64_t> unix_ms;
};
UuidParts parts(const Uuid&) noexcept;

// Version 7: 48 bits of milliseconds, a 12-bit counter, 62 random bits. The counter begins anywhere in its lower half in each
// millisecond; when it is spent, the next millisecond is begun ahead of time. So they rise strictly as one Uuids gives them,
// also while the clock is stepped back.
struct Uuid7State {
  std::uint64_t ms = 0;
  std::uint32_t counter = 0;
  void next(std::uint64_t now_ms, std::uint32_t random) noexcept;
};

// From any thread, and no thread waits for another.
class Uuids {
 public:
  Uuids();
  Uuid v1();  // time first seen by the low bits: not in order; the node is random, no hardware address
  Uuid v4();  // 122 random bits
  Uuid v6();  // version 1 with the high bits first
  Uuid v7();

 private:
  std::uint64_t gregorian();  // 100 ns since 1582-10-15, never twice the same

  std::atomic<std::uint64_t> seven_{0};  // ms << 12 | counter: what version 7 gave last
  std::atomic<std::uint64_t> last_{0};   // what gregorian() gave last
  std::uint16_t clock_sequence_;
  std::uint64_t node_;
};

}  // namespace sluice::id
