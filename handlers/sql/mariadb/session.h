#pragma once
// Session: one connection of libmariadb, driven by a Loop. Each library call that may wait is started here and taken up again whenever its
// socket is ready; one at a time. What the calls mean is MariaLink's.

#include <mysql.h>

#include <string>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/mariadb/errors.h"
#include "rpc/loop.h"

namespace sluice::sql::mariadb {

// How to log in, the same on every node.
struct Login {
  std::string user, password, database;
  bool tls = false;
  std::string tls_ca;           // a file of certificates; "" : the server's is not looked at
  std::string tls_fingerprint;  // SHA-256 of the server's certificate, in hexadecimal digits
};

class Session final : private Loop::Watcher {
 public:
  class Owner {
   public:
    virtual void completed() = 0;        // the call that run() left waiting is over; may destroy the session
    virtual void hung_up() = 0;          // the server ended the connection while no call ran; the same
   protected:
    ~Owner() = default;
  };

  Session(Loop&, Owner&, const Login&, const cluster::Address&, const std::vector<const char*>& greeting);
  ~Session();  // closes the socket; a call that waits is broken off
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Library calls. True: it is over already. False: Owner::completed() will be called. How it ended: code().
  enum class Call : std::uint8_t { connect, query, store, prepare, execute, fetch, next, close };
  bool run(Call, MYSQL_STMT* = nullptr, std::string_view text = {});

  // Of the call that is over: what the library returned, 0 for success (fetch, next: see mysql_stmt_fetch, mysql_stmt_next_result).
  int code() const noexcept { return code_; }
  Error error() const;              // of the connection
  Error error(MYSQL_STMT*) const;    // of a statement of it
  MYSQL* mysql() noexcept { return mysql_; }
  MYSQL_RES* take_stored() noexcept { return std::exchange(stored_, nullptr); }  // of Call::store: the taker frees it

  std::int64_t id() const noexcept { return static_cast<std::int64_t>(::mysql_thread_id(mysql_)); }  // at the server
  bool in_transaction() const noexcept { return (mysql_->server_status & SERVER_STATUS_IN_TRANS) != 0; }
  std::string last_gtid() const;  // that came with the last answer; "" when none did
  void expect_silence(bool);      // while no call runs; rows of an answer may lie there otherwise. What is said nevertheless: hung_up()
  void close();                   // no more calls; the library's structures stay until the end

 private:
  void on_ready(std::uint32_t events) override;
  int start(std::string_view text);
  int resume(int ready);
  bool settle(int waits);
  void watch(std::uint32_t events);
  void take_up(int ready);

  Loop& loop_;
  Owner& owner_;
  const Login& login_;
  const cluster::Address address_;  // the library keeps pointers into it while it connects
  MYSQL* mysql_;
  MYSQL_RES* stored_ = nullptr;
  MYSQL* connected_ = nullptr;
  MYSQL_STMT* statement_ = nullptr;
  std::string text_;  // of the call that waits: the library keeps a pointer
  Call call_ = Call::connect;
  bool waiting_ = false;
  bool silence_ = true;
  int code_ = 0;
  my_bool closed_ = 0;
  int fd_ = -1;
  std::uint32_t watching_ = 0;
  Timer timeout_;
};

}  // namespace sluice::sql::mariadb
