#pragma once
// Token: a Position as callers carry it. Opaque, and signed: a gateway answers only for positions that a gateway has seen.

#include <sodium/crypto_auth_hmacsha256.h>

#include <optional>
#include <string>
#include <string_view>

#include "handlers/sql/position.h"

namespace sluice::sql {

class Seal {
 public:
  // Gateways that share `secret` take each other's tokens.
  explicit Seal(std::string_view secret);

  std::string close(const Position&) const;
  // Nothing when it is no token of a gateway with this secret.
  std::optional<Position> open(std::string_view token) const;

 private:
  std::string signature(std::string_view payload) const;
  crypto_auth_hmacsha256_state keyed_;  // HMAC-SHA256 (RFC 2104) with the secret taken in: each signature begins with a copy
};

}  // namespace sluice::sql
