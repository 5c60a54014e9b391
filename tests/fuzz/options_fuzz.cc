// The options and leases that callers pass to sql, lock and id: any value, as it comes out of a zerorpc event, is read or refused as a bad
// argument, with words.

#include <cstdlib>

#include "handlers/id/layout.h"
#include "handlers/id/options.h"
#include "handlers/lock/options.h"
#include "handlers/sql/options.h"
#include "rpc/fault.h"
#include "transports/zerorpc/event.h"

using namespace sluice;

namespace {

template <class Read>
void read_or_refused(Read read) {
  try {
    read();
  } catch (const Fault& fault) {
    if (fault.kind() != Fault::Kind::bad_arguments || fault.message().empty()) std::abort();
  }
}

void look(const Value& given) {
  const lock::Limits limits;
  if (const auto* options = given.get_if<Value::Struct>()) {
    read_or_refused([&] { sql::read_options("query", *options); });
    read_or_refused([&] {
      const auto read = lock::read_acquire("acquire", *options, limits, true);
      if (read.wait.count() < 0 || read.wait.count() > limits.longest_wait_ms || read.slots < 1 || read.owner.size() > lock::kLongestName)
        std::abort();
    });
    read_or_refused([&] { lock::read_db("list", *options); });
    read_or_refused([&] { id::read_options("id.next", *options, true, {"text", "int"}); });
  }
  read_or_refused([&] {
    for (const auto& lease : lock::read_lease("release", given).leases)
      if (lease.name.empty() || lease.name.size() > lock::kLongestName) std::abort();
  });
  read_or_refused([&] { lock::read_lease("release", given, given, given); });
  read_or_refused([&] {
    const auto ttl = lock::read_ttl("renew", given, limits).count();
    if (ttl < 1 || ttl > limits.longest_ttl_ms) std::abort();
  });
  read_or_refused([&] {
    const std::int64_t id = id::read_id("id.decode", given);
    if (id < 0) std::abort();
    id::Layout().parts(id);
  });
  if (const auto* text = given.get_if<std::string>()) {
    read_or_refused([&] { lock::read_name("acquire", *text); });
    read_or_refused([&] { id::check_tag("id.segment", *text); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static zerorpc::EventReader reader;
  zerorpc::Event event;
  if (reader.read({reinterpret_cast<const char*>(data), size}, event) != zerorpc::Reading::event) return 0;
  look(event.args);
  if (const auto* all = event.args.get_if<Value::Array>())
    for (const Value& one : *all) look(one);
  return 0;
}
