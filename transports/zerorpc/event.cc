#include "transports/zerorpc/event.h"

#include <cmath>
#include <msgpack.hpp>
#include <unordered_map>

#include "rpc/utf8.h"

namespace sluice::zerorpc {
namespace {

enum class Field : std::uint8_t { other, message_id, response_to, trace_id, version };

Field field_of(std::string_view key) {
  if (key == "message_id") return Field::message_id;
  if (key == "v") return Field::version;
  if (key == "response_to") return Field::response_to;
  if (key == "trace_id") return Field::trace_id;
  return Field::other;
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t out = 0;
  for (char byte : bytes) out = out << 8 | static_cast<unsigned char>(byte);
  return out;
}

// Extension -1 is a time. What microseconds or our clock's range cannot hold stays an extension, so
// that it goes back as it came.
Value read_extension(std::int8_t type, std::string_view octets) {
  std::uint64_t ns = 0;
  std::int64_t s = 0;
  bool time = type == -1;
  if (octets.size() == 4) {
    s = static_cast<std::int64_t>(big_endian(octets));
  } else if (octets.size() == 8) {
    const std::uint64_t both = big_endian(octets);
    ns = both >> 34;
    s = static_cast<std::int64_t>(both & ((std::uint64_t{1} << 34) - 1));
  } else if (octets.size() == 12) {
    ns = big_endian(octets.substr(0, 4));
    s = static_cast<std::int64_t>(big_endian(octets.substr(4)));
  } else {
    time = false;
  }
  constexpr std::int64_t kMostSeconds = std::int64_t{1} << 42;  // microseconds of it fit into 63 bits
  if (!time || ns >= 1'000'000'000 || ns % 1000 != 0 || s > kMostSeconds || s < -kMostSeconds) return Extension{type, std::string(octets)};
  return DateTime(std::chrono::seconds(s) + std::chrono::microseconds(ns / 1000));
}

// A key that comes twice keeps its place and takes the last value, as in Python's dict.
void keep_last(Value::Struct& members) {
  if (members.size() < 2) return;
  std::unordered_map<std::string_view, std::size_t> seen;
  std::size_t kept = 0;
  if (members.size() <= 8) {
    bool twice = false;
    for (std::size_t i = 1; i < members.size() && !twice; ++i)
      for (std::size_t j = 0; j < i && !twice; ++j) twice = members[i].first == members[j].first;
    if (!twice) return;
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (auto found = seen.find(members[i].first); found != seen.end()) {
      members[found->second].second = std::move(members[i].second);
      continue;
    }
    if (kept != i) members[kept] = std::move(members[i]);
    seen.emplace(members[kept].first, kept);
    ++kept;
  }
  members.resize(kept);
}

// The version as a number. All that anybody asks of it is whether it is at least 2, so one beyond 63 bits may be cut.
bool read_version(const Value& value, std::int64_t& version) {
  constexpr double kMost = 1e9;
  if (auto* integer = value.get_if<std::int64_t>()) return version = *integer, true;
  if (value.get_if<std::uint64_t>()) return version = static_cast<std::int64_t>(kMost), true;
  if (auto* real = value.get_if<double>(); real && std::abs(*real) < kMost) return version = static_cast<std::int64_t>(*real), true;
  return false;
}

}  // namespace

// Builds the values of name and args in place, keeps the header's few fields and only checks the rest.
class EventReader::Visitor : public msgpack::null_visitor {
 public:
  Visitor(EventReader& reader, std::string_view payload, Event& event)
      : limits_(reader.limits_), open_(reader.open_), payload_(payload), event_(event) {}

  bool header_read() const { return header_read_; }

  bool visit_nil() { return put(Value()); }
  bool visit_boolean(bool b) { return put(b); }
  bool visit_positive_integer(std::uint64_t i) { return put(i); }
  bool visit_negative_integer(std::int64_t i) { return put(i); }
  bool visit_float32(float f) { return put(static_cast<double>(f)); }
  bool visit_float64(double d) { return put(d); }
  bool visit_str(const char* at, std::uint32_t size) {
    const std::string_view text = size == 0 ? std::string_view() : std::string_view(at, size);
    if (!fits(size)) return false;
    if (!is_utf8(text)) return refuse(Fault::Kind::invalid_character, "the event holds a text (str) that is not UTF-8; send octets as bin");
    if (key_next_) return key(text);
    if (!slot_) return note_end(text), put(Value());
    return put(text);
  }
  bool visit_bin(const char* at, std::uint32_t size) {
    if (!fits(size)) return false;
    if (!slot_) return note_end({at, size}), put(Value());
    return put(Bytes{size == 0 ? std::string() : std::string(at, size)});
  }
  bool visit_ext(const char* at, std::uint32_t size) {  // the type is its first byte
    if (!fits(size) || size == 0) return false;
    return put(read_extension(static_cast<std::int8_t>(*at), std::string_view(at + 1, size - 1)));
  }

  bool start_array(std::uint32_t size) {
    if (open_.empty()) {
      parts_ = size;
      open_.emplace_back();
      return true;
    }
    if (!enter(size, size)) return false;
    if (open_.size() == 1 && part_ == 1) return false;  // the header is a map
    Container container;
    if (slot_) {
      *slot_ = Value::Array();
      container.array = slot_->get_if<Value::Array>();
      container.array->reserve(size);
    }
    open_.push_back(container);
    return true;
  }
  bool start_array_item() {
    if (open_.size() == 1) {
      if (++part_ > 1 && parts_ != 3) return refuse_parts();
      slot_ = part_ == 1 ? nullptr : part_ == 2 ? &event_.name : &event_.args;
      return true;
    }
    auto* array = open_.back().array;
    slot_ = array ? &array->emplace_back() : nullptr;
    return true;
  }
  bool end_array() { return open_.pop_back(), !open_.empty() || parts_ == 3 || refuse_parts(); }

