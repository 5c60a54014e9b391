#include "gateway/json.h"

#include <cmath>
#include <stdexcept>

#include "transports/xmlrpc/scalars.h"

namespace sluice {

using Json = nlohmann::ordered_json;

Value from_json(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null: return {};
    case Json::value_t::boolean: return json.get<bool>();
    case Json::value_t::number_integer: return json.get<std::int64_t>();
    case Json::value_t::number_unsigned: return json.get<std::uint64_t>();
    case Json::value_t::number_float: return json.get<double>();
    case Json::value_t::string: return json.get<std::string>();
    case Json::value_t::array: {
      Value::Array items;
      for (const auto& item : json) items.push_back(from_json(item));
      return items;
    }
    case Json::value_t::object: {
      if (json.size() == 1 && json.begin().value().is_string()) {
        const std::string& key = json.begin().key();
        const std::string text = json.begin().value().get<std::string>();
        if (key == "$base64") {
          Bytes bytes;
          if (!xmlrpc::read_base64(text, bytes.octets)) throw std::runtime_error("{\"$base64\": ...} must hold base64, not '" + text.substr(0, 40) + "'");
          return bytes;
        }
        if (key == "$datetime") {
          DateTime when;
          if (!xmlrpc::read_datetime(text, when)) throw std::runtime_error("{\"$datetime\": ...} must hold a time such as 20261123T14:05:00, not '" + text.substr(0, 40) + "'");
          return when;
        }
      }
      Value::Struct members;
      for (const auto& [name, member] : json.items()) members.emplace_back(name, from_json(member));
      return members;
    }
    default: return {};
  }
}

Json to_json(const Value& value) {
  auto base64 = [](const std::string& octets) {
    std::string text;
    xmlrpc::write_base64(octets, text);
    return text;
  };
  switch (value.kind()) {
    case Value::Kind::nil: return nullptr;
    case Value::Kind::boolean: return *value.get_if<bool>();
    case Value::Kind::integer: return *value.get_if<std::int64_t>();
    case Value::Kind::big: return *value.get_if<std::uint64_t>();
    case Value::Kind::real: {
      const double real = *value.get_if<double>();
      if (std::isfinite(real)) return real;
      return std::isnan(real) ? "nan" : real < 0 ? "-inf" : "inf";  // JSON has no such numbers
    }
    case Value::Kind::string: return *value.get_if<std::string>();
    case Value::Kind::bytes: return Json{{"$base64", base64(value.get_if<Bytes>()->octets)}};
    case Value::Kind::datetime: {
      std::string text;
      const DateTime when = *value.get_if<DateTime>();
      if (!xmlrpc::write_datetime(when, text)) return Json{{"$datetime", std::to_string(when.time_since_epoch().count()) + " us since 1970"}};  // a year of five digits
      if (const auto fraction = (when - std::chrono::floor<std::chrono::seconds>(when)).count(); fraction > 0) text += "." + std::to_string(1'000'000 + fraction).substr(1);  // XML-RPC has none, zerorpc has
      return Json{{"$datetime", text}};
    }
    case Value::Kind::array: {
      Json items = Json::array();
      for (const Value& item : *value.get_if<Value::Array>()) items.push_back(to_json(item));
      return items;
    }
    case Value::Kind::structure: {
      Json members = Json::object();
      for (const auto& [name, member] : *value.get_if<Value::Struct>()) members[name] = to_json(member);
      return members;
    }
    case Value::Kind::extension: return Json{{"$ext", Json::array({value.get_if<Extension>()->type, base64(value.get_if<Extension>()->octets)})}};
  }
  return nullptr;
}

Value argument(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Value(text) : from_json(json);
}

}  // namespace sluice
