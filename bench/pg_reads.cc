// What one connection of libpq gives: point reads one at a time, or 64 in a pipeline with a Sync each.
//   pg_reads CONNINFO one|pipeline SECONDS

#include <libpq-fe.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kInFlight = 64;

[[noreturn]] void fail(PGconn* connection, const char* what) {
  std::fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
  std::exit(1);
}

void read_one(PGconn* connection) {
  const char* value = "4242";
  PGresult* result = PQexecPrepared(connection, "read", 1, &value, nullptr, nullptr, 0);
  if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) fail(connection, "read");
  PQclear(result);
}

void send_one(PGconn* connection) {
  const char* value = "4242";
  if (!PQsendQueryPrepared(connection, "read", 1, &value, nullptr, nullptr, 0) || !PQpipelineSync(connection)) fail(connection, "send");
}

// Takes what is there; answers how many reads came back.
int receive(PGconn* connection) {
  int done = 0;
  if (!PQconsumeInput(connection)) fail(connection, "receive");
  while (!PQisBusy(connection)) {
    PGresult* result = PQgetResult(connection);
    if (!result) {
      if (PQisBusy(connection)) break;
      result = PQgetResult(connection);
      if (!result) break;
    }
    const auto status = PQresultStatus(result);
    PQclear(result);
    if (status == PGRES_PIPELINE_SYNC) {
      ++done;
      continue;
    }
    if (status != PGRES_TUPLES_OK) fail(connection, "result");
  }
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: pg_reads CONNINFO one|pipeline SECONDS\n"), 2;
  PGconn* connection = PQconnectdb(argv[1]);
  if (PQstatus(connection) != CONNECTION_OK) fail(connection, "connect");
  PQclear(PQprepare(connection, "read", "SELECT abalance FROM pgbench_accounts WHERE aid = $1", 1, nullptr));
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::atof(argv[3])));
  long reads = 0;
  if (std::strcmp(argv[2], "one") == 0) {
    for (; Clock::now() < end; ++reads) read_one(connection);
  } else {
    PQsetnonblocking(connection, 1);
    PQenterPipelineMode(connection);
    int in_flight = 0;
    while (Clock::now() < end) {
      for (; in_flight < kInFlight; ++in_flight) send_one(connection);
      PQflush(connection);
      pollfd ready{PQsocket(connection), POLLIN, 0};
      ::poll(&ready, 1, 1000);
      const int done = receive(connection);
      reads += done;
      in_flight -= done;
    }
  }
  std::printf("%.1f reads/s\n", static_cast<double>(reads) / std::chrono::duration<double>(Clock::now() - start).count());
  PQfinish(connection);
}
