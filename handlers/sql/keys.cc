#include "handlers/sql/keys.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

namespace sluice::sql {
namespace {

constexpr char kVersion = '1';
constexpr int kDeepest = 256;

// A tag, then the content: little-endian numbers, lengths before octets.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void number(std::uint64_t n) {
    for (int i = 0; i < 8; ++i) out_ += static_cast<char>(n >> (8 * i) & 0xff);
  }
  void text(std::string_view text) {
    number(text.size());
    out_ += text;
  }
  void value(const Value& value) {
    out_ += static_cast<char>('a' + static_cast<int>(value.kind()));
    switch (value.kind()) {
      case Value::Kind::nil: break;
      case Value::Kind::boolean: out_ += *value.get_if<bool>() ? '1' : '0'; break;
      case Value::Kind::integer: number(static_cast<std::uint64_t>(*value.get_if<std::int64_t>())); break;
      case Value::Kind::big: number(*value.get_if<std::uint64_t>()); break;
      case Value::Kind::real: {
        std::uint64_t bits = 0;
        std::memcpy(&bits, value.get_if<double>(), sizeof bits);
        number(bits);
        break;
      }
      case Value::Kind::string: text(*value.get_if<std::string>()); break;
      case Value::Kind::bytes: text(value.get_if<Bytes>()->octets); break;
      case Value::Kind::datetime: number(static_cast<std::uint64_t>(value.get_if<DateTime>()->time_since_epoch().count())); break;
      case Value::Kind::array:
        number(value.get_if<Value::Array>()->size());
        for (const Value& item : *value.get_if<Value::Array>()) this->value(item);
        break;
      case Value::Kind::structure:
        structure(*value.get_if<Value::Struct>());
        break;
      case Value::Kind::extension:
        out_ += static_cast<char>(value.get_if<Extension>()->type);
        text(value.get_if<Extension>()->octets);
        break;
    }
  }

 private:
  // By name: clients send members in the order that their languages happen to have.
  void structure(const Value::Struct& members) {
    std::vector<const Value::Struct::value_type*> sorted;
    for (const auto& member : members) sorted.push_back(&member);
    std::ranges::stable_sort(sorted, {}, [](const auto* member) -> std::string_view { return member->first; });
    number(members.size());
    for (const auto* member : sorted) {
      text(member->first);
      value(member->second);
    }
  }

  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  bool ok() const { return ok_; }
  bool end() const { return in_.empty(); }
  char tag() {
    if (in_.empty()) return fail(), '\0';
    const char c = in_.front();
    in_.remove_prefix(1);
    return c;
  }
  std::uint64_t number() {
    if (in_.size() < 8) return fail(), 0;
    std::uint64_t n = 0;
    for (int i = 0; i < 8; ++i) n |= static_cast<std::uint64_t>(static_cast<unsigned char>(in_[static_cast<std::size_t>(i)])) << (8 * i);
    in_.remove_prefix(8);
    return n;
  }
  std::uint64_t count() {  // of items, each at least an octet
    const auto n = number();
    return n <= in_.size() ? n : (fail(), 0);
  }
  std::string text() {
    const auto size = count();
    std::string out(in_.substr(0, size));
    in_.remove_prefix(size);
    return out;
  }
  Value value(int depth = 0) {
    if (depth > kDeepest) return fail(), Value();
    switch (static_cast<Value::Kind>(tag() - 'a')) {
      case Value::Kind::nil: return {};
      case Value::Kind::boolean: return tag() == '1';
      case Value::Kind::integer: return static_cast<std::int64_t>(number());
      case Value::Kind::big: return number();
      case Value::Kind::real: {
        const auto bits = number();
        double d = 0;
        std::memcpy(&d, &bits, sizeof d);
        return d;
      }
      case Value::Kind::string: return text();
      case Value::Kind::bytes: return Bytes{text()};
      case Value::Kind::datetime: return DateTime(std::chrono::microseconds(static_cast<std::int64_t>(number())));
      case Value::Kind::array: {
        Value::Array items;
        for (auto left = count(); left > 0 && ok_; --left) items.push_back(value(depth + 1));
        return items;
      }
      case Value::Kind::structure: {
        Value::Struct members;
        for (auto left = count(); left > 0 && ok_; --left) {
          auto name = text();
          members.emplace_back(std::move(name), value(depth + 1));
        }
        return members;
      }
      case Value::Kind::extension: {
        const auto type = static_cast<std::int8_t>(tag());
        return Extension{type, text()};
      }
    }
    return fail(), Value();
  }

 private:
  void fail() {
    ok_ = false;
    in_ = {};
  }
  std::string_view in_;
  bool ok_ = true;
};

std::string sha256(std::string_view octets) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(octets.data(), octets.size(), digest, &length, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

}  // namespace

std::string digest_of(const std::vector<Statement>& statements) {
  std::string all;
  Writer writer(all);
  for (const Statement& statement : statements) {
    writer.text(statement.text);
    writer.value(statement.params);
  }
  return sha256(all);
}

// Hashed, as the tables have room for a key and not for a name besides; the name with its length, so that no two pairs look the same.
std::string stored_key(const Options& options) {
  if (options.caller.empty()) return options.key;
  std::string both;
  Writer writer(both);
  writer.text(options.caller);
  writer.text(options.key);
  return "caller:" + sha256(both);
}

Fault key_reused(const std::string& key) {
  return Fault(Fault::Kind::conflict, "the key " + describe(Value(key)).substr(7) + " was used before with another statement or other parameters; a key belongs to one write");
}

Fault reply_not_kept(const std::string& key) {
  return Fault(Fault::Kind::conflict, "the write under the key " + describe(Value(key)).substr(7) + " ended its own transaction before its reply was kept, as a procedure that commits does: some of it has happened, and what it answered is not known");
}

std::string freeze(const std::vector<Rows>& results) {
  std::string out(1, kVersion);
  Writer writer(out);
  writer.number(results.size());
  for (const Rows& rows : results) {
    writer.number(rows.columns.size());
    for (const std::string& column : rows.columns) writer.text(column);
    writer.number(static_cast<std::uint64_t>(rows.affected));
    writer.number(static_cast<std::uint64_t>(rows.last_insert_id));
    writer.value(Value(rows.rows));
  }
  return out;
}

std::optional<std::vector<Rows>> thaw(std::string_view octets) {
  Reader reader(octets);
  if (reader.tag() != kVersion) return std::nullopt;
  std::vector<Rows> out;
  for (auto left = reader.count(); left > 0 && reader.ok(); --left) {
    Rows rows;
    for (auto columns = reader.count(); columns > 0 && reader.ok(); --columns) rows.columns.push_back(reader.text());
    rows.affected = static_cast<std::int64_t>(reader.number());
    rows.last_insert_id = static_cast<std::int64_t>(reader.number());
    Value value = reader.value();
    if (auto* array = value.get_if<Value::Array>()) rows.rows = std::move(*array);
    out.push_back(std::move(rows));
  }
  if (!reader.ok() || !reader.end()) return std::nullopt;
  return out;
}

}  // namespace sluice::sql
