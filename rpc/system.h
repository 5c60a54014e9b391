#pragma once
// The system.* methods: introspection, multicall and capabilities, as XML-RPC clients expect them.
// Sources: the XML-RPC introspection draft, "system.multicall" (Kidd 2001), the fault code
// interoperability list (2001-05-16).

#include "rpc/dispatcher.h"

namespace sluice {

class System : public Handler {
 public:
  struct Limits {
    std::size_t multicall = 1000;         // calls in one system.multicall
    std::size_t answer_bytes = 64 << 20;  // of its results together, by footprint()
    std::size_t gathered_items = 100000;  // of a stream inside a multicall
  };

  explicit System(const Dispatcher& dispatcher) : System(dispatcher, Limits{}) {}
  System(const Dispatcher& dispatcher, Limits limits) : dispatcher_(dispatcher), limits_(limits) {}

  std::string_view name() const override { return "system"; }
  std::vector<Method> methods() override;

 private:
  // These answer through an Answer because it knows who asks.
  void list_methods(Answer<Value::Array>) const;
  void method_help(Answer<std::string>, std::string name) const;
  void method_signature(Answer<Value::Array>, std::string name) const;
  void method_exist(Answer<bool>, std::string name) const;
  Value::Struct get_capabilities() const;
  void multicall(Answer<Value::Array>, Value::Array calls) const;

  const Method& known(const std::string& name, const Reply&) const;  // throws no_such_method

  const Dispatcher& dispatcher_;
  Limits limits_;
};

}  // namespace sluice
