#include "handlers/id/local/high_mark.h"

#include "tests/handlers/id/own_folder.h"

namespace sluice::id {
namespace {

class HighMarkTest : public OwnFolder {
 protected:
  // `home` is the mark's, and runs once: a loop that was stopped does not run again.
  void keep(HighMark& mark, Loop& home, HighMark::Point point) {
    mark.raise(point);
    mark.keep<std::variant<int, Fault>>(7, [&](std::variant<int, Fault> outcome) {
      EXPECT_EQ(std::get<int>(outcome), 7);
      home.stop();
    });
    home.run();
  }

  Loop loop_;
};

TEST_F(HighMarkTest, GatewaysHaveAFileEachAndReadThoseOfTheOthers) {
  {
    Loop other;
    HighMark one(loop_, file_, HighMark::Sharing::shared), two(other, file_, HighMark::Sharing::shared);
    keep(one, loop_, {.mark_ms = 10, .changes = 5});
    keep(two, other, {.mark_ms = 20, .changes = 4});
    const HighMark three(loop_, file_, HighMark::Sharing::shared);
    EXPECT_EQ(three.point().mark_ms, 20);
    EXPECT_EQ(three.point().changes, 5);
    EXPECT_TRUE(std::filesystem::exists(file_ + "-3"));
  }
  const HighMark later(loop_, file_, HighMark::Sharing::shared);
  EXPECT_EQ(later.point().mark_ms, 20);
  EXPECT_FALSE(std::filesystem::exists(file_ + "-4"));
}

TEST_F(HighMarkTest, NeverGoesDown) {
  HighMark mark(loop_, file_, HighMark::Sharing::alone);
  keep(mark, loop_, {.mark_ms = 10, .changes = 5});
  mark.raise({.mark_ms = 9, .changes = 6});
  EXPECT_EQ(mark.point().mark_ms, 10);
  EXPECT_EQ(mark.point().changes, 6);
}

TEST_F(HighMarkTest, OneOfItsOwnIsRefusedToOthers) {
  const HighMark mark(loop_, file_, HighMark::Sharing::alone);
  EXPECT_THROW(HighMark(loop_, file_, HighMark::Sharing::alone), KeptFile::InUse);
}

}  // namespace
}  // namespace sluice::id
