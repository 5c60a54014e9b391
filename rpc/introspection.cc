#include "rpc/introspection.h"

#include <algorithm>

namespace sluice {
namespace {

Value::Array row(const Signature& signature, std::size_t count, std::string_view number) {
  auto type = [&](const std::string& name) { return Value(name == Wire<Number>::name ? number : std::string_view(name)); };
  Value::Array out{type(signature.streams ? std::string("array") : signature.result)};
  for (std::size_t i = 0; i < count; ++i) out.push_back(type(signature.parameters[i].type));
  return out;
}

}  // namespace

Value::Array xmlrpc_signatures(const Signature& signature) {
  const auto& parameters = signature.parameters;
  const bool numbers = signature.result == Wire<Number>::name ||
                       std::ranges::any_of(parameters, [](const Parameter& p) { return p.type == Wire<Number>::name; });
  std::size_t least = parameters.size();
  while (least > 0 && parameters[least - 1].optional) --least;
  Value::Array rows;
  for (std::size_t count = least; count <= parameters.size(); ++count) {
    rows.emplace_back(row(signature, count, "int"));
    if (numbers) rows.emplace_back(row(signature, count, "double"));
  }
  return rows;
}

Value::Array python_arguments(const Signature& signature) {
  Value::Array out;
  for (const Parameter& p : signature.parameters) {
    Value::Struct argument{{"name", p.name}};
    if (p.optional) argument.emplace_back("default", Value());
    out.emplace_back(std::move(argument));
  }
  return out;
}

Value python_argspec(const Signature& signature) {
  Value::Array names, defaults;
  for (const Parameter& p : signature.parameters) {
    names.emplace_back(p.name);
    if (p.optional) defaults.emplace_back();
  }
  Value given = defaults.empty() ? Value() : Value(std::move(defaults));
  return Value::Array{Value(std::move(names)), Value(), Value(), std::move(given)};
}

}  // namespace sluice