  bool start_map(std::uint32_t size) {
    if (open_.empty() || !enter(size, std::size_t{2} * size)) return false;
    Container container;
    if (slot_) {
      *slot_ = Value::Struct();
      container.members = slot_->get_if<Value::Struct>();
      container.members->reserve(size);
    }
    open_.push_back(container);
    return true;
  }
  bool start_map_key() { return key_next_ = true; }
  bool end_map_value() { return !in_header() || end_field(); }
  bool end_map() {
    if (auto* members = open_.back().members) keep_last(*members);
    if (in_header()) header_read_ = true;
    return open_.pop_back(), true;
  }

 private:
  bool in_header() const { return open_.size() == 2 && part_ == 1; }

  bool put(Value value) {
    if (key_next_) return refuse_key();
    if (open_.empty() || (open_.size() == 1 && part_ == 1)) return false;  // no event, or no header
    if (slot_) *slot_ = std::move(value);
    return true;
  }

  bool key(std::string_view text) {
    key_next_ = false;
    if (in_header()) {
      field_ = field_of(text);
      value_at_ = field_ == Field::other ? 0 : static_cast<std::size_t>(text.data() - payload_.data()) + text.size();
      value_end_ = 0;
      slot_ = field_ == Field::version ? &version_ : nullptr;
      return true;
    }
    auto* members = open_.back().members;
    slot_ = members ? &members->emplace_back(text, Value()).second : nullptr;
    return true;
  }

  // An id is a text or octets, as a rule, and those show where they end.
  void note_end(std::string_view text) {
    if (in_header() && !text.empty()) value_end_ = static_cast<std::size_t>(text.data() - payload_.data()) + text.size();
  }

  bool end_field() {
    if (field_ == Field::other) return true;
    if (field_ == Field::version) {
      if (!read_version(version_, event_.version)) {
        event_.version = 3;  // the form of the answer
        refuse(Fault::Kind::invalid_request, "the header's 'v' must be a number, not " + describe(version_));
      }
      version_ = Value();
      return true;
    }
    if (value_end_ == 0) {
      // Where a number or an array ends, the visitor is not told. It was checked: skipping it once more is safe.
      msgpack::null_visitor skip;
      value_end_ = value_at_;
      msgpack::parse(payload_.data(), payload_.size(), value_end_, skip);
    }
    const std::string_view raw = payload_.substr(value_at_, value_end_ - value_at_);
    if (raw.size() > limits_.id_bytes) return false;
    (field_ == Field::message_id ? event_.message_id : field_ == Field::response_to ? event_.response_to : event_.trace_id) = raw;
    return true;
  }

  bool enter(std::uint32_t size, std::size_t values) {
    if (key_next_) return refuse_key();
    if (open_.size() > limits_.depth)
      return too_large("more than " + std::to_string(limits_.depth) + " arrays and maps inside one another; send it flatter");
    // A container of n claims n bytes at least: a length that lies is not worth an allocation.
    if (size > payload_.size()) return false;
    values_ += values;
    if (values_ > limits_.values) return too_large("more than " + std::to_string(limits_.values) + " values; send it in several calls");
    return true;
  }

  bool fits(std::size_t size) {
    if (size <= limits_.text_bytes) return true;
    return too_large("a text of " + std::to_string(size) + " bytes, more than " + std::to_string(limits_.text_bytes) + "; send it in parts");
  }

  bool too_large(const std::string& what) { return refuse(Fault::Kind::too_large, "the call has " + what); }
  bool refuse_parts() { return refuse(Fault::Kind::invalid_request, "the event has " + std::to_string(parts_) + " parts; expected [header, name, args]"); }
  bool refuse_key() { return refuse(Fault::Kind::invalid_request, "the event holds a map with a key that is no text (str)"); }
  bool refuse(Fault::Kind kind, std::string why) {
    event_.refused_as = kind;
    event_.refusal = std::move(why);
    return false;
  }

  const EventLimits& limits_;
  std::vector<Container>& open_;  // [0] is the event; [1] its header, or a container of name or args
  std::string_view payload_;
  Event& event_;
  std::uint32_t parts_ = 0;  // of the event, as it says
  std::uint32_t part_ = 0;   // 1: header, 2: name, 3: args
  Value* slot_ = nullptr;
  bool key_next_ = false, header_read_ = false;
  Field field_ = Field::other;
  std::size_t value_at_ = 0, value_end_ = 0, values_ = 0;
  Value version_;
};

Reading EventReader::read(std::string_view payload, Event& event) {
  event.message_id = event.response_to = event.trace_id = {};
  event.version = 0;
  event.name = event.args = Value();
  event.refusal.clear();
  open_.clear();
  Visitor visitor(*this, payload, event);
  std::size_t end = 0;
  bool whole = false;
  try {
    whole = msgpack::parse(payload.data(), payload.size(), end, visitor);
  } catch (const msgpack::unpack_error&) {
    // a length that overflows the format's own arithmetic
  }
  if (whole && event.refusal.empty()) return Reading::event;
  if (!visitor.header_read()) return Reading::garbage;
  if (event.refusal.empty()) {
    event.refused_as = Fault::Kind::invalid_request;
    event.refusal = "the event is no whole msgpack array [header, name, args]";
  }
  return Reading::refused;
}

}  // namespace sluice::zerorpc
