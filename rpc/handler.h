#pragma once
// Handler: an object whose methods the gateway serves under one name ("sql", "lock", "id").

#include "rpc/method.h"

namespace sluice {

class Handler {
 public:
  virtual ~Handler() = default;
  virtual std::string_view name() const = 0;
  // Everything callable, declared once. Served as "name.method"; a handler without a name serves
  // its methods bare ("system.listMethods" brings its own dot).
  virtual std::vector<Method> methods() = 0;
  // Also serve the methods without the handler's name in front ("add" beside "calc.add").
  virtual bool at_root() const { return false; }
};

}  // namespace sluice
