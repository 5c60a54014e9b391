// Locks in SQLite without a gateway that gathers: so many callers, and a durable transaction for each acquire and each release.
//   sqlite_locks --callers 64 --seconds 3 --folder DIR

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "handlers/lock/sql/statements.h"
#include "handlers/sql/sqlite/connection.h"

using namespace sluice;
using sql::sqlite::Connection;

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--callers", "64"}, {"--seconds", "3"}, {"--folder", "."}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  const std::string file = options["--folder"] + "/each-locks.db";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file + suffix);

  Connection connection(file, Connection::Mode::writer);
  const auto statements = lock::sqlite_statements(lock::Names::one);
  const sql::sqlite::Stop never = [] { return std::nullopt; };
  auto run = [&](const std::vector<lock::Template>& all, const Value::Struct& values) {
    Value answer;
    connection.control("BEGIN IMMEDIATE");
    for (const auto& each : all) {
      const sql::Statement statement = each.with(values);
      const auto prepared = connection.prepare(statement.text);
      connection.bind(prepared, statement.params);
      sql::Rows rows = connection.run(prepared, {}, never);
      answer = rows.rows.empty() ? Value() : std::move(rows.rows.front());
    }
    connection.control("COMMIT");
    return answer;
  };
  run(statements.setup, {{"boot", "bench"}});

  std::mutex mutex;
  std::atomic<long> pairs{0}, nonces{0};
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  const auto start = Clock::now();
  for (int i = 0; i < std::atoi(options["--callers"].c_str()); ++i)
    threads.emplace_back([&, name = "lock-" + std::to_string(i), owner = "caller-" + std::to_string(i)] {
      while (!stop) {
        Value held;
        {
          std::lock_guard lock(mutex);
          held = run(statements.acquire, {{"names", name}, {"owner", owner}, {"nonce", std::to_string(++nonces)}, {"ttl", 10'000}, {"slots", 1}, {"reentry", 0}, {"epoch", 0}});
        }
        std::lock_guard lock(mutex);
        run(statements.release, {{"name", name}, {"owner", owner}, {"token", held.get_if<Value::Array>()->at(2)}});
        ++pairs;
      }
    });
  std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(options["--seconds"].c_str())));
  std::printf("%.0f pairs/s\n", static_cast<double>(pairs) / std::chrono::duration<double>(Clock::now() - start).count());
  stop = true;
}
