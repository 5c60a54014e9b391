#pragma once
// probe: methods that behave in a known way, to try clients, limits and networks with. Off unless asked for (--probe).
// validator1: the eight methods of the Userland XML-RPC validation suite, for the clients that test themselves with it.

#include "rpc/handler.h"

namespace sluice {

class Probe final : public Handler {
 public:
  std::string_view name() const override { return "probe"; }
  std::vector<Method> methods() override;

 private:
  Value echo(Value x) const { return x; }
  void sleep(Answer<std::string>, double seconds) const;  // "slept"; ends early when its caller goes
  void fail(std::optional<std::string> name, std::optional<std::string> message) const;
  void count(StreamAnswer<std::int64_t>, std::int64_t n) const;
  void count_then_fail(StreamAnswer<std::int64_t>, std::int64_t n) const;
};

class Validator1 final : public Handler {
 public:
  std::string_view name() const override { return "validator1"; }
  std::vector<Method> methods() override;

 private:
  using Struct = Value::Struct;
  using Array = Value::Array;
  std::int64_t array_of_structs_test(Array structs) const;
  Struct count_the_entities(std::string text) const;
  std::int64_t easy_struct_test(Struct stooges) const;
  Struct echo_struct_test(Struct value) const { return value; }
  Array many_types_test(Value number, Value boolean, Value string, Value real, Value time, Value bytes) const;
  std::string moderate_size_array_check(Array strings) const;
  std::int64_t nested_struct_test(Struct years) const;
  Struct simple_struct_return_test(std::int64_t number) const;
};

}  // namespace sluice
