// Durable single-row inserts by many callers: through the gateway's writer, and each in a transaction of its own.
//   sqlite_writes --callers 64 --seconds 3 --folder DIR

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "handlers/sql/sqlite/backend.h"

using namespace sluice;
using sql::sqlite::Connection;

namespace {

struct Nobody : Responder {
  using Responder::Responder;
  void respond(std::uint64_t, Outcome&&) override {}
};

// Inserts a second, by so many threads that each wait for their own answer.
template <class Insert>
double rate(int callers, double seconds, Insert insert) {
  std::atomic<long> done{0};
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  const auto start = Clock::now();
  for (int i = 0; i < callers; ++i)
    threads.emplace_back([&] {
      while (!stop) {
        insert();
        ++done;
      }
    });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double rate = static_cast<double>(done) / std::chrono::duration<double>(Clock::now() - start).count();
  stop = true;
  return rate;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--callers", "64"}, {"--seconds", "3"}, {"--folder", "."}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  const int callers = std::atoi(options["--callers"].c_str());
  const double seconds = std::atof(options["--seconds"].c_str());
  auto fresh = [&](const char* name) {
    const std::string file = options["--folder"] + "/" + name;
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file + suffix);
    return file;
  };

  {
    // What each caller would do without us, the fair way: one connection, a lock, and a transaction for every insert.
    Connection connection(fresh("each.db"), Connection::Mode::writer);
    const sql::sqlite::Stop never = [] { return std::nullopt; };
    connection.run(connection.prepare("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)"), {}, never);
    std::mutex mutex;
    const Value params(Value::Array{"a row of some length"});
    const double each = rate(callers, seconds, [&] {
      std::lock_guard lock(mutex);
      auto prepared = connection.prepare("INSERT INTO t(x) VALUES (?)");
      connection.bind(prepared, params);
      connection.run(prepared, {}, never);
    });
    std::printf("each:    %.0f inserts/s, a transaction each\n", each);
  }
  {
    Loop loop;
    sql::sqlite::Sqlite database({.file = fresh("grouped.db"), .readers = 1, .reads_waiting = 1000, .cursors = 1, .writer = {}});
    auto nobody = std::make_shared<Nobody>(loop);
    auto run = [&](std::string text, Value params) {
      std::binary_semaphore answered(0);
      sql::Work work{Reply(nobody)};
      work.statements.push_back({std::move(text), std::move(params)});
      work.expects_write = true;
      work.done = [&](sql::Outcome outcome, Reply) {
        if (std::holds_alternative<Fault>(outcome)) std::abort();
        answered.release();
      };
      database.run(std::move(work));
      answered.acquire();
    };
    run("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)", {});
    std::printf("grouped: %.0f inserts/s, through the writer\n", rate(callers, seconds, [&] { run("INSERT INTO t(x) VALUES (?)", Value::Array{"a row of some length"}); }));
  }
}
