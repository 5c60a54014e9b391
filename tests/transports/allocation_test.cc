// Each allocation of the codecs fails once, one after the other: the call ends with std::bad_alloc, nothing leaks, and the next
// one is right.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "transports/net/gzip.h"
#include "transports/net/request_parser.h"
#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/writer.h"
#include "transports/zerorpc/event.h"
#include "transports/zerorpc/pack.h"

namespace {

long fails_in = 0;  // allocations until one fails; 0: none does
long living = 0;

void* allocate(std::size_t size) {
  if (fails_in > 0 && --fails_in == 0) throw std::bad_alloc();
  void* memory = std::malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  ++living;
  return memory;
}

void release(void* memory) noexcept {
  if (memory) --living;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

namespace sluice {
namespace {

// Runs `call` until it gets through, with one more allocation granted each time. Answers how often it failed.
template <class Call>
long each_failing(Call call) {
  for (long granted = 1;; ++granted) {
    const long before = living;
    fails_in = granted;
    bool through = true;
    try {
      call();
    } catch (const std::bad_alloc&) {
      through = false;
    }
    const bool reached = fails_in == 0;
    fails_in = 0;
    EXPECT_EQ(living, before) << "leaked when allocation " << granted << " failed";
    EXPECT_NE(through, reached) << "allocation " << granted << " failed and nobody was told";
    if (through) return granted - 1;
  }
}

const Value& sample() {
  static const Value value(Value::Array{
      Value::Struct{{"a name that no small string holds", Value::Array{1, 2.5, true, Value()}}, {"bytes", Bytes{std::string(64, '\xff')}}},
      "a text that no small string holds either", std::int64_t{1} << 40, DateTime{}});
  return value;
}

TEST(Allocations, OfTheXmlReader) {
  std::string document;
  xmlrpc::write_call("a.method.with.a.long.name", {sample(), sample()}, 1 << 20, document);
  EXPECT_GT(each_failing([&] { xmlrpc::read_call(document); }), 20);
  EXPECT_EQ(xmlrpc::read_call(document).params[0], sample());
}

TEST(Allocations, OfTheXmlWriter) {
  EXPECT_GT(each_failing([] {
              std::string out;
              xmlrpc::write_response(sample(), 1 << 20, out);
            }), 3);
}

TEST(Allocations, OfTheEventReaderWhichIsUsedOn) {
  std::string event = "\x93\x82\xaamessage_id\xa8" "abcdefgh\xa1v\x03";
  zerorpc::pack_text(event, "a.method.with.a.long.name");
  zerorpc::pack(event, Value(Value::Array{sample(), sample()}));
  zerorpc::EventReader reader;
  zerorpc::Event warm;
  ASSERT_EQ(reader.read(event, warm), zerorpc::Reading::event);  // what it keeps for the next one is no leak
  EXPECT_GT(each_failing([&] {
              zerorpc::Event read;
              EXPECT_EQ(reader.read(event, read), zerorpc::Reading::event);
            }), 10);
  zerorpc::Event read;
  EXPECT_EQ(reader.read(event, read), zerorpc::Reading::event);
  EXPECT_EQ(read.args, Value(Value::Array{sample(), sample()}));
}

TEST(Allocations, OfThePacker) {
  EXPECT_GT(each_failing([] {
              std::string out;
              zerorpc::pack(out, sample());
            }), 1);
}

TEST(Allocations, OfTheRequestParserAndOfZippedBodies) {
  const http::Limits limits;
  const std::string body = http::gzip(std::string(100'000, 'x'));
  const std::string head = "POST /a/path/that/is/long/enough HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Encoding: gzip\r\n"
                           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  EXPECT_GT(each_failing([&] {
              http::RequestParser parser(limits);
              parser.feed(head);
              parser.feed(std::string_view(body).substr(0, 20));
              parser.feed(std::string_view(body).substr(20));
              EXPECT_TRUE(parser.done());
              std::string whole;
              EXPECT_EQ(http::inflate(parser.body(), 200'000, whole), http::Inflated::whole);
            }), 5);
}

}  // namespace
}  // namespace sluice
