#pragma once
// Principal: who calls, as far as handlers need to know. Made by the gateway from what the transport saw (a password, a token,
// a certificate, a key); shared by all calls of that caller, from any thread.

#include <string>
#include <string_view>

namespace sluice {

struct Method;

class Principal {
 public:
  virtual ~Principal() = default;
  virtual const std::string& name() const noexcept = 0;
  virtual bool may_call(const Method&) const noexcept = 0;
  virtual bool may_use(std::string_view database) const noexcept = 0;
  // May statements of his own, as opposed to named ones, change data? Asked by sql, which alone knows what a statement does.
  virtual bool may_write() const noexcept = 0;
};

}  // namespace sluice
