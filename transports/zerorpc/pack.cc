#include "transports/zerorpc/pack.h"

#include <bit>
#include <msgpack.hpp>

#include "rpc/fault.h"
#include "rpc/utf8.h"

namespace sluice::zerorpc {
namespace {

struct Buffer {
  std::string& out;
  void write(const char* bytes, std::size_t size) { out.append(bytes, size); }
};
using Packer = msgpack::packer<Buffer>;

void big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
}

// The shortest of the three timestamp formats that holds the time.
void pack_time(std::string& out, Packer& packer, DateTime time) {
  using std::chrono::seconds;
  const auto whole = std::chrono::floor<seconds>(time);
  const std::int64_t s = whole.time_since_epoch().count();
  const auto ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(time - whole).count());
  if (s >= 0 && s < (std::int64_t{1} << 34)) {
    const std::uint64_t both = (ns << 34) | static_cast<std::uint64_t>(s);
    const int bytes = (both >> 32) == 0 ? 4 : 8;
    packer.pack_ext(static_cast<std::size_t>(bytes), -1);
    big_endian(out, both, bytes);
  } else {
    packer.pack_ext(12, -1);
    big_endian(out, ns, 4);
    big_endian(out, static_cast<std::uint64_t>(s), 8);
  }
}

struct Writer {
  std::string& out;
  int depth;
  Buffer buffer{out};
  Packer packer{buffer};

  void operator()(Nil) { packer.pack_nil(); }
  void operator()(bool b) { b ? packer.pack_true() : packer.pack_false(); }
  void operator()(std::int64_t i) { packer.pack_int64(i); }
  void operator()(std::uint64_t i) { packer.pack_uint64(i); }
  // By hand: pack_double() turns 2.0 into the integer 2.
  void operator()(double d) {
    out += '\xcb';
    big_endian(out, std::bit_cast<std::uint64_t>(d), 8);
  }
  void operator()(const std::string& text) {
    if (!is_utf8(text))
      throw Fault(Fault::Kind::invalid_character,
                  "the answer holds a text that is not UTF-8 and zerorpc cannot carry it; the method should answer octets");
    pack_text(out, text);
  }
  void operator()(const Bytes& bytes) {
    packer.pack_bin(static_cast<std::uint32_t>(bytes.octets.size()));
    packer.pack_bin_body(bytes.octets.data(), static_cast<std::uint32_t>(bytes.octets.size()));
  }
  void operator()(DateTime time) { pack_time(out, packer, time); }
  void operator()(const Value::Array& items) {
    check_depth();
    packer.pack_array(static_cast<std::uint32_t>(items.size()));
    for (const Value& item : items) pack(out, item, depth - 1);
  }
  void operator()(const Value::Struct& members) {
    check_depth();
    packer.pack_map(static_cast<std::uint32_t>(members.size()));
    for (const auto& [name, value] : members) {
      (*this)(name);
      pack(out, value, depth - 1);
    }
  }
  void operator()(const Extension& extension) {
    packer.pack_ext(extension.octets.size(), extension.type);
    packer.pack_ext_body(extension.octets.data(), static_cast<std::uint32_t>(extension.octets.size()));
  }

  void check_depth() const {
    if (depth <= 0)
      throw Fault(Fault::Kind::too_large, "the answer has more than " + std::to_string(kPackDepth) +
                                              " arrays and structs inside one another, the most that is sent");
  }
};

}  // namespace

void pack(std::string& out, const Value& value, int depth) { value.visit(Writer{out, depth}); }

void pack_text(std::string& out, std::string_view text) {
  Buffer buffer{out};
  Packer packer(buffer);
  packer.pack_str(static_cast<std::uint32_t>(text.size()));
  packer.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
}

}  // namespace sluice::zerorpc
