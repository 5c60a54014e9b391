// The zerorpc event reader on any bytes: it neither fails nor hoards, and what it reads it can write and read again.

#include <cstdio>
#include <cstdlib>

#include "rpc/fault.h"
#include "transports/zerorpc/envelope.h"
#include "transports/zerorpc/event.h"
#include "transports/zerorpc/pack.h"
#include "transports/zerorpc/python.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static zerorpc::EventReader reader;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  zerorpc::Event event;
  if (reader.read(payload, event) != zerorpc::Reading::event) return 0;

  std::string again;
  zerorpc::write_head(again, std::string(32, 'i'), {event.message_id, event.trace_id}, "name");
  zerorpc::pack(again, event.args);
  zerorpc::Event second;
  if (reader.read(again, second) != zerorpc::Reading::event) std::abort();
  if (event.message_id != "\xc0" && second.response_to != event.message_id) std::abort();
  std::string third;
  zerorpc::pack(third, second.args);  // by its bytes: NaN is not equal to itself
  if (!again.ends_with(third)) std::abort();

  auto name = zerorpc::method_name(std::move(event.name));
  if (auto* text = std::get_if<std::string>(&name)) (void)zerorpc::spread_arguments(*text, std::move(event.args));
  return 0;
}
