#include "handlers/sql/answer_limits.h"

#include <string>

namespace sluice::sql {
namespace {

constexpr const char* kInstead = "; use LIMIT, sql.open and sql.fetch, or sql.stream";

}  // namespace

Fault AnswerLimits::more_rows() const { return Fault(Fault::Kind::too_large, "the answer has more than " + std::to_string(rows) + " rows (sql.answer_rows)" + kInstead); }

Fault AnswerLimits::more_bytes() const { return Fault(Fault::Kind::too_large, "the answer is longer than " + std::to_string(bytes) + " bytes (sql.answer_bytes)" + kInstead); }

}  // namespace sluice::sql
