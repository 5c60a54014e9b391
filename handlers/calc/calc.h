#pragma once
// calc: arithmetic, the examples of every RPC tutorial. Integers stay integers while they fit.

#include "rpc/handler.h"

namespace sluice {

class Calc : public Handler {
 public:
  std::string_view name() const override { return "calc"; }
  bool at_root() const override { return true; }
  std::vector<Method> methods() override;

  Number add(Number a, Number b) const;       // faults: OverflowError beyond 64 bits
  Number subtract(Number a, Number b) const;  // the same
  Number multiply(Number a, Number b) const;  // the same
  double divide(Number a, Number b) const;    // as Python's `/`; faults: ZeroDivisionError
  Value echo(Value value) const { return value; }
};

}  // namespace sluice
