#pragma once
// Values between calls and MariaDB, in the binary form of prepared statements.

#include <mysql.h>

#include <deque>
#include <vector>

#include "rpc/value.h"

namespace sluice::sql::mariadb {

// Parameters as the library takes them. It points into the Values, which must outlive the execution.
// Octets go as BLOB, arrays and structs as JSON text, times as DATETIME(6).
class Parameters {
 public:
  // Throws Fault (bad_arguments) for what MariaDB cannot hold.
  explicit Parameters(const std::vector<const Value*>&);
  MYSQL_BIND* binds() noexcept { return binds_.data(); }
  std::size_t count() const noexcept { return binds_.size(); }

 private:
  struct Slot {
    union {
      std::int64_t integer;
      double real;
      MYSQL_TIME time;
    };
    std::string text;
    unsigned long length = 0;
  };
  std::vector<MYSQL_BIND> binds_;
  std::deque<Slot> slots_;
};

// The columns of a result. Integers that do not fit into 64 signed bits, decimals, DATE and TIME are texts; DATETIME and TIMESTAMP are
// points in UTC; BIT is an integer; strings of octets and geometries are Bytes; everything else is text. A zero date stays a text.
class Columns {
 public:
  // Of a statement that was just executed and has a result; to be called again after each execution. False: out of memory.
  bool bind(MYSQL_STMT*);
  std::vector<std::string> names() const;
  Value::Array row(MYSQL_STMT*);  // the one that was just fetched

 private:
  enum class Kind : std::uint8_t { integer, single, real, bits, datetime, date, time, text, octets };
  struct Column {
    Kind kind = Kind::text;
    bool is_unsigned = false;
    unsigned decimals = 0;
    std::string name;
    union {
      std::int64_t integer;
      float single;
      double real;
      MYSQL_TIME when;
    };
    std::string buffer;  // a longer value is fetched by itself
    unsigned long length = 0;
    my_bool null = 0, truncated = 0;
  };
  Value value(MYSQL_STMT*, unsigned at);
  std::string fetch(MYSQL_STMT*, unsigned at);

  std::vector<Column> columns_;
  std::vector<MYSQL_BIND> binds_;
};

}  // namespace sluice::sql::mariadb
