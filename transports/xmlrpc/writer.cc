#include "transports/xmlrpc/writer.h"

#include <charconv>
#include <limits>

#include "transports/xmlrpc/characters.h"
#include "transports/xmlrpc/scalars.h"

namespace sluice::xmlrpc {
namespace {

constexpr std::string_view kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr std::size_t kDepth = 256;  // of a result; bounds the stack

class Writer {
 public:
  Writer(std::size_t most, std::string& out) : out_(out), start_(out.size()), most_(most) {}

  bool value(const Value& value, std::size_t depth = 0) {
    if (!fits(0)) return false;
    switch (value.kind()) {
      case Value::Kind::nil: out_ += "<value><nil/></value>"; return true;
      case Value::Kind::boolean: out_ += *value.get_if<bool>() ? "<value><boolean>1</boolean></value>" : "<value><boolean>0</boolean></value>"; return true;
      case Value::Kind::integer: integer(*value.get_if<std::int64_t>()); return true;
      case Value::Kind::big:
        return problem(Fault::Kind::bad_arguments, describe(value) + " is beyond 64 signed bits, the most that XML-RPC's i8 carries; pass it as a string");
      case Value::Kind::real:
        out_ += "<value><double>";
        write_double(*value.get_if<double>(), out_);
        out_ += "</double></value>";
        return true;
      case Value::Kind::string:
        if (!fits(value.get_if<std::string>()->size())) return false;
        out_ += "<value><string>";
        if (!text(*value.get_if<std::string>())) return false;
        out_ += "</string></value>";
        return true;
      case Value::Kind::bytes:
        if (!fits(value.get_if<Bytes>()->octets.size())) return false;
        out_ += "<value><base64>";
        write_base64(value.get_if<Bytes>()->octets, out_);
        out_ += "</base64></value>";
        return true;
      case Value::Kind::datetime:
        out_ += "<value><dateTime.iso8601>";
        if (!write_datetime(*value.get_if<DateTime>(), out_))
          return problem(Fault::Kind::bad_arguments, "a time outside of the years 1 to 9999, all that dateTime.iso8601 carries; pass it as a string");
        out_ += "</dateTime.iso8601></value>";
        return true;
      case Value::Kind::array: return array(*value.get_if<Value::Array>(), depth);
      case Value::Kind::structure: return structure(*value.get_if<Value::Struct>(), depth);
      case Value::Kind::extension: return problem(Fault::Kind::bad_arguments, "a msgpack " + describe(value) + " has no form in XML-RPC; pass bytes");
    }
    return true;
  }

  bool text(std::string_view text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
      const char* plain = at;
      while (at < end && byte_class(*at) == ByteClass::plain) ++at;
      out_.append(plain, at);
      if (at == end) break;
      switch (byte_class(*at)) {
        case ByteClass::plain: break;
        case ByteClass::markup:
          // A bare CR would be read as LF (XML 1.0, 2.11), so it goes as a reference.
          out_ += *at == '&' ? "&amp;" : *at == '<' ? "&lt;" : *at == '>' ? "&gt;" : "&#13;";
          ++at;
          break;
        case ByteClass::control:
          return problem(Fault::Kind::invalid_character, "the text holds the control character " + std::to_string(static_cast<unsigned char>(*at)) + " at byte " +
                                                             std::to_string(at - text.data()) + ", which XML cannot carry; as bytes (base64) it can, or by zerorpc");
        case ByteClass::lead: {
          const std::size_t length = multibyte_length({at, static_cast<std::size_t>(end - at)});
          if (length == 0)
            return problem(Fault::Kind::invalid_character, "the text is no UTF-8 that XML can carry at byte " + std::to_string(at - text.data()) + "; as bytes (base64) it can be carried");
          out_.append(at, length);
          at += length;
        }
      }
    }
    return true;
  }

