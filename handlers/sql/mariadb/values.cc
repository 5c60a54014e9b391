#include "handlers/sql/mariadb/values.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "handlers/sql/json.h"
#include "rpc/fault.h"

namespace sluice::sql::mariadb {
namespace {

constexpr std::size_t kInline = 256;   // octets of a column that are fetched with its row
constexpr unsigned kBinaryCharset = 63;

MYSQL_TIME time_of(DateTime when) {
  using namespace std::chrono;
  const auto day = floor<days>(when);
  const year_month_day date(day);
  const hh_mm_ss time(when - day);
  if (date.year() < year(0) || date.year() > year(9999))
    throw Fault(Fault::Kind::bad_arguments, "a parameter is a time of the year " + std::to_string(static_cast<int>(date.year())) + "; MariaDB's DATETIME ends with 9999");
  MYSQL_TIME out{};
  out.year = static_cast<unsigned>(static_cast<int>(date.year()));
  out.month = static_cast<unsigned>(date.month());
  out.day = static_cast<unsigned>(date.day());
  out.hour = static_cast<unsigned>(time.hours().count());
  out.minute = static_cast<unsigned>(time.minutes().count());
  out.second = static_cast<unsigned>(time.seconds().count());
  out.second_part = static_cast<unsigned long>(time.subseconds().count());
  out.time_type = MYSQL_TIMESTAMP_DATETIME;
  return out;
}

std::string fraction(const MYSQL_TIME& time, unsigned decimals) {
  if (decimals == 0 || decimals > 6) return {};
  char text[16];
  std::snprintf(text, sizeof text, ".%06u", static_cast<unsigned>(time.second_part % 1'000'000));
  return std::string(text, decimals + 1);
}

std::string date_text(const MYSQL_TIME& t) {
  char text[48];
  std::snprintf(text, sizeof text, "%04u-%02u-%02u", t.year, t.month, t.day);
  return text;
}

std::string time_text(const MYSQL_TIME& t, unsigned decimals) {
  char text[48];
  std::snprintf(text, sizeof text, "%s%02u:%02u:%02u", t.neg ? "-" : "", t.day * 24 + t.hour, t.minute, t.second);
  return text + fraction(t, decimals);
}

Value datetime(const MYSQL_TIME& t, unsigned decimals) {
  using namespace std::chrono;
  const year_month_day date{year(static_cast<int>(t.year)), month(t.month), day(t.day)};
  if (!date.ok()) return date_text(t) + " " + time_text(t, decimals);  // "0000-00-00 00:00:00"
  return DateTime(sys_days(date)) + hours(t.hour) + minutes(t.minute) + seconds(t.second) + microseconds(t.second_part);
}

// The shortest double that reads the same: 0.1 for a FLOAT of 0.1, not 0.10000000149.
double widen(float f) {
  if (!std::isfinite(f)) return f;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, f).ptr;
  double out = f;
  std::from_chars(text, end, out);
  return out;
}

std::uint64_t bits(std::string_view octets) {
  std::uint64_t out = 0;
  for (const char c : octets) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

Value integer(std::uint64_t n) { return std::in_range<std::int64_t>(n) ? Value(static_cast<std::int64_t>(n)) : Value(std::to_string(n)); }

}  // namespace

Parameters::Parameters(const std::vector<const Value*>& values) {
  binds_.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Value& value = *values[i];
    MYSQL_BIND& bind = binds_[i];
    Slot& slot = slots_.emplace_back();
    auto octets = [&](enum_field_types type, const std::string& text) {
      bind.buffer_type = type;
      bind.buffer = const_cast<char*>(text.data());  // the library only reads it
      bind.buffer_length = slot.length = text.size();
      bind.length = &slot.length;
    };
    auto scalar = [&](enum_field_types type, void* where) {
      bind.buffer_type = type;
      bind.buffer = where;
    };
    switch (value.kind()) {
      case Value::Kind::nil: bind.buffer_type = MYSQL_TYPE_NULL; break;
      case Value::Kind::boolean:
        slot.integer = *value.get_if<bool>() ? 1 : 0;
        scalar(MYSQL_TYPE_LONGLONG, &slot.integer);
        break;
      case Value::Kind::integer:
        slot.integer = *value.get_if<std::int64_t>();
        scalar(MYSQL_TYPE_LONGLONG, &slot.integer);
        break;
      case Value::Kind::big:
        slot.integer = static_cast<std::int64_t>(*value.get_if<std::uint64_t>());
        scalar(MYSQL_TYPE_LONGLONG, &slot.integer);
        bind.is_unsigned = 1;
        break;
      case Value::Kind::real:
        slot.real = *value.get_if<double>();
        if (!std::isfinite(slot.real)) throw Fault(Fault::Kind::bad_arguments, "a parameter is a number that is not finite, which MariaDB cannot hold");
        scalar(MYSQL_TYPE_DOUBLE, &slot.real);
        break;
      case Value::Kind::string: octets(MYSQL_TYPE_STRING, *value.get_if<std::string>()); break;
      case Value::Kind::bytes: octets(MYSQL_TYPE_BLOB, value.get_if<Bytes>()->octets); break;
      case Value::Kind::datetime:
        slot.time = time_of(*value.get_if<DateTime>());
        scalar(MYSQL_TYPE_DATETIME, &slot.time);
        break;
      case Value::Kind::array:
      case Value::Kind::structure:
        slot.text = to_json(value);
        octets(MYSQL_TYPE_STRING, slot.text);
        break;
      case Value::Kind::extension: throw Fault(Fault::Kind::bad_arguments, "a parameter is a msgpack extension, which has no form in MariaDB");
    }
  }
}

