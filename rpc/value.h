#pragma once
// Value: what travels in a call. The common ground of XML-RPC and msgpack.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sluice {

struct Nil {
  bool operator==(const Nil&) const = default;
};

// Octets. A type of its own, so that overloads and the wires can tell it from text.
struct Bytes {
  std::string octets;
  bool operator==(const Bytes&) const = default;
};

// A point in UTC. XML-RPC's dateTime.iso8601 carries no zone: UTC is read and written.
using DateTime = std::chrono::sys_time<std::chrono::microseconds>;

// A msgpack extension type that we give no meaning; it goes back as it came.
struct Extension {
  std::int8_t type = 0;
  std::string octets;
  bool operator==(const Extension&) const = default;
};

class Value {
 public:
  using Array = std::vector<Value>;
  // Keeps the order of insertion. Structs on the wire are small: a linear find beats a tree.
  using Struct = std::vector<std::pair<std::string, Value>>;
  // In the order of the alternatives of `data_`; kind() is a cast of the index.
  enum class Kind : std::uint8_t {
    nil,
    boolean,
    integer,
    big,  // an unsigned integer above 2^63-1; smaller ones are always `integer`
    real,
    string,
    bytes,
    datetime,
    array,
    structure,
    extension
  };

  Value() noexcept = default;
  Value(bool b) noexcept : data_(b) {}
  template <std::integral I>
    requires(!std::same_as<I, bool>)
  Value(I i) noexcept {
    if (std::in_range<std::int64_t>(i))
      data_ = static_cast<std::int64_t>(i);
    else
      data_ = static_cast<std::uint64_t>(i);
  }
  Value(double d) noexcept : data_(d) {}
  Value(std::string s) noexcept : data_(std::move(s)) {}
  Value(std::string_view s) : data_(std::string(s)) {}
  Value(const char* s) : data_(std::string(s)) {}  // else a literal would become bool
  Value(Bytes b) noexcept : data_(std::move(b)) {}
  Value(DateTime t) noexcept : data_(t) {}
  Value(Array a) noexcept : data_(std::move(a)) {}
  Value(Struct s) noexcept : data_(std::move(s)) {}
  Value(Extension e) noexcept : data_(std::move(e)) {}

  Kind kind() const noexcept { return static_cast<Kind>(data_.index()); }
  bool is_nil() const noexcept { return kind() == Kind::nil; }

  template <class T>
  T* get_if() noexcept {
    return std::get_if<T>(&data_);
  }
  template <class T>
  const T* get_if() const noexcept {
    return std::get_if<T>(&data_);
  }

  // The member of a struct, or nullptr when this is no struct or has no such key.
  const Value* find(std::string_view key) const noexcept;

  template <class Visitor>
  decltype(auto) visit(Visitor&& v) const {
    return std::visit(std::forward<Visitor>(v), data_);
  }

  bool operator==(const Value&) const = default;

 private:
  std::variant<Nil, bool, std::int64_t, std::uint64_t, double, std::string, Bytes, DateTime, Array, Struct, Extension> data_;
};

// The name a caller knows the kind by: "nil", "boolean", "int", "double", "string", "base64",
// "dateTime.iso8601", "array", "struct", "extension".
std::string_view kind_name(Value::Kind) noexcept;

// What it holds, for limits: 16 bytes for each value within, and the lengths of texts, octets and keys.
std::size_t footprint(const Value&) noexcept;

// For messages: the kind and a short, printable look at the content, "string 'abc'", "array of 3".
std::string describe(const Value&);

}  // namespace sluice
