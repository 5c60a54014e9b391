#include "handlers/id/digits.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::id {
namespace {

TEST(Digits, CountUpAsTheNumberDoes) {
  for (const std::int64_t first : {std::int64_t{0}, std::int64_t{8}, std::int64_t{98}, std::int64_t{9'999'998}, std::int64_t{999'999'999'999'999'995}, std::int64_t{9'223'372'036'854'775'796}}) {
    Digits digits(first);
    for (std::int64_t number = first; number < first + 11; ++number) {
      ASSERT_EQ(digits.text(), std::to_string(number));
      digits.count_up();
    }
  }
}

}  // namespace
}  // namespace sluice::id
