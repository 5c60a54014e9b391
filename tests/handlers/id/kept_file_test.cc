#include "handlers/id/local/kept_file.h"

#include <fstream>
#include <functional>
#include <vector>

#include "tests/handlers/id/own_folder.h"

namespace sluice::id {
namespace {

class KeptFileTest : public OwnFolder {
 protected:
  // One write after another, each on disk before the next.
  void write(const std::vector<std::string>& texts) {
    Loop loop;
    KeptFile kept(loop, file_, "test-1");
    std::function<void(std::size_t)> next = [&](std::size_t i) {
      if (i == texts.size()) return loop.stop();
      kept.keep([&texts, i] { return texts[i]; },
                [&next, i](const Fault* failed) {
                  EXPECT_EQ(failed, nullptr);
                  next(i + 1);
                });
    };
    next(0);
    loop.run();
  }
  std::string found() { return KeptFile(loop_, file_, "test-1").found(); }
  Fault::Kind refusal(const char* format = "test-1") {
    try {
      KeptFile(loop_, file_, format);
    } catch (const Fault& fault) {
      return fault.kind();
    }
    return Fault::Kind::internal;
  }
  void overwrite(std::streamoff at, const std::string& text) {
    std::fstream out(file_, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(at) << text;
  }

  Loop loop_;
};

TEST_F(KeptFileTest, GivesBackWhatWasWrittenLast) {
  EXPECT_EQ(found(), "");
  write({" one", " two", " a longer three"});
  EXPECT_EQ(found(), " a longer three");
  write({" four"});
  EXPECT_EQ(found(), " four");
}

TEST_F(KeptFileTest, AWriteThatWasCutOffLeavesTheOneBefore) {
  write({" one", " two", " three"});  // the third is in the second place
  overwrite(65'536, "test-1 77 900\n4 fo");
  EXPECT_EQ(found(), " two");
}

TEST_F(KeptFileTest, WritesThatComeTogetherAreOneAndAllAreTold) {
  KeptFile kept(loop_, file_, "test-1");
  int texts = 0, told = 0;
  for (int i = 0; i < 10; ++i)
    kept.keep([&] { return " " + std::to_string(++texts); },
              [&](const Fault*) {
                if (++told == 10) loop_.stop();
              });
  loop_.run();
  EXPECT_EQ(texts, 2);
}

TEST_F(KeptFileTest, IsOneGatewaysAlone) {
  const KeptFile kept(loop_, file_, "test-1");
  EXPECT_EQ(refusal(), Fault::Kind::conflict);
}

TEST_F(KeptFileTest, RefusesWhatIsDamagedOrOfAnotherKind) {
  write({" one"});
  EXPECT_EQ(refusal("other-1"), Fault::Kind::conflict);
  overwrite(0, "something else");
  overwrite(65'536, "something else");
  EXPECT_EQ(refusal(), Fault::Kind::conflict);
}

TEST_F(KeptFileTest, SaysThatItsFolderIsNotThere) {
  file_ = (folder_ / "nowhere" / "kept").string();
  EXPECT_EQ(refusal(), Fault::Kind::unavailable);
}

}  // namespace
}  // namespace sluice::id
