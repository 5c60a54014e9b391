#include "handlers/id/store.h"

namespace sluice::id {

Fault unknown_tag(const std::string& tag) {
  const std::string name = describe(Value(tag)).substr(7);
  return Fault(Fault::Kind::not_found, "there is no tag " + name + "; make it with id.create(" + name + ")");
}

Fault spent_tag(const std::string& tag, std::int64_t next) {
  return Fault(Fault::Kind::too_large, "the numbers of the tag " + describe(Value(tag)).substr(7) + " are spent: they end at 2^63 - 1, and the next is " + std::to_string(next));
}

Fault another_layout(const Claim& claim, const std::string& in_store) {
  return Fault(Fault::Kind::conflict, "the space '" + claim.space + "' has the layout " + in_store + " in the store, and " + claim.layout +
                                          " in this gateway's configuration (id.spaces): ids of both would collide; use the same, or another name");
}

}  // namespace sluice::id
