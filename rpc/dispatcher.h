#pragma once
// Dispatcher: from a method's name to its body. Filled at start, read-only and shared by all loops
// afterwards. Outlives every call.

#include <map>
#include <string>
#include <unordered_map>

#include "rpc/guard.h"
#include "rpc/handler.h"
#include "rpc/workers.h"

namespace sluice {

class Dispatcher {
 public:
  struct Limits {
    std::int64_t in_flight = 4096;  // calls that wait, of all transports together; more are shed as overloaded
  };

  // `workers` runs the methods marked blocking; nullptr: there are none.
  explicit Dispatcher(Workers* workers = nullptr) : Dispatcher(workers, Limits{}) {}
  Dispatcher(Workers* workers, Limits limits) : workers_(workers), limits_(limits) {}

  void add(Handler&);  // the handler outlives the dispatcher; throws std::logic_error on a name served twice

  void set_guard(Guard& guard) noexcept { guard_ = &guard; }  // before the first call; outlives the dispatcher

  const Method* find(std::string_view name) const noexcept;
  // For introspection: a caller is told of what he may call.
  const Method* find(std::string_view name, const Principal*) const noexcept;
  bool shows(const Method&, const Principal*) const noexcept;
  // What who calls a name that is none is told: the name that he may have meant, of those that he may call.
  Fault no_such_method(std::string_view name, const Principal*) const;

  // Tells the guard of a call that is not served; for transports that answer it in their own words, without call().
  void missed(std::string_view method, std::string_view transport, const Principal*) const;

  // Runs the call; never throws. The reply is answered on the calling loop, at once or later.
  void call(Call&, Reply) const;

  // By name, sorted: for introspection.
  const std::map<std::string, Method, std::less<>>& methods() const noexcept { return methods_; }

 private:
  void admitted(const Method&, Call&, Reply) const;
  void run(const Method&, Call&, Reply) const;

  Workers* workers_;
  Limits limits_;
  Guard* guard_ = nullptr;
  std::map<std::string, Method, std::less<>> methods_;
  std::unordered_map<std::string_view, const Method*> index_;  // into methods_, whose nodes stay put
  mutable std::atomic<std::int64_t> in_flight_{0};
};

}  // namespace sluice
