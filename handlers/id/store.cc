#include "handlers/id/store.h"

namespace sluice::id {

Fault unknown_tag(const std::string& tag) {
  const std::string name = describe(Value(tag)).substr(7);
  return Fault(Fault::Kind::not_found, "there is no tag " + name + "; make it with id.create(" + name + ")");
}

}  // namespace sluice::id
