// Plays the recorded conversations of real zerorpc programs to our server and compares what it answers.

#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "fixture.h"

namespace sluice::zerorpc {
namespace {

using Json = nlohmann::json;

Json golden(const std::string& name) { return Json::parse(std::ifstream(std::string(SLUICE_GOLDEN) + "/" + name)); }

std::string unhex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}
std::string hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    out += two;
  }
  return out;
}
Frames frames_of(const Json& list, std::size_t from = 0) {
  Frames out;
  for (std::size_t i = from; i < list.size(); ++i) out.push_back(unhex(list[i].get<std::string>()));
  return out;
}

std::string event_name(const std::string& payload) {
  Event event;
  if (EventReader().read(payload, event) != Reading::event) return "?";
  auto* name = event.name.get_if<std::string>();
  return name ? *name : "?";
}

// What has to be equal: every byte, but for the server's own message_id; of an ERR the traceback is
// Python's, of a TypeError the message too; of the introspection, which lists methods, only that it answers.
std::string comparable(std::string payload, const std::set<std::string>& loose) {
  if (payload.size() > 47 && payload[14] == '\x20') payload.replace(15, 32, 32, '.');
  Event event;
  if (EventReader().read(payload, event) != Reading::event) return hex(payload);
  auto* name = event.name.get_if<std::string>();
  if (!name) return hex(payload);
  if (*name == "OK" && loose.contains(std::string(event.response_to))) return hex(payload.substr(0, payload.find("\xa2OK") + 3));
  auto* args = event.args.get_if<Value::Array>();
  if (*name != "ERR" || !args || args->size() != 3) return hex(payload);
  const std::string head = payload.substr(0, payload.find("\xa3"
                                                          "ERR") +
                                                 4);
  const bool own = args->front() == Value("TypeError");
  return hex(head) + describe(args->front()) + (own ? "" : describe((*args)[1]));
}

class Replay : public testing::TestWithParam<std::string> {};

TEST_P(Replay, AnswersAsTheRecordedServerDid) {
  const Json recorded = golden(GetParam());
  Options options = Served::quiet();
  double scale = 1;
  for (const auto& option : recorded["server_options"]) {
    const auto text = option.get<std::string>();
    if (text == "hb=0.25") options.heartbeat_ms = 250;
  }
  if (GetParam().find("timeout") != std::string::npos) scale = 50;  // the caller gives up, the answer comes all the same
  // The default interval is 5 s; here fifty times as fast, and the sleeps with it.
  if (GetParam().find("heartbeat") != std::string::npos && options.heartbeat_ms == 0) {
    scale = 50;
    options.heartbeat_ms = GetParam() == "heartbeat_none.json" ? 0 : 100;
  }
  Served served(options, scale);
  const bool beats = options.heartbeat_ms > 0;

  std::map<int, std::unique_ptr<Peer>> peers;
  std::map<int, std::list<std::string>> inbox;
  std::set<std::string> loose;  // ids of calls whose result lists methods
  std::size_t compared = 0;
  for (const auto& step : recorded["events"]) {
    const int connection = step[1].get<int>();
    auto& peer = peers[connection];
    if (!peer) peer = std::make_unique<Peer>(served.endpoint());
    const Frames frames = frames_of(step, 2);
    if (step[0] == "c2s") {
      Event event;
      if (EventReader().read(frames.back(), event) == Reading::event)
        if (auto* name = event.name.get_if<std::string>();
            name && (*name == "_zerorpc_inspect" || *name == "_zerorpc_args" || *name == "_zerorpc_list"))
          loose.emplace(event.message_id);
      peer->send(frames);
      continue;
    }
    if (event_name(frames.back()) == "_zpc_hb" && !beats) continue;
    const std::string expected = comparable(frames.back(), loose);
    auto& waiting = inbox[connection];
    auto found = std::find(waiting.begin(), waiting.end(), expected);
    while (found == waiting.end()) {
      const Frames got = peer->receive();
      ASSERT_EQ(got.size(), 2u) << "no answer like " << expected << "; came: " << testing::PrintToString(waiting);
      waiting.push_back(comparable(got.back(), loose));
      if (waiting.back() == expected) found = std::prev(waiting.end());
    }
    waiting.erase(found);
    ++compared;
  }
  for (auto& [connection, waiting] : inbox) EXPECT_TRUE(waiting.empty()) << testing::PrintToString(waiting);
  EXPECT_GT(compared, 0u);
}

