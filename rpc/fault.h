#pragma once
// Fault: the one way a call fails. Every wire's code for it stands in the table below, and nowhere else.
// Codes: -32700..-32300 are the XML-RPC interoperability list (2001-05-16), -32099..-32000 are the
// range it leaves to implementations. The zerorpc names are those that zerorpc-python itself raises,
// so that clients which test for them keep working.

#include <array>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/value.h"

namespace sluice {

class Fault : public std::exception {
 public:
  enum class Kind : std::uint8_t {
    parse_error,           // the bytes are no message of this protocol
    unsupported_encoding,  // a message in an encoding that we do not read
    invalid_character,     // a character that the encoding or the wire cannot carry
    invalid_request,       // a message, but not a call
    no_such_method,
    bad_arguments,  // wrong number or type
    application,    // the method ran and says no: division by zero
    unauthenticated,
    denied,
    not_found,
    conflict,           // the state of the world forbids it: a transaction that is over, a stale fencing token
    overloaded,         // shed on purpose; trying again later may help
    deadline_exceeded,  // the caller's or the gateway's limit of time
    unavailable,        // no primary, no replica fresh enough; trying again may help
    write_lost,         // what the token names was acknowledged, and lost in a failover
    outcome_unknown,    // the reply of a write was lost: it may or may not have happened
    sql_error,          // the database refused the statement; detail: "sqlstate" or "sqlite"
    cancelled,
    too_large,  // a limit of size, depth or number; the message names it
    internal,   // a bug of ours
  };

  // `detail` goes to wires that can carry it, e.g. {"retry_after_ms": 50}.
  Fault(Kind kind, std::string message, Value::Struct detail = {})
      : kind_(kind), message_(std::move(message)), detail_(std::move(detail)) {}

  // An application's own error by its own name ("ZeroDivisionError"), as Python callers expect it.
  static Fault named(std::string name, std::string message) {
    Fault fault(Kind::application, std::move(message));
    fault.name_ = std::move(name);
    return fault;
  }

  // An allocation failed, most likely that of a large answer; there is room again as soon as others are through.
  static Fault out_of_memory() {
    return Fault(Kind::overloaded, "the gateway has no memory left for this call; ask for less at a time, or try again in a moment", {{"retry_after_ms", 1000}});
  }

  Kind kind() const noexcept { return kind_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const noexcept { return message_; }
  const Value::Struct& detail() const noexcept { return detail_; }
  std::string_view exception_name() const noexcept;  // what zerorpc calls it; valid while the Fault lives
  int xmlrpc_code() const noexcept;
  // When trying again may help: "retry_after_ms" of the detail, or a second after any other overload.
  std::optional<std::int64_t> retry_after_ms() const noexcept;

  // The same at the end of a text, " (retry_after_ms=100)", for wires that have no other place for it; "" when it does not help.
  std::string retry_hint() const;

  // What an XML-RPC faultString says: an application's error carries its name, as Python prints it.
  std::string xmlrpc_string() const;

 private:
  Kind kind_;
  std::string name_;  // only of named()
  std::string message_;
  Value::Struct detail_;
};

struct FaultCodes {
  Fault::Kind kind;
  std::string_view name;     // in logs and docs/faults.md
  int xmlrpc;                // faultCode
  std::string_view zerorpc;  // the exception name of an ERR event
  bool retryable;            // may a client repeat a call that is safe to repeat?
};

inline constexpr std::array<FaultCodes, 20> kFaultCodes{{
    {Fault::Kind::parse_error, "parse_error", -32700, "ValueError", false},
    {Fault::Kind::unsupported_encoding, "unsupported_encoding", -32701, "ValueError", false},
    {Fault::Kind::invalid_character, "invalid_character", -32702, "ValueError", false},
    {Fault::Kind::invalid_request, "invalid_request", -32600, "ValueError", false},
    {Fault::Kind::no_such_method, "no_such_method", -32601, "NameError", false},
    {Fault::Kind::bad_arguments, "bad_arguments", -32602, "TypeError", false},
    {Fault::Kind::application, "application", -32500, "RuntimeError", false},
    {Fault::Kind::unauthenticated, "unauthenticated", -32001, "PermissionError", false},
    {Fault::Kind::denied, "denied", -32003, "PermissionError", false},
    {Fault::Kind::not_found, "not_found", -32004, "LookupError", false},
    {Fault::Kind::conflict, "conflict", -32005, "ConflictError", false},
    {Fault::Kind::overloaded, "overloaded", -32010, "BusyError", true},
    {Fault::Kind::deadline_exceeded, "deadline_exceeded", -32011, "TimeoutExpired", true},
    {Fault::Kind::unavailable, "unavailable", -32012, "UnavailableError", true},
    {Fault::Kind::write_lost, "write_lost", -32014, "WriteLost", false},
    {Fault::Kind::outcome_unknown, "outcome_unknown", -32013, "OutcomeUnknown", false},
    {Fault::Kind::sql_error, "sql_error", -32020, "SqlError", false},
    {Fault::Kind::cancelled, "cancelled", -32015, "CancelledError", false},
    {Fault::Kind::too_large, "too_large", -32016, "OverflowError", false},
    {Fault::Kind::internal, "internal", -32603, "RuntimeError", false},
}};

// codes() indexes the table, so it must be in the order of the enum.
consteval bool fault_codes_in_order() {
  for (std::size_t i = 0; i < kFaultCodes.size(); ++i)
    if (kFaultCodes[i].kind != static_cast<Fault::Kind>(i)) return false;
  return true;
}
static_assert(fault_codes_in_order());

constexpr const FaultCodes& codes(Fault::Kind kind) { return kFaultCodes[static_cast<std::size_t>(kind)]; }

inline std::string_view Fault::exception_name() const noexcept {
  return name_.empty() ? codes(kind_).zerorpc : std::string_view(name_);
}
inline int Fault::xmlrpc_code() const noexcept { return codes(kind_).xmlrpc; }
inline std::optional<std::int64_t> Fault::retry_after_ms() const noexcept {
  for (const auto& [key, value] : detail_)
    if (const auto* ms = value.get_if<std::int64_t>(); ms && key == "retry_after_ms") return *ms;
  return kind_ == Kind::overloaded ? std::optional<std::int64_t>(1000) : std::nullopt;
}
inline std::string Fault::retry_hint() const {
  const auto ms = retry_after_ms();
  return ms ? " (retry_after_ms=" + std::to_string(*ms) + ")" : std::string();
}
inline std::string Fault::xmlrpc_string() const { return name_.empty() ? message_ : name_ + ": " + message_; }

}  // namespace sluice
