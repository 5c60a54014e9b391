// Locks in Redis by hiredis, without a gateway: pairs of acquire and release a second, by the same scripts.
//   redis_locks pipelined HOST:PORT DEPTH SECONDS              one connection, so many pairs at a time on it
//   redis_locks in-turn HOST:PORT,HOST:PORT,... CALLERS SECONDS  Redlock, by callers that each ask one master after the other

#include <hiredis/hiredis.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "handlers/lock/redlock/scripts.h"

using sluice::lock::scripts;
using sluice::lock::voter_scripts;
using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "redis_locks: %s\n", why.c_str());
  std::exit(1);
}

struct Reply {
  explicit Reply(void* reply) : raw(static_cast<redisReply*>(reply)) {
    if (!raw) fail("the connection was lost");
    if (raw->type == REDIS_REPLY_ERROR) fail(raw->str);
  }
  ~Reply() { freeReplyObject(raw); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  bool says(const char* word) const { return raw->elements > 1 && std::strcmp(raw->element[0]->str, word) == 0; }
  redisReply* raw;
};

void append(redisContext* redis, const Words& words) {
  const char* texts[24];
  std::size_t sizes[24];
  for (std::size_t i = 0; i < words.size(); ++i) texts[i] = words[i].data(), sizes[i] = words[i].size();
  redisAppendCommandArgv(redis, static_cast<int>(words.size()), texts, sizes);
}

Reply answer(redisContext* redis) {
  void* reply = nullptr;
  redisGetReply(redis, &reply);
  return Reply(reply);
}

Reply ask(redisContext* redis, const Words& words) {
  append(redis, words);
  return answer(redis);
}

// In a database of its own, whose data have an id as if a gateway had begun them.
redisContext* connect(const std::string& address, const char* database) {
  const auto colon = address.rfind(':');
  redisContext* redis = redisConnect(address.substr(0, colon).c_str(), std::atoi(address.c_str() + colon + 1));
  if (!redis || redis->err) fail("no Redis at " + address);
  redisEnableKeepAlive(redis);
  ask(redis, {"SELECT", database});
  ask(redis, {"HSET", "bench", "id", "bench", "epoch", "1", "open", "0", "longest", "10000"});
  for (const sluice::redis::Script* script : voter_scripts().all()) ask(redis, {"SCRIPT", "LOAD", script->text});
  for (const sluice::redis::Script* script : scripts().all()) ask(redis, {"SCRIPT", "LOAD", script->text});
  return redis;
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Caller {
  std::string name, owner;
  long turn = 0;
  bool holds = false;
  std::string epoch, counter;

  Words acquire() { return {"EVALSHA", scripts().acquire.sha, "3", "bench", "undone:" + name + std::to_string(++turn), "lock:" + name, "bench", owner, std::to_string(turn), "10000", "1", "0", "0", "86400000"}; }
  Words release() const { return {"EVALSHA", scripts().release.sha, "2", "bench", "lock:" + name, "bench", owner, epoch, counter, "freed:" + name}; }
};

double pipelined(const std::string& address, int depth, double seconds) {
  redisContext* redis = connect(address, "1");
  std::vector<Caller> callers(static_cast<std::size_t>(depth));
  std::deque<Caller*> asked;
  for (int i = 0; i < depth; ++i) {
    Caller& caller = callers[static_cast<std::size_t>(i)];
    caller.name = "lock-" + std::to_string(i);
    caller.owner = "caller-" + std::to_string(i);
    append(redis, caller.acquire());
    asked.push_back(&caller);
  }
  long pairs = 0;
  const auto start = Clock::now();
  while (since(start) < seconds) {
    // All answers that came with one read are answered with one write.
    void* raw = nullptr;
    if (redisGetReplyFromReader(redis, &raw) != REDIS_OK) fail(redis->errstr);
    if (!raw) {
      int written = 0;
      while (!written) redisBufferWrite(redis, &written);
      if (redisBufferRead(redis) != REDIS_OK) fail(redis->errstr);
      continue;
    }
    const Reply reply(raw);
    Caller& caller = *asked.front();
    asked.pop_front();
    if (caller.holds) {
      if (!reply.says("kept") || reply.raw->element[1]->integer != 1) fail("not released");
      ++pairs;
      append(redis, caller.acquire());
    } else {
      if (!reply.says("granted")) fail("not granted");
      caller.epoch = std::to_string(reply.raw->element[1]->element[0]->integer);
      caller.counter = std::to_string(reply.raw->element[1]->element[1]->integer);
      append(redis, caller.release());
    }
    caller.holds = !caller.holds;
    asked.push_back(&caller);
  }
  return static_cast<double>(pairs) / since(start);
}

double in_turn(const std::vector<std::string>& addresses, int count, double seconds) {
  std::atomic<long> pairs{0};
  std::atomic<bool> stop{false};
  const std::size_t majority = addresses.size() / 2 + 1;
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&, name = "lock-" + std::to_string(i), owner = "caller-" + std::to_string(i)] {
      std::vector<redisContext*> masters;
      for (const std::string& address : addresses) masters.push_back(connect(address, "1"));
      for (long turn = 1; !stop; ++turn) {
        const std::string nonce = std::to_string(turn) + ":1", epoch = "1",
                          counter = std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count());
        std::size_t granted = 0, released = 0;
        std::vector<std::string> tokens;  // each master's own: in a peer they need not agree
        for (redisContext* master : masters) {
          const Reply vote = ask(master, {"EVALSHA", voter_scripts().acquire.sha, "3", "bench", "undone:" + name + nonce, "lock:" + name, "bench", owner, nonce, "10000", "1", "0", "0", "86400000", epoch, counter});
          if (!vote.says("granted")) fail("not granted");
          ++granted;
          tokens.push_back(std::to_string(vote.raw->element[1]->element[1]->integer));
        }
        if (granted < majority) fail("not granted");
        for (std::size_t master = 0; master < masters.size(); ++master)
          released += ask(masters[master], {"EVALSHA", voter_scripts().release.sha, "2", "bench", "lock:" + name, "bench", owner, epoch, tokens[master], "freed:" + name}).raw->element[1]->integer == 1;
        if (released < majority) fail("not released");
        ++pairs;
      }
      for (redisContext* master : masters) redisFree(master);
    });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double rate = static_cast<double>(pairs) / since(start);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return rate;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: redis_locks pipelined HOST:PORT DEPTH SECONDS | in-turn HOST:PORT,... CALLERS SECONDS");
  std::vector<std::string> addresses;
  for (std::string all = argv[2]; !all.empty();) {
    const auto comma = all.find(',');
    addresses.push_back(all.substr(0, comma));
    all = comma == all.npos ? "" : all.substr(comma + 1);
  }
  const bool one = std::strcmp(argv[1], "pipelined") == 0;
  std::printf("%.0f pairs/s\n", one ? pipelined(addresses.front(), std::atoi(argv[3]), std::atof(argv[4])) : in_turn(addresses, std::atoi(argv[3]), std::atof(argv[4])));
}