INSTANTIATE_TEST_SUITE_P(Recorded, Replay,
                         testing::Values("call_simple.json", "call_error.json", "call_no_args_none.json", "unknown_method.json",
                                         "builtins.json", "inspect.json", "concurrent_20.json", "middleware_context.json",
                                         "types_echo.json", "types_server_cannot_pack.json", "stream_small.json", "stream_rows.json",
                                         "stream_250.json", "stream_error.json", "stream_slots_10.json", "stream_slow_consumer.json",
                                         "stream_cancel.json", "heartbeat_idle.json", "heartbeat_fast.json",
                                         "heartbeat_passive_client.json", "heartbeat_none.json", "node_client_python_server_call.json",
                                         "node_client_python_server_error.json", "node_client_python_server_builtins.json",
                                         "node_client_python_server_stream.json", "node_client_python_server_types.json",
                                         "node_client_python_server_heartbeat.json", "node_client_python_server_timeout.json",
                                         "client_timeout.json"),
                         [](const auto& info) { return info.param.substr(0, info.param.find('.')); });

// Sends what the recorded client sent; for recordings in which the server has nothing to say, or says what is Python's alone.
void send_all(const std::string& name, Peer& peer) {
  const Json recorded = golden(name);
  for (const auto& step : recorded["events"])
    if (step[0] == "c2s") peer.send(frames_of(step, 2));
}

TEST(Differs, NothingIsSentToACallerWhoseServerHasNoHeartbeat) {
  Served served;
  Peer peer(served.endpoint());
  send_all("lost_remote.json", peer);
  EXPECT_TRUE(peer.served());  // the first thing to come, although the recorded call is open and has beaten twice
}

TEST(Differs, PythonsOwnFailureToInspectIsNotOurs) {
  Served served;
  Peer peer(served.endpoint());
  send_all("inspect_python311.json", peer);
  EXPECT_EQ(peer.answer().name, "OK");
}

TEST(Differs, AKeyThatIsANumberIsAnsweredAndNotDroppedInSilence) {
  Served served;
  Peer peer(served.endpoint());
  send_all("types_sent_int_map_key.json", peer);
  const auto got = peer.answer();
  ASSERT_EQ(got.name, "ERR");
  EXPECT_EQ(got.args.get_if<Value::Array>()->front(), Value("ValueError"));
}

// No method of ours can answer such a map. Our client, which passes over all but events, takes it as Python's does.
TEST(Differs, AnAnswerWithANumberAsAKeyIsNoEventForTheClient) {
  std::size_t answers = 0;
  const Json recorded = golden("types_int_map_key.json");
  for (const auto& step : recorded["events"]) {
    if (step[0] != "s2c") continue;
    Event event;
    EXPECT_EQ(EventReader().read(frames_of(step, 2).back(), event), Reading::refused);
    ++answers;
  }
  EXPECT_EQ(answers, 1u);
}

// Where Python's server logs and drops, and its caller waits in vain, ours says what is wrong: the header tells it to whom.
const std::map<std::string, std::string> kAnswered = {
    {"v as str", "'v' must be a number"},
    {"event of 2 elements", "the event has 2 parts"},
    {"event of 4 elements", "the event has 4 parts"},
    {"truncated msgpack", "no whole msgpack array"},
    {"invalid utf-8 in a str", "not UTF-8"},
    {"map with int key in args", "a key that is no text"},
};

TEST(Malformed, EveryRecordedCaseIsTakenAsByThePythonServerOrAnswered) {
  Served served;
  std::size_t answered = 0;
  const Json recorded = golden("malformed.json");
  std::size_t cases = 0;
  for (const auto& one : recorded["cases"]) {
    SCOPED_TRACE(one["case"].get<std::string>());
    Peer peer(served.endpoint());
    for (const auto& message : one["sent"]) peer.send(frames_of(message));
    for (const auto& reply : one["replies"]) {
      const Frames expected = frames_of(reply), got = peer.receive();
      ASSERT_EQ(got.size(), expected.size());
      for (std::size_t i = 0; i + 1 < got.size(); ++i) EXPECT_EQ(hex(got[i]), hex(expected[i]));
      EXPECT_EQ(comparable(got.back(), {}), comparable(expected.back(), {}));
    }
    if (auto says = kAnswered.find(one["case"].get<std::string>()); says != kAnswered.end()) {
      EXPECT_TRUE(one["replies"].empty());
      const auto got = peer.answer();
      ASSERT_EQ(got.name, "ERR");
      const auto& args = *got.args.get_if<Value::Array>();
      EXPECT_EQ(args[0], Value("ValueError"));
      EXPECT_NE(args[1].get_if<std::string>()->find(says->second), std::string::npos) << describe(args[1]);
      ++answered;
    }
    // Whatever was sent, the next thing to come is the answer of this call.
    EXPECT_TRUE(peer.served());
    ++cases;
  }
  EXPECT_EQ(cases, 44u);
  EXPECT_EQ(answered, kAnswered.size());
}

}  // namespace
}  // namespace sluice::zerorpc
