#include "transports/zerorpc/envelope.h"

#include <random>

#include "transports/zerorpc/pack.h"

namespace sluice::zerorpc {
namespace {

void write_hex(char* at, std::uint32_t value) {
  for (int i = 7; i >= 0; --i, value >>= 4) at[i] = "0123456789abcdef"[value & 15];
}

}  // namespace

void MessageIds::reseed() {
  std::random_device random;
  // From the lower half, so that a counter lasts for two thousand million events at least.
  counter_ = random() & 0x7FFFFFFF;
  for (std::size_t at = 8; at < id_.size(); at += 8) write_hex(id_.data() + at, random());
}

std::string_view MessageIds::next() {
  if (++counter_ == 0) reseed();
  write_hex(id_.data(), counter_);
  return {id_.data(), id_.size()};
}

void write_head(std::string& out, std::string_view id, const Answered& answered, std::string_view name) {
  using namespace std::string_view_literals;
  const bool traced = !answered.trace_id.empty();
  const bool responds = !answered.message_id.empty() && answered.message_id != "\xc0";
  out += '\x93';
  out += static_cast<char>(0x82 + traced + responds);
  out += "\xaamessage_id\xc4\x20"sv;
  out += id;
  out += "\xa1v\x03"sv;
  if (traced) (out += "\xa8trace_id"sv) += answered.trace_id;
  if (responds) (out += "\xabresponse_to"sv) += answered.message_id;
  pack_text(out, name);
}

std::string pack_id(std::string_view id) {
  std::string out = "\xc4\x20";
  return out += id;
}

}  // namespace sluice::zerorpc
