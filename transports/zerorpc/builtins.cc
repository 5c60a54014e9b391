#include "transports/zerorpc/builtins.h"

#include <array>

#include "rpc/introspection.h"
#include "transports/zerorpc/python.h"

namespace sluice::zerorpc {
namespace {

using Answer = std::variant<Value, Fault>;

struct Server {
  const Dispatcher& methods;
  const Principal* caller;
  std::string_view name;
};

Value doc(const Method& method) { return method.help.empty() ? Value() : Value(method.help); }

Answer ping(const Server& server, const Value::Array&) { return Value::Array{"pong", server.name}; }
Answer name(const Server& server, const Value::Array&) { return Value(server.name); }

Answer list(const Server& server, const Value::Array&) {
  Value::Array names;
  for (const auto& [name, method] : server.methods.methods())
    if (server.methods.shows(method, server.caller)) names.emplace_back(name);
  return names;
}

// Calls `then` with the method that the one argument names; KeyError, as Python's dictionary says it, if there is none.
template <class Then>
Answer of_method(const Server& server, const Value::Array& args, Then then) {
  auto* wanted = args[0].get_if<std::string>();
  if (const Method* method = wanted ? server.methods.find(*wanted, server.caller) : nullptr) return then(*method);
  return Fault::named("KeyError", wanted ? python_repr(*wanted) : describe(args[0]));
}

Answer help(const Server& server, const Value::Array& args) { return of_method(server, args, doc); }
Answer arguments(const Server& server, const Value::Array& args) {
  return of_method(server, args, [](const Method& method) { return python_argspec(method.signature); });
}

Answer inspect(const Server& server, const Value::Array&) {
  Value::Struct methods;
  for (const auto& [name, method] : server.methods.methods())
    if (server.methods.shows(method, server.caller))
      methods.emplace_back(name, Value::Struct{{"args", python_arguments(method.signature)}, {"doc", doc(method)}});
  return Value::Struct{{"name", server.name}, {"methods", std::move(methods)}};
}

struct Builtin {
  std::string_view name;
  std::size_t arguments;
  Answer (*run)(const Server&, const Value::Array&);
};
constexpr std::array<Builtin, 6> kBuiltins{{
    {"_zerorpc_ping", 0, ping},
    {"_zerorpc_name", 0, name},
    {"_zerorpc_list", 0, list},
    {"_zerorpc_help", 1, help},
    {"_zerorpc_args", 1, arguments},
    {"_zerorpc_inspect", 0, inspect},
}};

}  // namespace

std::optional<std::variant<Value, Fault>> call_builtin(std::string_view name, const Value::Array& args, const Dispatcher& methods,
                                                       std::string_view server_name, const Principal* caller) {
  for (const Builtin& builtin : kBuiltins) {
    if (builtin.name != name) continue;
    if (args.size() != builtin.arguments)
      return Fault(Fault::Kind::bad_arguments, std::string(name) + "() takes " + std::to_string(builtin.arguments) +
                                                   " positional argument" + (builtin.arguments == 1 ? "" : "s") + " but " +
                                                   std::to_string(args.size()) + (args.size() == 1 ? " was given" : " were given"));
    return builtin.run({methods, caller, server_name}, args);
  }
  return std::nullopt;
}

}  // namespace sluice::zerorpc