  // Is there room for `more` bytes? Asked before anything is copied that may be large, and at the end.
  bool fits(std::size_t more) {
    if (const std::size_t used = out_.size() - start_; used <= most_ && more <= most_ - used) return true;
    return problem(Fault::Kind::too_large,
                   "the document would be longer than " + std::to_string(most_) + " bytes (limits.answer_bytes); ask for less, or in parts");
  }

  [[noreturn]] void fail(const std::string& root) {
    out_.resize(start_);
    throw Fault(kind_, root + path_ + ": " + problem_);
  }

 private:
  void integer(std::int64_t i) {
    const bool small = i >= std::numeric_limits<std::int32_t>::min() && i <= std::numeric_limits<std::int32_t>::max();
    out_ += small ? "<value><int>" : "<value><i8>";
    char number[24];
    out_.append(number, std::to_chars(number, number + sizeof number, i).ptr);
    out_ += small ? "</int></value>" : "</i8></value>";
  }

  bool array(const Value::Array& items, std::size_t depth) {
    if (depth == kDepth) return too_deep();
    out_ += "<value><array><data>";
    for (const Value& item : items)
      if (!value(item, depth + 1)) {
        path_.insert(0, "[" + std::to_string(&item - items.data()) + "]");
        return false;
      }
    out_ += "</data></array></value>";
    return true;
  }

  bool structure(const Value::Struct& members, std::size_t depth) {
    if (depth == kDepth) return too_deep();
    out_ += "<value><struct>";
    for (const auto& [name, member] : members) {
      out_ += "<member><name>";
      const bool named = text(name);
      out_ += "</name>";
      if (!named || !value(member, depth + 1)) {
        path_.insert(0, "[" + describe(Value(name)).substr(7) + "]");  // without "string "
        return false;
      }
      out_ += "</member>";
    }
    out_ += "</struct></value>";
    return true;
  }

  bool too_deep() { return problem(Fault::Kind::too_large, "arrays and structs more than " + std::to_string(kDepth) + " deep"); }

  bool problem(Fault::Kind kind, std::string what) {
    kind_ = kind;
    problem_ = std::move(what);
    return false;
  }

  std::string& out_;
  std::size_t start_, most_;
  Fault::Kind kind_ = Fault::Kind::internal;
  std::string problem_, path_;
};

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  const std::string_view whole(out);
  for (std::size_t at = 0, found; (found = find_invalid(whole.substr(at))) != std::string::npos; at += found + 1) out[at + found] = '?';
  return out;
}

void write_response(const Value& value, std::size_t most, std::string& out) {
  Writer writer(most, out);
  out += kDeclaration;
  out += "<methodResponse><params><param>";
  if (!writer.value(value)) writer.fail("result");
  out += "</param></params></methodResponse>\n";
  if (!writer.fits(0)) writer.fail("result");
}

std::size_t weigh(const Value& value, std::size_t most) {
  std::string written;
  Writer writer(most, written);
  if (!writer.value(value)) writer.fail("result");
  return written.size();
}

void write_call(std::string_view method, const Value::Array& params, std::size_t most, std::string& out) {
  Writer writer(most, out);
  out += kDeclaration;
  out += "<methodCall><methodName>";
  if (!writer.text(method)) writer.fail("method name");
  out += "</methodName><params>";
  for (const Value& param : params) {
    out += "<param>";
    if (!writer.value(param)) writer.fail("argument " + std::to_string(&param - params.data() + 1));
    out += "</param>";
  }
  out += "</params></methodCall>\n";
  if (!writer.fits(0)) writer.fail("call");
}

void write_fault(const Fault& fault, std::string& out) noexcept {
  Writer writer(std::numeric_limits<std::size_t>::max(), out);
  out += kDeclaration;
  out += "<methodResponse><fault>";
  const std::string text = fault.xmlrpc_string();
  writer.value(Value::Struct{{"faultCode", fault.xmlrpc_code()}, {"faultString", text.empty() ? std::string(fault.exception_name()) : printable(text)}});
  out += "</fault></methodResponse>\n";
}

}  // namespace sluice::xmlrpc
