#pragma once
// What is stored under a key of an exactly-once write: a digest of what was asked, and the rows of the answer.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "handlers/sql/backend.h"

namespace sluice::sql {

// Of the statements and their parameters: the same key must come with the same ones. SHA-256, hexadecimal.
std::string digest_of(const std::vector<Statement>&);

// The key as it is stored: each caller has his own, and those of gateways that ask nobody who he is stand as they are.
std::string stored_key(const Options&);

// The conflict of a key that comes with others.
Fault key_reused(const std::string& key);
// The conflict of a key whose write ended the transaction that its reply was to be kept in.
Fault reply_not_kept(const std::string& key);

// The answer's rows as octets, and back; nothing when the octets are none.
std::string freeze(const std::vector<Rows>&);
std::optional<std::vector<Rows>> thaw(std::string_view octets);

}  // namespace sluice::sql
