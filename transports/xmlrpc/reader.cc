#include "transports/xmlrpc/reader.h"

#include <algorithm>
#include <unordered_map>

#include "transports/xmlrpc/encoding.h"
#include "transports/xmlrpc/scalars.h"
#include "transports/xmlrpc/scanner.h"

namespace sluice::xmlrpc {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// A name that stands twice: the last one wins, as in a Python dict. Few members are compared with each other, many are indexed.
void drop_overwritten(Value::Struct& members) {
  constexpr std::size_t kFew = 12;
  if (members.size() <= kFew) {
    for (std::size_t i = 0; i < members.size(); ++i)
      for (std::size_t j = i + 1; j < members.size(); ++j)
        if (members[i].first == members[j].first) {
          members.erase(members.begin() + static_cast<std::ptrdiff_t>(i--));
          break;
        }
    return;
  }
  std::unordered_map<std::string_view, std::size_t> last;
  for (std::size_t i = 0; i < members.size(); ++i) last[members[i].first] = i;
  if (last.size() == members.size()) return;
  Value::Struct kept;
  kept.reserve(last.size());
  for (std::size_t i = 0; i < members.size(); ++i)
    if (last[members[i].first] == i) kept.push_back(members[i]);
  members = std::move(kept);
}

class Reader {
 public:
  Reader(std::string_view document, const ReadLimits& limits) : scanner_(document), limits_(limits) {}

  MethodCall call() {
    MethodCall call;
    scanner_.prolog();
    scanner_.open("methodCall");
    scanner_.open("methodName");
    scanner_.text(text_);
    call.method = trimmed(text_);
    text_.clear();
    scanner_.close("methodName");
    Scanner::Tag tag = scanner_.tag();
    if (tag.name == "params" && !tag.closing) {
      if (!tag.empty) params(call.params);
      scanner_.close("methodCall");
    } else if (tag.name != "methodCall" || !tag.closing) {
      scanner_.fail(Fault::Kind::invalid_request, "expected <params> or </methodCall>, not " + shown(tag));
    }
    scanner_.end();
    return call;
  }

  std::variant<Value, RemoteFault> response() {
    scanner_.prolog();
    scanner_.open("methodResponse");
    Scanner::Tag tag = scanner_.tag();
    std::variant<Value, RemoteFault> result;
    if (tag.name == "params" && !tag.closing && !tag.empty) {
      scanner_.open("param");
      result = any_value(0);
      scanner_.close("param");
      scanner_.close("params");
    } else if (tag.name == "fault" && !tag.closing && !tag.empty) {
      Value fault = any_value(0);
      scanner_.close("fault");
      auto* code = fault.find("faultCode");
      auto* text = fault.find("faultString");
      if (!code || !code->get_if<std::int64_t>() || !text || !text->get_if<std::string>())
        scanner_.fail(Fault::Kind::invalid_request, "a fault must be a struct {faultCode: int, faultString: string}, not " + describe(fault));
      result = RemoteFault{*code->get_if<std::int64_t>(), *text->get_if<std::string>()};
    } else {
      scanner_.fail(Fault::Kind::invalid_request, "expected <params> or <fault>, not " + shown(tag));
    }
    scanner_.close("methodResponse");
    scanner_.end();
    return result;
  }

 private:
  static std::string shown(const Scanner::Tag& tag) {
    return "<" + std::string(tag.closing ? "/" : "") + std::string(tag.name.substr(0, 40)) + (tag.empty ? "/>" : ">");
  }

  void params(Value::Array& out) {
    for (;;) {
      Scanner::Tag tag = scanner_.tag();
      if (tag.name == "params" && tag.closing) return;
      if (tag.name != "param" || tag.closing || tag.empty) scanner_.fail(Fault::Kind::invalid_request, "expected <param> or </params>, not " + shown(tag));
      out.push_back(any_value(0));
      scanner_.close("param");
    }
  }

  Value any_value(std::size_t depth) {
    Scanner::Tag tag = scanner_.tag();
    if (tag.name != "value" || tag.closing) scanner_.fail(Fault::Kind::invalid_request, "expected <value>, not " + shown(tag));
    return value(tag, depth);
  }

  // After <value> or <value/>.
  Value value(const Scanner::Tag& opened, std::size_t depth) {
    if (++values_ > limits_.values)
      scanner_.fail(Fault::Kind::too_large, "more than " + std::to_string(limits_.values) + " values in one document (limits.values)");
    if (opened.empty) return Value(std::string());
    std::string text;
    scanner_.text(text);
    Scanner::Tag tag = scanner_.tag();
    if (tag.closing) {
      if (tag.name != "value") scanner_.fail(Fault::Kind::parse_error, "expected </value>, not " + shown(tag));
      return Value(std::move(text));  // untyped: a string, and its white space counts
    }
    if (!trimmed(text).empty()) scanner_.fail(Fault::Kind::invalid_request, "text beside the type " + shown(tag) + "; a <value> holds either text or one typed element");
    Value result = typed(tag, depth);
    scanner_.close("value");
    return result;
  }

