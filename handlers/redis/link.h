#pragma once
// Link: one connection to a Redis server, shared by many calls at once and made again when it is lost. Commands of one turn leave
// in one write; answers come in order. Each call has its own limit of time, kept on our side: a server that stands still hangs
// nobody. On one loop.

#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "handlers/redis/address.h"
#include "handlers/redis/script.h"
#include "rpc/fault.h"
#include "rpc/loop.h"

struct redisReader;

namespace sluice::redis {

using std::chrono::milliseconds;
using Words = std::vector<std::string>;
// A Fault is unavailable (nothing happened: the server refused, or was never told) or outcome_unknown (the answer was lost, or late).
using Answer = std::variant<Value, Fault>;
using Done = UniqueFunction<void(Answer)>;

class Link final : private Loop::Watcher, private Loop::TurnEnd {
 public:
  struct Limits {
    milliseconds connect{1000};                        // until the server has answered the first command of a connection
    milliseconds stuck{1000};                          // an answer that is so late: the connection is given up
    milliseconds first_pause{20}, longest_pause{500};  // between attempts to connect
    std::size_t calls = 20'000;                        // that wait for an answer
  };

  Link(Loop& home, Address address, Limits limits);
  ~Link();  // drops calls that wait, unanswered

  // On each new connection `greet` is called before all else; it asks what it must with now(), and then calls open() or cut().
  void start(UniqueFunction<void()> greet);
  void open();
  void cut(const std::string& why);

  // `done` is called once, never from within. Without a connection a call waits for the one that is being made; while none can be
  // made it fails at once.
  void call(Words, milliseconds limit, Done);
  void call(const Script&, Words keys, Words arguments, milliseconds limit, Done);  // the script is sent again when the server has lost it
  void now(Words, milliseconds limit, Done);                                        // while greeting
  void now(const Script&, Words keys, Words arguments, milliseconds limit, Done);

  bool is_open() const noexcept { return state_ == State::open; }
  const Address& address() const noexcept { return address_; }

  // For subscriptions: whatever comes that no call waits for goes here. No answer is awaited of what is told.
  void on_push(UniqueFunction<void(const Value&)> push) { push_ = std::move(push); }
  void tell(const Words&);

 private:
  enum class State : std::uint8_t { away, connecting, greeting, open };
  struct Call {
    Words words;  // kept for a script alone, which may have to be sent again
    const Script* script = nullptr;
    Clock::time_point sent, until;
    Done done;  // empty: its limit has passed, and its answer will be thrown away
  };
  void ask(Call, bool urgent);
  void send(Call);
  void append(const Words&);
  void connect();
  void authenticate();
  void retry();
  void close();
  void on_ready(std::uint32_t events) override;
  void on_turn_end() override;
  void read();
  void answered(struct Parsed);
  void write_soon();
  void look_at_limits();
  void arm(Clock::time_point due);
  Fault away() const;

  Loop& home_;
  const Address address_;
  const Limits limits_;
  UniqueFunction<void()> greet_;
  UniqueFunction<void(const Value&)> push_;
  State state_ = State::away;
  bool failing_ = false;  // the last attempt to connect failed
  std::string why_ = "no connection was tried yet";
  int fd_ = -1;
  bool writing_ = false, want_out_ = false;
  std::string out_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  std::deque<Call> sent_, waiting_;
  milliseconds pause_;
  Timer retry_, limit_;
  Clock::time_point limit_due_;
};

}  // namespace sluice::redis
