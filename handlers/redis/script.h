#pragma once
// Script: a Lua text that Redis keeps, and the hash it is called by.

#include <string>

namespace sluice::redis {

struct Script {
  explicit Script(std::string text);
  const std::string text, sha;
};

}  // namespace sluice::redis
