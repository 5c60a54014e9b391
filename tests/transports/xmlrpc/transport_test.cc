// The whole transport over a real socket: a document goes in, a document comes out, whatever happens between.

#include "transports/xmlrpc/transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "handlers/calc/calc.h"
#include "transports/xmlrpc/writer.h"

namespace sluice::xmlrpc {
namespace {

class Slow : public Handler {
 public:
  std::string_view name() const override { return "slow"; }
  std::vector<Method> methods() override {
    return {
        method("never", this, &Slow::never, {}, "Does not answer."),
        method("drop", this, &Slow::drop, {}, "Forgets to answer."),
        method("later", this, &Slow::later, {}, "Answers from another thread."),
    };
  }
  void never(Answer<bool> answer) { kept_.emplace_back(std::move(answer)); }
  void drop(Answer<bool>) {}
  void later(Answer<bool> answer) {
    elsewhere_ = std::async(std::launch::async, [answer = std::move(answer)]() mutable { answer(true); });
  }

 private:
  std::vector<Answer<bool>> kept_;
  std::future<void> elsewhere_;
};

class TransportTest : public testing::Test {
 protected:
  void serve(Options options = {}) {
    dispatcher_.add(calc_);
    dispatcher_.add(slow_);
    transport_.emplace(dispatcher_, std::span<Loop* const>(loops_), std::move(options));
    transport_->start();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~TransportTest() override {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  // The whole HTTP answer to one request on a connection of its own.
  std::string post(std::string_view path, std::string_view body) {
    const std::string endpoint = transport_->endpoints().front();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{20, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << endpoint;
    const std::string request = "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char part[4096];
    for (ssize_t got; (got = ::recv(fd, part, sizeof part, 0)) > 0;) answer.append(part, static_cast<std::size_t>(got));
    ::close(fd);
    return answer;
  }

  std::variant<Value, RemoteFault> outcome(std::string_view body, std::string_view path = "/RPC2") {
    const std::string answer = post(path, body);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
    return read_response(std::string_view(answer).substr(answer.find("\r\n\r\n") + 4));
  }
  std::variant<Value, RemoteFault> call(std::string_view method, const Value::Array& args = {}) {
    std::string document;
    write_call(method, args, 1 << 20, document);
    return outcome(document);
  }
  std::int64_t code(const std::variant<Value, RemoteFault>& result) {
    auto* fault = std::get_if<RemoteFault>(&result);
    return fault ? fault->code : 0;
  }

  Loop loop_;  // outlives the answers that Slow keeps
  Calc calc_;
  Slow slow_;
  Dispatcher dispatcher_;
  Loop* loops_[1] = {&loop_};
  std::optional<Transport> transport_;
  std::thread thread_;
};

TEST_F(TransportTest, CallsAtBothPathsAndNowhereElse) {
  serve();
  std::string add;
  write_call("add", {3, 4}, 1 << 20, add);
  EXPECT_EQ(std::get<Value>(outcome(add, "/RPC2")), Value(7));
  EXPECT_EQ(std::get<Value>(outcome(add, "/")), Value(7));
  EXPECT_EQ(std::get<Value>(outcome(add, "/RPC2?token=1")), Value(7));
  EXPECT_TRUE(post("/RPC3", add).starts_with("HTTP/1.1 404 "));
}

TEST_F(TransportTest, EchoesEveryKindOfValue) {
  serve();
  const Value value = Value::Struct{{"a", Value::Array{1, 2.5, true, Value(), "é😀\r\n", Bytes{std::string("\0\xFF", 2)}}},
                                    {"b", DateTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23))},
                                    {"c", std::int64_t{1} << 40}};
  EXPECT_EQ(std::get<Value>(call("calc.echo", {value})), value);
}

TEST_F(TransportTest, SaysWhatIsWrongInAFault) {
  serve();
  EXPECT_EQ(code(outcome("<methodCall>")), -32700);
  EXPECT_EQ(code(outcome("<?xml version='1.0' encoding='EBCDIC'?><a/>")), -32701);
  EXPECT_EQ(code(outcome("<methodCall><methodName>\xFF</methodName></methodCall>")), -32702);
  EXPECT_EQ(code(outcome("<html></html>")), -32600);
  EXPECT_EQ(code(call("nowhere")), -32601);
  EXPECT_EQ(code(call("add", {"three", 4})), -32602);
  EXPECT_EQ(std::get<RemoteFault>(call("divide", {1, 0})).text, "ZeroDivisionError: division by zero");
}

TEST_F(TransportTest, AnswersWhatAHandlerForgets) {
  serve();
  EXPECT_EQ(code(call("slow.drop")), -32603);
}

TEST_F(TransportTest, AnswersFromAnotherThread) {
  serve();
  EXPECT_EQ(std::get<Value>(call("slow.later")), Value(true));
}

TEST_F(TransportTest, AnswersACallThatTakesTooLong) {
  Options options;
  options.call_ms = 50;
  serve(options);
  EXPECT_EQ(code(call("slow.never")), -32011);
}

TEST_F(TransportTest, NamesTheLimitOfAnAnswer) {
  Options options;
  options.answer_bytes = 1000;
  serve(options);
  auto result = call("calc.echo", {std::string(2000, 'x')});
  EXPECT_EQ(code(result), -32016);
  EXPECT_NE(std::get<RemoteFault>(result).text.find("limits.answer_bytes"), std::string::npos);
}

}  // namespace
}  // namespace sluice::xmlrpc