  Value typed(const Scanner::Tag& tag, std::size_t depth) {
    std::string_view type = tag.name;
    if (auto colon = type.find(':'); colon != type.npos) type.remove_prefix(colon + 1);  // ex:nil, ex:i8
    if (type == "array") return array(tag, depth);
    if (type == "struct") return structure(tag, depth);

    std::string text;
    if (type == "string") {
      content(tag, text);
      return Value(std::move(text));
    }
    text_.clear();
    content(tag, text_);
    if (type == "int" || type == "i4" || type == "i8" || type == "i1" || type == "i2" || type == "biginteger") {
      std::int64_t integer;
      if (!read_integer(text_, integer)) wrong(tag, "an integer of at most 64 bits");
      return Value(integer);
    }
    if (type == "boolean") {
      const std::string_view flag = trimmed(text_);
      if (flag != "0" && flag != "1") wrong(tag, "0 or 1");
      return Value(flag == "1");
    }
    if (type == "double" || type == "float" || type == "bigdecimal") {
      double real;
      if (!read_double(text_, real)) wrong(tag, "a number");
      return Value(real);
    }
    if (type == "nil") {
      if (!trimmed(text_).empty()) wrong(tag, "nothing");
      return Value();
    }
    if (type == "base64") {
      Bytes bytes;
      if (!read_base64(text_, bytes.octets)) wrong(tag, "base64");
      return Value(std::move(bytes));
    }
    if (type == "dateTime.iso8601") {
      DateTime when;
      if (!read_datetime(text_, when)) wrong(tag, "a time such as 20261123T14:05:00");
      return Value(when);
    }
    scanner_.fail(Fault::Kind::invalid_request, shown(tag) + " is no type of XML-RPC");
  }

  void content(const Scanner::Tag& tag, std::string& out) {
    if (tag.empty) return;
    scanner_.text(out);
    scanner_.close(tag.name);
  }

  [[noreturn]] void wrong(const Scanner::Tag& tag, const std::string& expected) {
    scanner_.fail(Fault::Kind::invalid_request, shown(tag) + " must hold " + expected + ", not " + describe(Value(text_)).substr(7));
  }

  void deeper(std::size_t depth) {
    if (depth >= limits_.depth)
      scanner_.fail(Fault::Kind::too_large, "arrays and structs more than " + std::to_string(limits_.depth) + " deep (limits.depth)");
  }

  Value array(const Scanner::Tag& opened, std::size_t depth) {
    deeper(depth);
    Value::Array items;
    if (opened.empty) scanner_.fail(Fault::Kind::invalid_request, "<array/> lacks its <data>");
    Scanner::Tag data = scanner_.tag();
    if (data.name != "data" || data.closing) scanner_.fail(Fault::Kind::invalid_request, "expected <data>, not " + shown(data));
    while (!data.empty) {
      Scanner::Tag tag = scanner_.tag();
      if (tag.name == "data" && tag.closing) break;
      if (tag.name != "value" || tag.closing) scanner_.fail(Fault::Kind::invalid_request, "expected <value> or </data>, not " + shown(tag));
      items.push_back(value(tag, depth + 1));
    }
    scanner_.close(opened.name);
    return Value(std::move(items));
  }

  Value structure(const Scanner::Tag& opened, std::size_t depth) {
    deeper(depth);
    Value::Struct members;
    while (!opened.empty) {
      Scanner::Tag tag = scanner_.tag();
      if (tag.name == opened.name && tag.closing) break;
      if (tag.name != "member" || tag.closing || tag.empty) scanner_.fail(Fault::Kind::invalid_request, "expected <member>, not " + shown(tag));
      std::string name;
      Scanner::Tag name_tag = scanner_.tag();
      if (name_tag.name != "name" || name_tag.closing) scanner_.fail(Fault::Kind::invalid_request, "expected <name>, not " + shown(name_tag));
      content(name_tag, name);
      Value member = any_value(depth + 1);
      scanner_.close("member");
      members.emplace_back(std::move(name), std::move(member));
    }
    drop_overwritten(members);
    return Value(std::move(members));
  }

  Scanner scanner_;
  const ReadLimits& limits_;
  std::size_t values_ = 0;
  std::string text_;  // of the scalar being read; its room is used again
};

}  // namespace

MethodCall read_call(std::string_view document, const ReadLimits& limits) {
  std::string storage;
  return Reader(to_utf8(document, storage), limits).call();
}

std::variant<Value, RemoteFault> read_response(std::string_view document, const ReadLimits& limits) {
  std::string storage;
  return Reader(to_utf8(document, storage), limits).response();
}

}  // namespace sluice::xmlrpc
