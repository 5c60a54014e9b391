#include "handlers/calc/calc.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();

std::string name_of_fault(auto&& f) {
  try {
    f();
  } catch (const Fault& fault) {
    return std::string(fault.exception_name());
  }
  return "no fault";
}

TEST(Calc, KeepsIntegersWhole) {
  Calc calc;
  EXPECT_EQ(calc.add(3, 4), Number(std::int64_t{7}));
  EXPECT_EQ(calc.subtract(3, 4), Number(std::int64_t{-1}));
  EXPECT_EQ(calc.multiply(kMost, 1), Number(kMost));
}

TEST(Calc, IsADoubleAsSoonAsOneOfThemIs) {
  Calc calc;
  EXPECT_EQ(calc.add(-1.5, 2), Number(0.5));
  EXPECT_EQ(calc.multiply(2, 0.25), Number(0.5));
}

TEST(Calc, RefusesWhatDoesNotFitInsteadOfWrapping) {
  Calc calc;
  EXPECT_EQ(name_of_fault([&] { calc.add(kMost, 1); }), "OverflowError");
  EXPECT_EQ(name_of_fault([&] { calc.subtract(kLeast, 1); }), "OverflowError");
  EXPECT_EQ(name_of_fault([&] { calc.multiply(kMost, 2); }), "OverflowError");
}

TEST(Calc, DividesAsPythonDoes) {
  Calc calc;
  EXPECT_EQ(calc.divide(7, 2), 3.5);
  EXPECT_EQ(name_of_fault([&] { calc.divide(1, 0); }), "ZeroDivisionError");
  EXPECT_EQ(name_of_fault([&] { calc.divide(1, 0.0); }), "ZeroDivisionError");
}

}  // namespace
}  // namespace sluice
