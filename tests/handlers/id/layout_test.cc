#include "handlers/id/layout.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace sluice::id {
namespace {

TEST(Layout, PutsThePartsTogetherAndTakesThemApart) {
  const Layout layout;
  const std::int64_t id = layout.id(5, 3, 7);
  EXPECT_EQ(id, (5 << 22) + (3 << 12) + 7);
  const auto parts = layout.parts(id);
  EXPECT_EQ(parts.unix_ms, kDefaultEpochMs + 5);
  EXPECT_EQ(parts.worker, 3);
  EXPECT_EQ(parts.sequence, 7);
}

TEST(Layout, OfJs53StaysWithinWhatJavaScriptHolds) {
  const Layout layout = parse_space("web layout=js53").layout;
  const std::int64_t last = layout.id((std::int64_t{1} << 31) - 1, 63, 65535);
  EXPECT_EQ(last, (std::int64_t{1} << 53) - 1);
  EXPECT_EQ(layout.tick(kDefaultEpochMs + 1999), 1);
  EXPECT_EQ(layout.tick_up(kDefaultEpochMs + 1001), 2);
  EXPECT_EQ(layout.tick(0), 0);
}

TEST(Layout, LastIdIsNotNegative) {
  const Layout layout = parse_space("x").layout;
  EXPECT_EQ(layout.id((std::int64_t{1} << 41) - 1, 1023, 4095), INT64_MAX);
}

TEST(Space, IsReadFromItsText) {
  const struct {
    const char* text;
    const char* name;
    const char* layout;
  } cases[] = {
      {"main", "main", "41/10/12 1ms 2025-01-01"},
      {"web layout=js53", "web", "31/6/16 1000ms 2025-01-01"},
      {"old epoch=2020-01-01 layout=42/8/13", "old", "42/8/13 1ms 2020-01-01"},
      {"a epoch=2010-11-04 layout=js53", "a", "31/6/16 1000ms 2010-11-04"},
  };
  for (const auto& each : cases) {
    const Space space = parse_space(each.text);
    EXPECT_EQ(space.name, each.name);
    EXPECT_EQ(space.layout.describe(), each.layout);
  }
}

TEST(Space, RefusesWhatItCannotRead) {
  for (const char* text : {"", "layout=js53", "a b", "a layout=41/10", "a layout=41/10/13", "a layout=x/y/z", "a layout=20/1/1", "a epoch=2025-02-30", "a epoch=2025", "a colour=red"})
    EXPECT_THROW(parse_space(text), std::invalid_argument) << text;
}

}  // namespace
}  // namespace sluice::id
