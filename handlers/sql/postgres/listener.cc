#include "handlers/sql/postgres/listener.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <system_error>

namespace sluice::sql::postgres {
namespace {

constexpr int kConnectMs = 3000;
constexpr int kAnswerMs = 1000;
constexpr int kSilentMs = 2000;  // then it is asked whether it is still the primary: a server that hangs sends no news
constexpr int kRedialMs = 300;

}  // namespace

PgListener::~PgListener() {
  events_.reset();
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_, 1);
  thread_.join();
  ::close(stop_);
}

void PgListener::start(std::string channel, Loop& loop, Events events) {
  channel_ = std::move(channel);
  loop_ = &loop;
  events_ = std::make_shared<Events>(std::move(events));
  told_ = events_;
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  if (stop_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  thread_ = std::thread([this] { run(); });
}

PgListener::Woken PgListener::wait(int fd, short events, int ms) const {
  pollfd both[2] = {{stop_, POLLIN, 0}, {fd, events, 0}};
  ::poll(both, 2, ms);
  if (both[0].revents) return Woken::stop;
  return both[1].revents ? Woken::ready : Woken::late;
}

void PgListener::run() {
  do {
    PGconn* connection = nullptr;
    if (connect(connection)) {
      tell(true);
      serve(connection);
      tell(false);
    }
    PQfinish(connection);
  } while (wait(-1, 0, kRedialMs) != Woken::stop);
}

bool PgListener::connect(PGconn*& connection) {
  // What comes later wins; the url's servers are tried until one takes writes.
  const char* names[] = {"dbname", "target_session_attrs", "application_name", nullptr};
  const char* values[] = {url_.c_str(), "read-write", "sluice listener", nullptr};
  connection = PQconnectStartParams(names, values, 1);
  auto wants = PGRES_POLLING_WRITING;
  while (wants != PGRES_POLLING_OK) {
    if (wants == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD) return false;
    if (wait(PQsocket(connection), wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, kConnectMs) != Woken::ready) return false;
    wants = PQconnectPoll(connection);
  }
  PQsetNoticeProcessor(connection, [](void*, const char*) {}, nullptr);
  bool truth = false;
  return ask(connection, ("LISTEN " + channel_).c_str(), truth);
}

// False: it did not answer in time, or with an error, or it is over. `truth` is what a row said.
bool PgListener::ask(PGconn* connection, const char* text, bool& truth) {
  if (!PQsendQuery(connection, text)) return false;
  bool fine = true;
  while (true) {
    while (PQisBusy(connection)) {
      if (wait(PQsocket(connection), POLLIN, kAnswerMs) != Woken::ready || !PQconsumeInput(connection)) return false;
    }
    PGresult* result = PQgetResult(connection);
    if (!result) return fine;
    const auto status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK && PQntuples(result) == 1) truth = *PQgetvalue(result, 0, 0) == 't';
    fine = fine && (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
    PQclear(result);
  }
}

// Until the connection is of no use any more.
void PgListener::serve(PGconn* connection) {
  while (true) {
    switch (wait(PQsocket(connection), POLLIN, kSilentMs)) {
      case Woken::stop: return;
      case Woken::ready:
        if (!PQconsumeInput(connection)) return;
        break;
      case Woken::late:
        bool replica = false;
        if (!ask(connection, "SELECT pg_is_in_recovery()", replica) || replica) return;
    }
    pass_on(connection);
  }
}

void PgListener::pass_on(PGconn* connection) {
  while (PGnotify* news = PQnotifies(connection)) {
    loop_->post([events = told_, text = std::string(news->extra)]() mutable {
      if (auto still = events.lock()) still->heard(std::move(text));
    });
    PQfreemem(news);
  }
}

void PgListener::tell(bool listening) {
  loop_->post([events = told_, listening] {
    if (auto still = events.lock()) still->listening(listening);
  });
}

}  // namespace sluice::sql::postgres
