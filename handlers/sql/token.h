#pragma once
// Token: a Position as callers carry it. Opaque, and signed: a gateway answers only for positions that a gateway has seen.

#include <optional>
#include <string>
#include <string_view>

#include "handlers/sql/position.h"

namespace sluice::sql {

class Seal {
 public:
  // Gateways that share `secret` take each other's tokens.
  explicit Seal(std::string secret) : secret_(std::move(secret)) {}

  std::string close(const Position&) const;
  // Nothing when it is no token of a gateway with this secret.
  std::optional<Position> open(std::string_view token) const;

 private:
  std::string signature(std::string_view payload) const;
  std::string secret_;
};

}  // namespace sluice::sql
