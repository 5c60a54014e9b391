#include "handlers/calc/calc.h"

namespace sluice {
namespace {

double real(Number n) {
  return std::visit([](auto v) { return static_cast<double>(v); }, n);
}

// Integers by `exact` (a checked builtin: true means it overflowed), anything with a double in it by `rounded`.
template <class Exact, class Rounded>
Number apply(char sign, Number a, Number b, Exact exact, Rounded rounded) {
  auto* x = std::get_if<std::int64_t>(&a);
  auto* y = std::get_if<std::int64_t>(&b);
  if (!x || !y) return rounded(real(a), real(b));
  std::int64_t result;
  if (exact(*x, *y, &result))
    throw Fault::named("OverflowError", std::to_string(*x) + " " + sign + " " + std::to_string(*y) + " does not fit into 64 bits; pass doubles if a rounded result will do");
  return result;
}

}  // namespace

std::vector<Method> Calc::methods() {
  return {
      method("add", this, &Calc::add, {"a", "b"}, "The sum of two numbers."),
      method("subtract", this, &Calc::subtract, {"a", "b"}, "The difference of two numbers."),
      method("multiply", this, &Calc::multiply, {"a", "b"}, "The product of two numbers."),
      method("divide", this, &Calc::divide, {"a", "b"}, "The quotient of two numbers, as a double."),
      method("echo", this, &Calc::echo, {"value"}, "The value that came, whatever it is."),
  };
}

Number Calc::add(Number a, Number b) const {
  return apply('+', a, b, [](auto x, auto y, auto* r) { return __builtin_add_overflow(x, y, r); }, std::plus<>());
}

Number Calc::subtract(Number a, Number b) const {
  return apply('-', a, b, [](auto x, auto y, auto* r) { return __builtin_sub_overflow(x, y, r); }, std::minus<>());
}

Number Calc::multiply(Number a, Number b) const {
  return apply('*', a, b, [](auto x, auto y, auto* r) { return __builtin_mul_overflow(x, y, r); }, std::multiplies<>());
}

double Calc::divide(Number a, Number b) const {
  if (real(b) == 0) throw Fault::named("ZeroDivisionError", "division by zero");
  return real(a) / real(b);
}

}  // namespace sluice
