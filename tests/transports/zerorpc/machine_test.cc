// Heartbeats and windows, the two pure machines of a channel, by tables.

#include <gtest/gtest.h>

#include <limits>

#include "transports/zerorpc/heartbeat.h"
#include "transports/zerorpc/window.h"

namespace sluice::zerorpc {
namespace {

// 't': a tick; 'h': a heartbeat was heard. What the ticks say: b(eat), L(ost), - (nothing).
std::string play(Heartbeat heartbeat, std::string_view events) {
  std::string said;
  for (char event : events) {
    if (event == 'h') {
      heartbeat.heard();
      continue;
    }
    switch (heartbeat.tick()) {
      case Heartbeat::Action::beat: said += 'b'; break;
      case Heartbeat::Action::lost: said += 'L'; break;
      case Heartbeat::Action::none: said += '-'; break;
    }
  }
  return said;
}

TEST(Heartbeat, IsLostAtTheThirdTickInSilence) {
  struct Case {
    std::string_view what, events, says;
  };
  const Case cases[] = {
      {"a silent peer", "ttt", "bbL"},
      {"a lively one", "hthththt", "bbbb"},
      {"one that falls silent", "thtttt", "bbbLL"},
      {"one that comes back in time", "tthttht", "bbbbb"},
      {"two heartbeats at once are worth one", "thhttt", "bbbL"},
  };
  for (const Case& one : cases) EXPECT_EQ(play(Heartbeat(), one.events), one.says) << one.what;
}

TEST(Heartbeat, APassiveSideWaitsForTheFirst) {
  EXPECT_EQ(play(Heartbeat(true), "tttttt"), "------");
  EXPECT_EQ(play(Heartbeat(true), "tthttt"), "--bbL");
}

TEST(Window, BeginsWithOneSlotAndAdds) {
  Window window;
  EXPECT_TRUE(window.take());
  EXPECT_FALSE(window.take());
  window.add(2);
  window.add(1);
  EXPECT_EQ(window.slots(), 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(window.take());
  EXPECT_FALSE(window.take());
}

TEST(Window, AnAbsurdAnnouncementIsBounded) {
  for (std::int64_t more : {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}}) {
    Window window;
    window.add(more);
    window.add(more);
    EXPECT_GE(window.slots(), 0);
    EXPECT_LE(window.slots(), 1'000'000);
    window.add(Window::kMost);
    window.add(Window::kMost);
    EXPECT_EQ(window.slots(), 1'000'000) << "after " << more;
  }
}

TEST(Window, WhatIsTakenBackIsMissingFromWhatIsAnnouncedNext) {
  Window window;
  window.add(2);
  window.add(-5);
  EXPECT_EQ(window.slots(), 0);
  EXPECT_FALSE(window.take());
  window.add(3);
  EXPECT_EQ(window.slots(), 1);
}

}  // namespace
}  // namespace sluice::zerorpc
