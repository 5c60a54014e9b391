// The XML-RPC reader on any bytes: it answers or throws a Fault, and what it takes is written and read again unchanged.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/writer.h"

namespace {

using namespace sluice;

// Was `b` read from what `a` was written as? A nan is a nan, and a fraction of a second is not sent.
bool same(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  if (auto* x = a.get_if<double>()) return std::isnan(*x) ? std::isnan(*b.get_if<double>()) : *x == *b.get_if<double>();
  if (auto* x = a.get_if<DateTime>()) return std::chrono::floor<std::chrono::seconds>(*x) == *b.get_if<DateTime>();
  if (auto* x = a.get_if<Value::Array>()) {
    auto& y = *b.get_if<Value::Array>();
    return std::equal(x->begin(), x->end(), y.begin(), y.end(), same);
  }
  if (auto* x = a.get_if<Value::Struct>()) {
    auto& y = *b.get_if<Value::Struct>();
    return std::equal(x->begin(), x->end(), y.begin(), y.end(), [](auto& m, auto& n) { return m.first == n.first && same(m.second, n.second); });
  }
  return a == b;
}

void check(bool good, const std::string& document) {
  if (good) return;
  std::fprintf(stderr, "read differently the second time:\n%s\n", document.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view document(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t kMost = 64 << 20;
  try {
    const auto call = xmlrpc::read_call(document);
    std::string out;
    xmlrpc::write_call(call.method, call.params, kMost, out);
    const auto again = xmlrpc::read_call(out);
    check(again.method == call.method && same(Value(call.params), Value(again.params)), out);
  } catch (const Fault&) {
  }
  try {
    const auto response = xmlrpc::read_response(document);
    if (auto* value = std::get_if<Value>(&response)) {
      std::string out;
      xmlrpc::write_response(*value, kMost, out);
      check(same(*value, std::get<Value>(xmlrpc::read_response(out))), out);
    }
  } catch (const Fault&) {
  }
  return 0;
}
