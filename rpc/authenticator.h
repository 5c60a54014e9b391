#pragma once
// Authenticator: who is it that a transport has on its line? Made by the gateway; a transport without one asks nobody.

#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "rpc/fault.h"
#include "rpc/function.h"
#include "rpc/loop.h"
#include "rpc/principal.h"

namespace sluice {

// What a transport saw of a caller; what it did not see is empty.
struct Credentials {
  std::string_view authorization{};  // an HTTP Authorization header
  std::string_view certificate{};    // the subject of a certificate that was verified: its common name
  std::string_view key{};            // a CURVE public key whose owner proved that he has the other half, in Z85
  std::string_view address{};        // where he comes from, without a port
};

class Authenticator {
 public:
  // A Fault is unauthenticated or overloaded (then with "retry_after_ms").
  using Verdict = std::variant<std::shared_ptr<const Principal>, Fault>;

  virtual ~Authenticator() = default;
  // From any thread: what can be told at once. nullopt: proving it takes time.
  virtual std::optional<Verdict> known(const Credentials&) = 0;
  // On the loop, after known() had no verdict. Copies what it needs; `then` is called once, later, on the loop.
  virtual void prove(const Credentials&, Loop&, UniqueFunction<void(Verdict)> then) = 0;
};

}  // namespace sluice
