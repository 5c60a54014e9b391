#include "handlers/id/generator.h"

#include <gtest/gtest.h>

#include <functional>

namespace sluice::id {
namespace {

using std::chrono::milliseconds;

// Answers at once, and nothing but faults while it is away.
class OwnStore : public Store {
 public:
  bool away = false;
  int extended = 0;

  std::string_view backend() const override { return "test"; }
  void claim(Claim claim, UniqueFunction<void(Claimed)> done) override { done(Tenure{0, 1, claim.floor_ms, claim.floor_ms + claim.window_ms}); }
  void extend(Extend, UniqueFunction<void(Extended)> done) override {
    if (away) return done(Fault(Fault::Kind::unavailable, "away"));
    ++extended;
    done(Kept{true});
  }
  void release(Extend, UniqueFunction<void(Extended)> done) override { done(Kept{true}); }
  void create(Tag, UniqueFunction<void(Creation)>) override { FAIL(); }
  void reserve(std::string, std::int64_t, UniqueFunction<void(Reserved)>) override { FAIL(); }
  void sequence(std::string, UniqueFunction<void(Number)>) override { FAIL(); }
};

struct GeneratorTest : testing::Test {
  Loop loop;
  OwnStore store;
  Timer timer{loop};
  Clock::time_point until = deadline_in(milliseconds(5000));

  void run_until(std::function<bool()> met) {  // or for 5 s
    timer.start(milliseconds(8), [this, met] {
      if (met() || Clock::now() > until) return loop.stop();
      run_until(met);
    });
  }
};

TEST_F(GeneratorTest, GoesOnWithTheTimeAfterTheStoreWasAwayForAMoment) {
  Generator generator({"main", Layout{}}, store, loop, {.gateway = "one", .window_ms = 40, .lease_ms = 100});
  std::optional<Generator::Given> first, late;
  loop.post([&] { generator.wait(1, [&](Generator::Given given) { first = std::move(given); }); });
  const auto window_is_over = deadline_in(milliseconds(100));
  run_until([&] {
    if (Clock::now() < window_is_over) return false;
    if (!late) {
      store.away = true;
      generator.wait(1, [&](Generator::Given given) { late = std::move(given); });
      store.away = false;
    }
    generator.take(1);  // what is left below the mark would last for long
    return store.extended > 0;
  });
  loop.run();
  ASSERT_TRUE(first && std::holds_alternative<Snowflake::Block>(*first));
  ASSERT_TRUE(late && std::holds_alternative<Snowflake::Block>(*late));
  EXPECT_GT(store.extended, 0) << "it gives what is below the mark, and asks for no more";
}

}  // namespace
}  // namespace sluice::id
