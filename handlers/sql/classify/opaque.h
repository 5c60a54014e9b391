#pragma once
// The verdict of a text that no grammar of ours understood.

#include <string>

#include "handlers/sql/backend.h"

namespace sluice::sql {

inline Verdict opaque(std::string why) {
  Verdict verdict{Class::primary, std::move(why)};
  verdict.opaque = true;
  return verdict;
}

}  // namespace sluice::sql
