#pragma once
// AnswerLimits: how much one answer of a statement may hold. sql.open, sql.fetch and sql.stream have no such limit.

#include <cstddef>

#include "rpc/fault.h"

namespace sluice::sql {

struct AnswerLimits {
  std::size_t rows = 100'000;
  std::size_t bytes = 64 << 20;  // of the values in it

  // What a caller is told whose answer has more: too_large.
  Fault more_rows() const;
  Fault more_bytes() const;
};

}  // namespace sluice::sql
