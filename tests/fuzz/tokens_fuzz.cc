// What callers hand back and a gateway once gave out: causality tokens, hidden ids, UUIDs, ULIDs. Any bytes are taken or refused; nobody
// forges a token, and what is taken comes back as it went.

#include <cstdlib>

#include "handlers/id/hide.h"
#include "handlers/id/uuid.h"
#include "handlers/sql/token.h"

using namespace sluice;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  static const sql::Seal seal("a secret of this test");
  expect(!seal.open(text));
  // Signed, whatever it is: what stands behind the signature is read too.
  const std::string sealed = seal.close({text, {}});
  if (const auto position = seal.open(sealed)) {
    const auto again = seal.open(seal.close(*position));
    expect(again && *again == *position);
  }

  if (const std::int64_t hidden = id::parse_hidden(text); hidden >= 0) {
    expect(id::parse_hidden(id::hidden_text(hidden)) == hidden);
    static const id::Hider hider("k1", "0123456789abcdef");
    const std::int64_t revealed = hider.reveal(hidden, "main");
    expect(revealed >= 0 && hider.hide(revealed, "main") == hidden);
  }
  if (const auto uuid = id::parse_uuid(text)) {
    expect(id::parse_uuid(id::uuid_text(*uuid)) == uuid && id::parse_uuid(id::ulid_text(*uuid)) == uuid);
    (void)id::parts(*uuid);
  }
  return 0;
}
