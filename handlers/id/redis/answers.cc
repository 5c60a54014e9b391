#include "handlers/id/redis/answers.h"

#include <charconv>

namespace sluice::id {

std::string Told::text(std::size_t at) const {
  const auto* text = at < all_.size() ? all_[at].get_if<std::string>() : nullptr;
  return text ? *text : std::string();
}

std::int64_t Told::number(std::size_t at) const {
  if (at >= all_.size()) return 0;
  if (const auto* number = all_[at].get_if<std::int64_t>()) return *number;
  const std::string digits = text(at);
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

Fault closed(const std::string& server, const Told& told) {
  return Fault(Fault::Kind::unavailable,
               "Redis at " + server + " lost data, or may have: it gives nothing for another " + std::to_string(told.number(1)) +
                   " ms, until all leases that it may have forgotten have ended",
               {{"retry_after_ms", told.number(1)}});
}

Fault forgotten_tag(const std::string& server, const std::string& tag, const std::string& at_least) {
  const std::string name = describe(Value(tag)).substr(7);
  return Fault(Fault::Kind::conflict, "Redis at " + server + " lost data, or may have, and how far the numbers of the tag " + name + " went is not known" +
                                          (at_least.empty() ? "" : ", but that all below " + at_least + " were given") +
                                          ": none is given, lest they repeat. Say where they go on: id.create(" + name +
                                          ", {\"start\": N, \"anew\": true}) with an N above all that were given");
}

Fault forgotten_sequence(const std::string& server, const std::string& tag, const std::string& key, const Told& told) {
  return Fault(Fault::Kind::conflict, "Redis at " + server + " lost data, or may have, and how far the sequence " + describe(Value(tag)).substr(7) + " went is not known" +
                                          (told.text(1).empty() ? "" : ", but that it gave " + told.text(1)) + ": nothing is given, lest numbers repeat. Say what it gave last, there: HSET " +
                                          key + " last N data " + std::to_string(told.number(2)));
}

}  // namespace sluice::id
