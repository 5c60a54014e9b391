// What the transport does around a call: cancelling, limits of time and number, paused streams, draining.

#include <unistd.h>

#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "fixture.h"
#include "transports/zerorpc/client.h"

namespace sluice::zerorpc {
namespace {

std::uint64_t lost(const Served& served) { return served.transport->counters().lost.load(); }
std::int64_t open(const Served& served) { return served.transport->counters().open.load(); }

TEST(Transport, AnswersOnSeveralEndpoints) {
  Options options = Served::quiet();
  const std::string path = (std::filesystem::temp_directory_path() / ("zerorpc-test-" + std::to_string(::getpid()))).string();
  options.endpoints = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "ipc://" + path};
  Served served(options);
  auto endpoints = served.transport->endpoints();
  ASSERT_EQ(endpoints.size(), 3u);
  EXPECT_EQ(std::set<std::string>(endpoints.begin(), endpoints.end()).size(), 3u);
  for (const std::string& endpoint : endpoints) {
    EXPECT_FALSE(endpoint.ends_with(":*") || endpoint.ends_with(":0")) << endpoint;
    EXPECT_TRUE(Peer(endpoint).served()) << endpoint;
  }
}

TEST(Transport, TakesTheFileOfItsSocketAwayUnlessAnotherHasTakenThePath) {
  Options options = Served::quiet();
  const std::string path = (std::filesystem::temp_directory_path() / ("zerorpc-file-" + std::to_string(::getpid()))).string();
  options.endpoints = {"ipc://" + path};
  {
    Served served(options);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    auto first = std::make_unique<Served>(options);
    Served second(options);  // libzmq takes the path over from whoever had it
    first.reset();
    EXPECT_TRUE(std::filesystem::exists(path));
    EXPECT_TRUE(Peer(options.endpoints.front()).served());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Transport, SaysWhyItCannotListen) {
  Served served;
  for (const std::string& endpoint : {served.endpoint(), std::string("tcp://192.0.2.1:1"), std::string("tcp://nowhere")}) {
    Options options = Served::quiet();
    options.endpoints = {endpoint};
    Loop loop;
    Dispatcher dispatcher;
    Transport transport(loop, dispatcher, options);
    try {
      transport.start();
      FAIL() << endpoint;
    } catch (const std::runtime_error& error) {
      EXPECT_NE(std::string(error.what()).find(endpoint), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("; "), std::string::npos) << "no advice: " << error.what();
    }
  }
}

TEST(Transport, ASilentCallerIsLostAndItsWorkCancelled) {
  Options options = Served::quiet();
  options.heartbeat_ms = 30;
  Served served(options);
  Peer peer(served.endpoint());
  peer.call("sleep", Value::Array{60});
  EXPECT_EQ(peer.answer().name, "_zpc_hb");
  EXPECT_TRUE(eventually([&] { return served.handler.cancelled == 1; }));
  EXPECT_EQ(lost(served), 1u);
  EXPECT_EQ(open(served), 0);
  EXPECT_EQ(peer.answer().name, "_zpc_hb");
  EXPECT_TRUE(peer.served()) << "the loss is of the channel, and silent";
}

TEST(Transport, ACallerWhoseConnectionWentIsLostAtTheNextHeartbeat) {
  Options options = Served::quiet();
  options.heartbeat_ms = 30;
  Served served(options);
  {
    Peer peer(served.endpoint());
    for (int i = 0; i < 3; ++i) peer.call("sleep", Value::Array{60});
    EXPECT_EQ(peer.answer().name, "_zpc_hb");
  }
  EXPECT_TRUE(eventually([&] { return served.handler.cancelled == 3; }));
  EXPECT_EQ(open(served), 0);
}

TEST(Transport, ACallThatTakesTooLongIsAnsweredAndCancelled) {
  Options options = Served::quiet();
  options.call_ms = 50;
  Served served(options);
  Client client(served.endpoint(), {.timeout_ms = 5000, .heartbeat_ms = 0});
  try {
    client.call("sleep", {60});
    FAIL() << "no error";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.name, "TimeoutExpired");
  }
  EXPECT_EQ(served.handler.cancelled, 1);
}

TEST(Transport, ADuplicateIdIsAnsweredTwice) {
  Served served;
  Peer peer(served.endpoint());
  std::string payload;
  write_head(payload, std::string(32, 'd'), {}, "sleep");
  pack(payload, Value::Array{0.02});
  peer.send({"", payload});
  peer.send({"", payload});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(peer.answer().to, pack_id(std::string(32, 'd')));
  EXPECT_TRUE(eventually([&] { return open(served) == 0; }));
}

TEST(Transport, EqualIdsOfTwoCallersAreTwoCalls) {
  Served served;
  Peer one(served.endpoint()), other(served.endpoint());
  std::string payload;
  write_head(payload, std::string(32, 'd'), {}, "sleep");
  pack(payload, Value::Array{0.02});
  one.send({"", payload});
  other.send({"", payload});
  EXPECT_EQ(one.answer().name, "OK");
  EXPECT_EQ(other.answer().name, "OK");
}

TEST(Transport, APausedStreamHoldsOnlyWhatWasAskedFor) {
  Served served;
  Peer peer(served.endpoint());
  const std::string channel = peer.call("count", Value::Array{1'000'000});
  EXPECT_EQ(peer.answer().args, Value(0));
  EXPECT_TRUE(peer.receive(milliseconds(50)).empty()) << "one slot, one item";
  EXPECT_EQ(Counting::pulled(), 1);
  peer.follow(channel, "_zpc_more", Value::Array{10});
  for (int i = 1; i <= 10; ++i) EXPECT_EQ(peer.answer().args, Value(i));
  EXPECT_TRUE(peer.receive(milliseconds(50)).empty());
  EXPECT_EQ(Counting::pulled(), 11);
}

TEST(Transport, AnyNumberOpensTheWindowAsPythonReadsIt) {
  Served served;
  Peer peer(served.endpoint());
  const struct {
    Value more;
    int items;
  } cases[] = {
      {3, 3},
      {2.9, 2},
      {true, 1},
      {std::uint64_t{1} << 63, 500},
      {std::numeric_limits<std::uint64_t>::max(), 500},
      {1e300, 500},
      {std::numeric_limits<double>::infinity(), 500},
      {std::numeric_limits<double>::quiet_NaN(), 0},
      {-1e300, 0},
      {"9", 0},
      {Value(), 0},
  };
  for (const auto& one : cases) {
    const std::string channel = peer.call("count", Value::Array{501});
    EXPECT_EQ(peer.answer().args, Value(0));
    peer.follow(channel, "_zpc_more", Value::Array{one.more});
    for (int i = 1; i <= one.items; ++i) ASSERT_EQ(peer.answer().args, Value(i)) << describe(one.more);
    if (one.items == 500) {
      EXPECT_EQ(peer.answer().name, "STREAM_DONE") << describe(one.more);
    }
    EXPECT_TRUE(peer.receive(milliseconds(50)).empty()) << describe(one.more);
  }
}

TEST(Transport, AStreamWhoseReaderGoesIsEnded) {
  Options options = Served::quiet();
  options.heartbeat_ms = 30;
  Served served(options);
  const int before = Counting::ended();
  {
    Peer peer(served.endpoint());
    peer.call("count", Value::Array{1'000'000});
    EXPECT_EQ(peer.answer().name, "STREAM");
  }
  EXPECT_TRUE(eventually([&] { return Counting::ended() == before + 1; }));
  EXPECT_TRUE(eventually([&] { return open(served) == 0; }));
}

TEST(Transport, AStreamWithRoomForAllLeavesTheOthersTheirTurn) {
  Served served;
  Peer reader(served.endpoint()), other(served.endpoint());
  const std::string channel = reader.call("count", Value::Array{200'000});
  reader.follow(channel, "_zpc_more", Value::Array{1'000'000});
  EXPECT_EQ(reader.answer().args, Value(0));
  EXPECT_TRUE(other.served());
  for (int i = 1; i < 200'000; ++i) ASSERT_EQ(reader.answer().args, Value(i));
  EXPECT_EQ(reader.answer().name, "STREAM_DONE");
}

TEST(Transport, ACallerThatDoesNotReadIsGivenUpAndOthersAreServed) {
  Options options = Served::quiet();
  options.router.queued_messages = 10;
  options.outbox.caller_bytes = 1024 * 1024;
  Served served(options);
  Peer good(served.endpoint());
  Peer deaf(served.endpoint(), 1);
  const Value::Array args{Bytes{std::string(100'000, 'x')}};
  for (int i = 0; i < 200; ++i) deaf.call("echo", args);
  EXPECT_TRUE(eventually([&] { return lost(served) > 0; }));
  EXPECT_TRUE(good.served());
}

TEST(Transport, ShedsMoreOpenCallsThanItsLimit) {
  Options options = Served::quiet();
  options.caller_open_calls = 2;
  Served served(options);
  Peer peer(served.endpoint());
  for (int i = 0; i < 3; ++i) peer.call("sleep", Value::Array{60});
  auto refused = peer.answer();
  EXPECT_EQ(refused.name, "ERR");
  EXPECT_EQ(refused.args.get_if<Value::Array>()->front(), Value("BusyError"));
  EXPECT_EQ(open(served), 2);
  EXPECT_EQ(served.handler.cancelled, 1);
  EXPECT_TRUE(peer.served());
}

TEST(Transport, AnAnswerThatCannotTravelIsAnError) {
  Options options = Served::quiet();
  options.answer_bytes = 1000;
  Served served(options);
  Peer peer(served.endpoint());
  peer.call("echo", Value::Array{std::string(1000, 'x')});
  auto got = peer.answer();
  ASSERT_EQ(got.name, "ERR");
  EXPECT_EQ(got.args.get_if<Value::Array>()->front(), Value("OverflowError"));
  EXPECT_TRUE(peer.served());
}

TEST(Transport, DrainsWhatRunsAndTakesNothingNew) {
  Served served;
  Peer peer(served.endpoint());
  const std::string running = peer.call("sleep", Value::Array{0.1});
  ASSERT_TRUE(eventually([&] { return open(served) == 1; }));
  std::atomic<bool> done{false};
  served.transport->drain([&] { done = true; });
  std::atomic<bool> heard{false};
  served.loop.post([&] { heard = true; });  // behind the drain: a call that overtook it would be served
  ASSERT_TRUE(eventually([&] { return heard.load(); }));
  const std::string refused = peer.call("add", Value::Array{1, 2});
  std::map<std::string, std::string> answers;
  for (int i = 0; i < 2; ++i) {
    auto answer = peer.answer();
    answers[answer.to] = answer.name;
  }
  EXPECT_EQ(answers[running], "OK");
  EXPECT_EQ(answers[refused], "ERR");
  EXPECT_TRUE(eventually([&] { return done.load(); }));
}

TEST(Transport, StopsWithCallsOpen) {
  Served served;
  Peer peer(served.endpoint());
  peer.call("sleep", Value::Array{60});
  peer.call("count", Value::Array{60});
  EXPECT_EQ(peer.answer().name, "STREAM");
  EXPECT_EQ(open(served), 2);
}

}  // namespace
}  // namespace sluice::zerorpc