bool Columns::bind(MYSQL_STMT* statement) {
  const unsigned count = mysql_stmt_field_count(statement);
  const MYSQL_FIELD* fields = mariadb_stmt_fetch_fields(statement);
  if (!fields) return false;
  // Of a statement that was prepared before a table changed, the library keeps the names of then: those of now came with this execution.
  const MYSQL& connection = *statement->mysql;
  const MYSQL_FIELD* names = connection.fields && connection.field_count == count ? connection.fields : fields;
  columns_.resize(count);
  binds_.assign(count, MYSQL_BIND{});
  for (unsigned i = 0; i < count; ++i) {
    const MYSQL_FIELD& field = fields[i];
    Column& column = columns_[i];
    MYSQL_BIND& bind = binds_[i];
    column.name.assign(names[i].name, names[i].name_length);
    column.is_unsigned = (field.flags & UNSIGNED_FLAG) != 0;
    column.decimals = field.decimals;
    bind.is_null = &column.null;
    bind.error = &column.truncated;
    bind.length = &column.length;
    auto scalar = [&](Kind kind, enum_field_types type, void* where) {
      column.kind = kind;
      bind.buffer_type = type;
      bind.buffer = where;
      bind.is_unsigned = column.is_unsigned;
    };
    switch (field.type) {
      case MYSQL_TYPE_TINY: case MYSQL_TYPE_SHORT: case MYSQL_TYPE_INT24: case MYSQL_TYPE_LONG: case MYSQL_TYPE_LONGLONG: case MYSQL_TYPE_YEAR:
        scalar(Kind::integer, MYSQL_TYPE_LONGLONG, &column.integer);
        break;
      case MYSQL_TYPE_FLOAT: scalar(Kind::single, MYSQL_TYPE_FLOAT, &column.single); break;
      case MYSQL_TYPE_DOUBLE: scalar(Kind::real, MYSQL_TYPE_DOUBLE, &column.real); break;
      case MYSQL_TYPE_DATETIME: case MYSQL_TYPE_TIMESTAMP: scalar(Kind::datetime, MYSQL_TYPE_DATETIME, &column.when); break;
      case MYSQL_TYPE_DATE: case MYSQL_TYPE_NEWDATE: scalar(Kind::date, MYSQL_TYPE_DATE, &column.when); break;
      case MYSQL_TYPE_TIME: scalar(Kind::time, MYSQL_TYPE_TIME, &column.when); break;
      default: {
        const bool text_of_octets = field.type == MYSQL_TYPE_DECIMAL || field.type == MYSQL_TYPE_NEWDECIMAL || field.type == MYSQL_TYPE_NULL;
        column.kind = field.type == MYSQL_TYPE_BIT ? Kind::bits : field.charsetnr == kBinaryCharset && !text_of_octets ? Kind::octets : Kind::text;
        column.buffer.resize(kInline);
        bind.buffer_type = column.kind == Kind::text ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        bind.buffer = column.buffer.data();
        bind.buffer_length = column.buffer.size();
      }
    }
  }
  return mysql_stmt_bind_result(statement, binds_.data()) == 0;
}

std::vector<std::string> Columns::names() const {
  std::vector<std::string> out;
  out.reserve(columns_.size());
  for (const Column& column : columns_) out.push_back(column.name);
  return out;
}

Value::Array Columns::row(MYSQL_STMT* statement) {
  Value::Array out;
  out.reserve(columns_.size());
  for (unsigned i = 0; i < columns_.size(); ++i) out.push_back(value(statement, i));
  return out;
}

std::string Columns::fetch(MYSQL_STMT* statement, unsigned at) {
  const Column& column = columns_[at];
  if (column.length <= column.buffer.size()) return column.buffer.substr(0, column.length);
  std::string out(column.length, '\0');
  MYSQL_BIND bind{};
  unsigned long length = 0;
  my_bool null = 0, truncated = 0;
  bind.buffer_type = binds_[at].buffer_type;
  bind.buffer = out.data();
  bind.buffer_length = out.size();
  bind.length = &length;
  bind.is_null = &null;
  bind.error = &truncated;
  mysql_stmt_fetch_column(statement, &bind, at, 0);
  return out;
}

Value Columns::value(MYSQL_STMT* statement, unsigned at) {
  const Column& column = columns_[at];
  if (column.null) return {};
  switch (column.kind) {
    case Kind::integer: return column.is_unsigned ? integer(static_cast<std::uint64_t>(column.integer)) : Value(column.integer);
    case Kind::single: return widen(column.single);
    case Kind::real: return column.real;
    case Kind::bits: return integer(bits(fetch(statement, at)));
    case Kind::datetime: return datetime(column.when, column.decimals);
    case Kind::date: return date_text(column.when);
    case Kind::time: return time_text(column.when, column.decimals);
    case Kind::octets: return Bytes{fetch(statement, at)};
    case Kind::text: break;
  }
  return fetch(statement, at);
}

}  // namespace sluice::sql::mariadb
