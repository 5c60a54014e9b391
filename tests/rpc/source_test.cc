#include "rpc/source.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

// Counts up; answers at once, or keeps the receiver until told.
class Counting : public Source {
 public:
  Counting(std::int64_t end, std::optional<Fault> fault = {}, Receiver* keep = nullptr) : end_(end), fault_(std::move(fault)), keep_(keep) {}
  void pull(std::size_t most, Receiver receive) override {
    if (keep_) {
      *keep_ = std::move(receive);
      return;
    }
    receive(next(most));
  }
  Batch next(std::size_t most) {
    Batch batch;
    while (at_ < end_ && batch.items.size() < most) batch.items.emplace_back(at_++);
    batch.end = at_ == end_;
    if (batch.end && fault_) batch.fault = fault_;
    return batch;
  }

 private:
  std::int64_t at_ = 0, end_;
  std::optional<Fault> fault_;
  Receiver* keep_;
};

std::variant<Value, Fault> gathered(std::unique_ptr<Source> source, GatherLimits limits = {.items = 1000}) {
  std::optional<std::variant<Value, Fault>> result;
  gather(std::move(source), limits, [&](std::variant<Value, Fault> r) { result = std::move(r); });
  return result.value();
}

TEST(Gather, MakesAnArrayOfAStream) {
  EXPECT_EQ(std::get<Value>(gathered(std::make_unique<Counting>(3))), Value(Value::Array{0, 1, 2}));
  EXPECT_EQ(std::get<Value>(gathered(std::make_unique<Counting>(0))), Value(Value::Array{}));
}

TEST(Gather, DoesNotDeepenTheStackBatchByBatch) {
  auto all = std::get<Value>(gathered(std::make_unique<Counting>(2'000'000), {.items = 2'000'000}));
  EXPECT_EQ(all.get_if<Value::Array>()->size(), 2'000'000u);
}

TEST(Gather, StopsAtTheLimitEvenOfAnEndlessStream) {
  auto fault = std::get<Fault>(gathered(std::make_unique<Counting>(std::numeric_limits<std::int64_t>::max()), {.items = 1000}));
  EXPECT_EQ(fault.kind(), Fault::Kind::too_large);
}

TEST(Gather, StopsAtItsBytesTooHoweverFewTheItems) {
  auto fault = std::get<Fault>(gathered(std::make_unique<Counting>(std::numeric_limits<std::int64_t>::max()), {.items = 1'000'000, .bytes = 100'000}));
  EXPECT_EQ(fault.kind(), Fault::Kind::too_large);
  EXPECT_NE(fault.message().find("100000 bytes"), std::string::npos) << fault.message();
}

TEST(Gather, AnswersWithTheFaultThatBrokeTheStream) {
  auto fault = std::get<Fault>(gathered(std::make_unique<Counting>(3, Fault(Fault::Kind::sql_error, "disk I/O error"))));
  EXPECT_EQ(fault.kind(), Fault::Kind::sql_error);
}

TEST(Gather, WaitsForABatchThatComesLater) {
  Source::Receiver kept;
  std::optional<std::variant<Value, Fault>> result;
  gather(std::make_unique<Counting>(0, std::nullopt, &kept), {.items = 10}, [&](std::variant<Value, Fault> r) { result = std::move(r); });
  EXPECT_FALSE(result);
  kept({.items = {1}, .end = true, .fault = {}});
  EXPECT_EQ(std::get<Value>(result.value()), Value(Value::Array{1}));
}

}  // namespace
}  // namespace sluice
