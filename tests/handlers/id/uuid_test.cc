#include "handlers/id/uuid.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include "handlers/id/random.h"

namespace sluice::id {
namespace {

std::int64_t wall_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

TEST(Uuid, CarriesItsVersionVariantAndTime) {
  Uuids uuids;
  const std::pair<int, Uuid> all[] = {{1, uuids.v1()}, {4, uuids.v4()}, {6, uuids.v6()}, {7, uuids.v7()}};
  for (const auto& [version, uuid] : all) {
    EXPECT_EQ(parts(uuid).version, version);
    EXPECT_EQ(uuid[8] & 0xc0, 0x80);
    EXPECT_EQ(parse_uuid(uuid_text(uuid)), uuid);
    EXPECT_EQ(parse_uuid(ulid_text(uuid)), uuid);
    EXPECT_EQ(parts(uuid).unix_ms.has_value(), version != 4);
    if (version == 4) continue;
    EXPECT_NEAR(static_cast<double>(*parts(uuid).unix_ms), static_cast<double>(wall_ms()), 5000);
  }
}

TEST(Uuid, TextsAreThoseOfTheRfc) {
  // RFC 9562, appendix A: the same instant in versions 1, 6 and 7.
  for (const char* text : {"c232ab00-9414-11ec-b3c8-9f6bdeced846", "1ec9414c-232a-6b00-b3c8-9f6bdeced846", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"}) {
    const auto uuid = parse_uuid(text);
    ASSERT_TRUE(uuid);
    EXPECT_EQ(uuid_text(*uuid), text);
    EXPECT_EQ(parts(*uuid).unix_ms, 1645557742000) << text;
  }
  for (const char* text : {"", "c232ab00-9414-11ec-b3c8-9f6bdeced84", "c232ab00x9414-11ec-b3c8-9f6bdeced846", "g232ab00-9414-11ec-b3c8-9f6bdeced846", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000U"})
    EXPECT_FALSE(parse_uuid(text)) << text;
}

TEST(Uuid, Versions6And7RiseAndVersion1DoesNotRepeat) {
  Uuids uuids;
  std::set<Uuid> ones;
  Uuid six = uuids.v6(), seven = uuids.v7();
  for (int i = 0; i < 100'000; ++i) {
    const Uuid next6 = uuids.v6(), next7 = uuids.v7();
    ASSERT_LT(six, next6);
    ASSERT_LT(seven, next7);
    six = next6;
    seven = next7;
    ASSERT_TRUE(ones.insert(uuids.v1()).second);
  }
}

TEST(Uuid, Version7RisesWhileTheClockIsSteppedBack) {
  Uuid7State state;
  state.next(1'000'000, 5);
  auto last = state;
  for (int i = 0; i < 10'000; ++i) {
    state.next(10, 0x7ff);
    ASSERT_TRUE(state.ms > last.ms || (state.ms == last.ms && state.counter > last.counter));
    ASSERT_LE(state.counter, 0xfffu);
    last = state;
  }
}

TEST(Random, IsAnotherInAForkedChild) {
  random_word();  // the store is filled
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::uint64_t word = random_word();
    ::_exit(::write(ends[1], &word, sizeof word) == sizeof word ? 0 : 1);
  }
  std::uint64_t theirs = 0;
  ASSERT_EQ(::read(ends[0], &theirs, sizeof theirs), static_cast<ssize_t>(sizeof theirs));
  ::waitpid(child, nullptr, 0);
  EXPECT_NE(theirs, random_word());
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace sluice::id
