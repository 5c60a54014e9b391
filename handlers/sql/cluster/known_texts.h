#pragma once
// KnownTexts: what is known of each statement's text that passes by. Kept by text, bounded by bytes; used by one loop.

#include <string>
#include <string_view>
#include <unordered_map>

#include "rpc/function.h"

namespace sluice::sql {

template <class Known>
class KnownTexts {
 public:
  explicit KnownTexts(UniqueFunction<Known(std::string_view)> learn) : learn_(std::move(learn)) {}

  // When `learn` would say other things than before.
  void forget() {
    known_.clear();
    bytes_ = 0;
  }

  // Valid until the next call.
  Known& look(std::string_view text) {
    if (auto found = known_.find(text); found != known_.end()) return found->second;
    Known known = learn_(text);
    if (text.size() > kLongest) return passing_ = std::move(known);
    const std::size_t cost = 3 * text.size() + 256;
    if (bytes_ + cost > kBytes) forget();  // as good as any order: what is hot comes back at once
    bytes_ += cost;
    return known_.emplace(std::string(text), std::move(known)).first->second;
  }

 private:
  static constexpr std::size_t kBytes = 8 << 20;
  static constexpr std::size_t kLongest = 16 << 10;  // texts with their values in them never come again

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  UniqueFunction<Known(std::string_view)> learn_;
  std::unordered_map<std::string, Known, Hash, std::equal_to<>> known_;
  std::size_t bytes_ = 0;
  Known passing_;  // the last one that is too long to keep
};

}  // namespace sluice::sql
