#include "handlers/id/store.h"

namespace sluice::id {

Fault unknown_tag(const std::string& tag) {
  const std::string name = describe(Value(tag)).substr(7);
  return Fault(Fault::Kind::not_found, "there is no tag " + name + "; make it with id.create(" + name + ")");
}

Fault another_layout(const Claim& claim, const std::string& in_store) {
  return Fault(Fault::Kind::conflict, "the space '" + claim.space + "' has the layout " + in_store + " in the store, and " + claim.layout +
                                          " in this gateway's configuration (id.spaces): ids of both would collide; use the same, or another name");
}

}  // namespace sluice::id
