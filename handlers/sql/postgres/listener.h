#pragma once
// PgListener: LISTEN on a connection to whichever server takes writes. It has a thread of its own, which sleeps: so the plain calls of
// libpq will do, and a name that resolves slowly holds nobody up.

#include <thread>

#include "handlers/sql/listener.h"

typedef struct pg_conn PGconn;

namespace sluice::sql::postgres {

class PgListener final : public Listener {
 public:
  explicit PgListener(std::string url) : url_(std::move(url)) {}
  ~PgListener() override;
  void start(std::string channel, Loop&, Events) override;

 private:
  void run();
  bool connect(PGconn*&);
  bool ask(PGconn*, const char* text, bool& truth);
  void serve(PGconn*);
  void pass_on(PGconn*);
  void tell(bool listening);
  enum class Woken : std::uint8_t { ready, late, stop };
  Woken wait(int fd, short events, int ms) const;

  const std::string url_;
  std::string channel_;
  Loop* loop_ = nullptr;
  std::shared_ptr<Events> events_;
  std::weak_ptr<Events> told_;  // the same, for the thread
  int stop_ = -1;  // eventfd: readable when it is over
  std::thread thread_;
};

}  // namespace sluice::sql::postgres
