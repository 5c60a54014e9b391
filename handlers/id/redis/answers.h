#pragma once
// What the scripts' answers mean: the words of scripts.h as outcomes of a Store, or faults that say what to do.

#include <string>

#include "handlers/id/store.h"
#include "handlers/redis/link.h"

namespace sluice::id {

// An answer's fields; all scripts answer an array that begins with a word.
class Told {
 public:
  explicit Told(const Value& value) : all_(*value.get_if<Value::Array>()) {}
  bool is(std::string_view word) const { return text(0) == word; }
  std::string text(std::size_t at) const;
  std::int64_t number(std::size_t at) const;  // also one that is told as a text

 private:
  const Value::Array& all_;
};

// Nothing is given by this server, for a while: leases that it may have forgotten have to end first.
Fault closed(const std::string& server, const Told&);

// How far a tag went is not known, but for the lower bound that the server still has, if any.
Fault forgotten_tag(const std::string& server, const std::string& tag, const std::string& at_least);
Fault forgotten_sequence(const std::string& server, const std::string& tag, const std::string& key, const Told&);

// Hands a fault on, or reads the answer. An answer that was lost is as good as none: every operation is safe to repeat.
template <class Outcome, class Read>
redis::Done reading(UniqueFunction<void(Outcome)> done, Read read) {
  return [done = std::move(done), read = std::move(read)](redis::Answer answer) mutable {
    if (const auto* fault = std::get_if<Fault>(&answer))
      return done(fault->kind() == Fault::Kind::outcome_unknown ? Fault(Fault::Kind::unavailable, fault->message()) : *fault);
    done(read(Told(std::get<Value>(answer))));
  };
}

}  // namespace sluice::id
