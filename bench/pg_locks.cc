// Leases in rows of PostgreSQL by libpq, without a gateway: so many callers with a connection each, and the same statements, prepared.
//   pg_locks CONNINFO CALLERS one|pipeline SECONDS      a statement at a time, or each transaction in one pipeline

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "handlers/lock/sql/statements.h"

using namespace sluice;
using Clock = std::chrono::steady_clock;
using Values = std::map<std::string, std::string>;

namespace {

[[noreturn]] void fail(const char* what, const char* why) {
  std::fprintf(stderr, "pg_locks: %s: %s\n", what, why);
  std::exit(1);
}

struct Prepared {
  std::string name;
  std::vector<std::string> parameters;
};

class Connection {
 public:
  Connection(const char* conninfo, bool pipeline) : raw_(PQconnectdb(conninfo)), pipeline_(pipeline) {
    if (PQstatus(raw_) != CONNECTION_OK) fail("connect", PQerrorMessage(raw_));
    if (pipeline_) PQenterPipelineMode(raw_);
  }
  ~Connection() { PQfinish(raw_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // :names become $1, $2 ...
  Prepared prepare(const lock::Template& statement, const Value::Struct& all) {
    const std::string text = statement.with(all).text;
    Prepared prepared{"s" + std::to_string(++count_), {}};
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = at + 1;
      while (text[at] == ':' && end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || text[end] == '_')) ++end;
      if (text[at] != ':' || end == at + 1) {
        out += text[at++];
        continue;
      }
      const std::string name = text.substr(at + 1, end - at - 1);
      std::size_t index = 0;
      while (index < prepared.parameters.size() && prepared.parameters[index] != name) ++index;
      if (index == prepared.parameters.size()) prepared.parameters.push_back(name);
      out += "$" + std::to_string(index + 1);
      at = end;
    }
    if (pipeline_) PQexitPipelineMode(raw_);
    check(PQprepare(raw_, prepared.name.c_str(), out.c_str(), 0, nullptr), "prepare");
    if (pipeline_) PQenterPipelineMode(raw_);
    return prepared;
  }
  std::vector<Prepared> prepare(const std::vector<lock::Template>& statements, const Value::Struct& all) {
    std::vector<Prepared> prepared;
    for (const lock::Template& each : statements) prepared.push_back(prepare(each, all));
    return prepared;
  }

  void plain(const char* text) {
    if (pipeline_) PQexitPipelineMode(raw_);
    check(PQexec(raw_, text), text);
    if (pipeline_) PQenterPipelineMode(raw_);
  }

  // A transaction; the last row of the last statement, which may have been none.
  std::vector<std::string> run(const std::vector<Prepared>& statements, const Values& values) {
    std::vector<std::string> row;
    if (!pipeline_) {
      check(PQexec(raw_, "BEGIN ISOLATION LEVEL READ COMMITTED"), "begin");
      for (const Prepared& each : statements) row = take(send(each, values, true));
      check(PQexec(raw_, "COMMIT"), "commit");
      return row;
    }
    PQsendQueryParams(raw_, "BEGIN ISOLATION LEVEL READ COMMITTED", 0, nullptr, nullptr, nullptr, nullptr, 0);
    for (const Prepared& each : statements) send(each, values, false);
    PQsendQueryParams(raw_, "COMMIT", 0, nullptr, nullptr, nullptr, nullptr, 0);
    PQpipelineSync(raw_);
    for (std::size_t i = 0; i < statements.size() + 2; ++i) {
      auto got = take(PQgetResult(raw_));
      if (i == statements.size()) row = std::move(got);
      PQclear(PQgetResult(raw_));
    }
    PQclear(PQgetResult(raw_));  // the Sync
    return row;
  }

 private:
  PGresult* send(const Prepared& statement, const Values& values, bool wait) {
    const char* given[16];
    for (std::size_t i = 0; i < statement.parameters.size(); ++i) given[i] = values.at(statement.parameters[i]).c_str();
    const int count = static_cast<int>(statement.parameters.size());
    if (wait) return PQexecPrepared(raw_, statement.name.c_str(), count, given, nullptr, nullptr, 0);
    if (!PQsendQueryPrepared(raw_, statement.name.c_str(), count, given, nullptr, nullptr, 0)) fail("send", PQerrorMessage(raw_));
    return nullptr;
  }
  std::vector<std::string> take(PGresult* result) {
    std::vector<std::string> row;
    for (int i = 0; PQntuples(result) > 0 && i < PQnfields(result); ++i) row.emplace_back(PQgetvalue(result, 0, i));
    check(result, "statement");
    return row;
  }
  void check(PGresult* result, const char* what) {
    const auto status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(what, PQerrorMessage(raw_));
    PQclear(result);
  }

  PGconn* raw_;
  const bool pipeline_;
  int count_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: pg_locks CONNINFO CALLERS one|pipeline SECONDS\n"), 2;
  const bool pipeline = std::strcmp(argv[3], "pipeline") == 0;
  // As the gateway does it: one name is given as itself, and releases are the same in both.
  const lock::Statements one = lock::postgresql_statements(lock::Names::one);
  {
    Connection first(argv[1], false);
    first.plain("SET client_min_messages = warning");
    for (const lock::Template& each : one.setup) first.plain(each.with({}).text.c_str());
  }
  std::atomic<long> pairs{0};
  std::atomic<int> ready{0};
  std::atomic<bool> go{false}, stop{false};
  const int callers = std::atoi(argv[2]);
  std::vector<std::jthread> threads;
  for (int i = 0; i < callers; ++i)
    threads.emplace_back([&, i] {
      Connection connection(argv[1], pipeline);
      const auto acquire = connection.prepare(one.acquire, {}), release = connection.prepare(one.release, {});
      Values values{{"names", "peer-" + std::to_string(i)}, {"name", "peer-" + std::to_string(i)}, {"owner", "peer-" + std::to_string(i)},
                    {"ttl", "10000"}, {"slots", "1"}, {"reentry", "0"}, {"epoch", "0"}};
      ++ready;
      while (!go) std::this_thread::yield();
      for (long turn = 0; !stop; ++turn) {
        values["nonce"] = std::to_string(i) + "." + std::to_string(turn);
        const auto lease = connection.run(acquire, values);
        if (lease.size() < 8 || lease[7] != values["nonce"]) fail("acquire", "not granted");
        values["token"] = lease[2];
        if (connection.run(release, values).at(0) != "0") fail("release", "still held");
        ++pairs;
      }
    });
  while (ready < callers) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto start = Clock::now();
  go = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(argv[4])));
  std::printf("%.0f pairs/s\n", static_cast<double>(pairs) / std::chrono::duration<double>(Clock::now() - start).count());
  stop = true;
}
