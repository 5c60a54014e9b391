#include "handlers/sql/mariadb/errors.h"

namespace sluice::sql::mariadb {

using cluster::Failure;

// Numbers: MariaDB's "Error Codes" page; 2000 to 2999 are the client library's.
Failure::Kind meaning(unsigned number, bool read_only_option) noexcept {
  switch (number) {
    case 1290: return read_only_option ? Failure::Kind::refused : Failure::Kind::statement;
    case 1792:  // a read-only transaction
    case 1836:  // read-only mode
      return Failure::Kind::refused;
    case 1205:  // waited too long for a lock
    case 1213:  // deadlock
    case 1020:  // the row was changed since this transaction's snapshot
      return Failure::Kind::retryable;
    case 1040:  // too many connections
    case 1203: case 1226:  // of this account
      return Failure::Kind::starting;
    case 1053:  // the server shuts down
    case 1152: case 1184:  // aborted connection
    case 1927:  // the connection was killed
    case 0:     // the library gave up without a word: a connection that broke within an answer
    case 2000: case 2002: case 2003: case 2006: case 2012: case 2013: case 2014: case 2026: case 2027: case 2055:
      return Failure::Kind::lost;
    default: return Failure::Kind::statement;
  }
}

Failure failure_of(const Error& error, bool sent) {
  const Failure::Kind kind = meaning(error.number, error.message.find("--read-only") != std::string::npos);
  Value::Struct detail{{"sqlstate", error.sqlstate}, {"errno", error.number}};
  if (kind == Failure::Kind::retryable) detail.emplace_back("retryable", true);
  const bool answered = kind != Failure::Kind::lost && kind != Failure::Kind::starting;
  // 1969: the server's own limit of time for a statement.
  const Fault::Kind fault = error.number == 1969 ? Fault::Kind::deadline_exceeded : answered ? Fault::Kind::sql_error : Fault::Kind::unavailable;
  std::string message = error.number == 0 ? "the connection ended within the answer"
                                          : error.message + " (error " + std::to_string(error.number) + ", SQLSTATE " + error.sqlstate + ")";
  return {kind, Fault(fault, std::move(message), std::move(detail)), kind == Failure::Kind::lost && sent, kind == Failure::Kind::refused};
}

Failure connect_failure(const Error& error) {
  return {Failure::Kind::starting, Fault(Fault::Kind::unavailable, error.message + (error.number == 0 ? "" : " (error " + std::to_string(error.number) + ")")), false};
}

}  // namespace sluice::sql::mariadb
