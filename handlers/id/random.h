#pragma once
// Random octets of the kernel's generator, fetched some thousands at a time. What was given is wiped; a forked child begins anew.

#include <cstddef>
#include <cstdint>

namespace sluice::id {

// Fills `to`; from any thread, each with a store of its own. Throws std::system_error when the kernel gives none.
void random_octets(void* to, std::size_t size);

inline std::uint64_t random_word() {
  std::uint64_t word;
  random_octets(&word, sizeof word);
  return word;
}

}  // namespace sluice::id
