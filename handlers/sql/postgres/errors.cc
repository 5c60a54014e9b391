#include "handlers/sql/postgres/errors.h"

namespace sluice::sql::postgres {

using cluster::Failure;
using cluster::Link;

Failure::Kind meaning(std::string_view state, Link::Use use) noexcept {
  if (state == "57P01" || state == "57P02" || state == "57P04" || state.starts_with("08")) return Failure::Kind::lost;  // shutdown, crash of a neighbour
  if (state == "57P03" || state == "53300") return Failure::Kind::starting;
  if (state == "25006") return Failure::Kind::refused;
  if (use == Link::Use::read) {
    // What a standby says to things that only a primary may do. Run on the primary they either work or say what is really wrong.
    if (state == "25001" || state == "0A000" || state == "55000" || state == "XX000") return Failure::Kind::refused;
  }
  if (state.starts_with("40")) return Failure::Kind::retryable;  // a recovery conflict on a replica, a deadlock, a serialization failure
  return Failure::Kind::statement;
}

Failure failure_of(const PGresult* result, Link::Use use) {
  auto field = [result](int code) -> std::string_view {
    const char* text = PQresultErrorField(result, code);
    return text ? text : "";
  };
  const std::string_view state = field(PG_DIAG_SQLSTATE);
  std::string message(field(PG_DIAG_MESSAGE_PRIMARY));
  if (const auto detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty()) message.append("; ").append(detail);
  if (const auto hint = field(PG_DIAG_MESSAGE_HINT); !hint.empty()) message.append("; hint: ").append(hint);
  if (const auto at = field(PG_DIAG_STATEMENT_POSITION); !at.empty()) message.append("; at character ").append(at);
  // A lease is the connection of a transaction: the caller's, of a write with a key or a fence, or of a batch.
  if (use == Link::Use::lease && (state == "2D000" || state == "25001")) message.append("; run the statement alone by sql.execute, outside of batches and transactions, without 'key' and 'fence'");
  message.append(" (SQLSTATE ").append(state).append(")");
  const Failure::Kind kind = meaning(state, use);
  Value::Struct detail{{"sqlstate", state}};
  if (const auto constraint = field(PG_DIAG_CONSTRAINT_NAME); !constraint.empty()) detail.emplace_back("constraint", constraint);
  if (kind == Failure::Kind::retryable) detail.emplace_back("retryable", true);
  const bool answered = kind != Failure::Kind::lost && kind != Failure::Kind::starting;
  const Fault::Kind fault = state == "57014" ? Fault::Kind::deadline_exceeded : answered ? Fault::Kind::sql_error : Fault::Kind::unavailable;
  return {kind, Fault(fault, std::move(message), std::move(detail)), kind == Failure::Kind::lost, state == "25006", state == "XX000"};
}

// While it connects libpq tells no SQLSTATE, only words.
Failure connect_failure(const std::string& message) { return {Failure::Kind::starting, Fault(Fault::Kind::unavailable, message), false}; }

}  // namespace sluice::sql::postgres
