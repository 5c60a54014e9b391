#pragma once
// Position: how far a server's history of changes goes. What causality tokens carry, and what makes one node fresher than another.

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sql {

// The last change of one domain. PostgreSQL has one domain, 0: `origin` is the timeline, `seq` the LSN. MariaDB: a GTID, domain-origin-seq.
struct Mark {
  std::uint32_t domain = 0;
  std::uint32_t origin = 0;  // a timeline, or a server id
  std::uint64_t seq = 0;     // comparable within a domain
  bool operator==(const Mark&) const = default;
};

struct Position {
  std::string system;       // which database this is: positions of two systems never compare. "" when the engine has no name for it
  std::vector<Mark> marks;  // by domain, each at most once
  bool empty() const noexcept { return marks.empty(); }
  bool operator==(const Position&) const = default;
};

// Has a node at `at` everything up to `wanted`? By domain and seq alone: whether `wanted` is still part of history is Engine::judge's question.
bool reached(const Position& at, const Position& wanted) noexcept;

// Makes `at` cover what `more` covers: positions only rise, and answers of one node may arrive out of order.
void raise(Position& at, const Position& more);

}  // namespace sluice::sql
