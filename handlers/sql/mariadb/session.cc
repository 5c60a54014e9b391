#include "handlers/sql/mariadb/session.h"

#include <sys/socket.h>

#include <charconv>

namespace sluice::sql::mariadb {

Session::Session(Loop& loop, Owner& owner, const Login& login, const cluster::Address& address, const std::vector<const char*>& greeting)
    : loop_(loop), owner_(owner), login_(login), address_(address), mysql_(mysql_init(nullptr)), timeout_(loop) {
  if (!mysql_) throw std::bad_alloc();
  mysql_options(mysql_, MYSQL_OPT_NONBLOCK, nullptr);
  mysql_options(mysql_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  for (const char* text : greeting) mysql_options(mysql_, MYSQL_INIT_COMMAND, text);
  my_bool no = 0, yes = 1;
  mysql_options(mysql_, MYSQL_OPT_LOCAL_INFILE, &no);  // else a server could ask for any file of ours
  mysql_options(mysql_, MYSQL_OPT_RECONNECT, &no);
  mysql_options(mysql_, MYSQL_REPORT_DATA_TRUNCATION, &yes);
  mysql_options4(mysql_, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "sluice");
  if (login.tls) {
    mysql_options(mysql_, MYSQL_OPT_SSL_ENFORCE, &yes);
    if (!login.tls_ca.empty()) {
      mysql_options(mysql_, MYSQL_OPT_SSL_CA, login.tls_ca.c_str());
      mysql_options(mysql_, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
    if (!login.tls_fingerprint.empty()) mysql_options(mysql_, MARIADB_OPT_TLS_PEER_FP, login.tls_fingerprint.c_str());
  }
}

Session::~Session() {
  close();
  if (stored_) mysql_free_result(stored_);
  mysql_close(mysql_);
}

void Session::close() {
  timeout_.stop();
  watch(0);
  if (!waiting_) return;
  // A call that waits holds memory on its own stack: it is told that its time is over, and unwinds. Nothing may block meanwhile.
  if (const int fd = mysql_get_socket(mysql_); fd >= 0) ::shutdown(fd, SHUT_RDWR);
  for (int turn = 0; waiting_ && turn < 100; ++turn) waiting_ = resume(MYSQL_WAIT_TIMEOUT) != 0;
}

bool Session::run(Call call, MYSQL_STMT* statement, std::string_view text) {
  call_ = call;
  statement_ = statement;
  code_ = 0;
  return settle(start(text));
}

int Session::start(std::string_view text) {
  switch (call_) {
    case Call::connect: {
      unsigned port = 0;
      std::from_chars(address_.port.data(), address_.port.data() + address_.port.size(), port);
      return mysql_real_connect_start(&connected_, mysql_, address_.numeric.c_str(), login_.user.c_str(), login_.password.c_str(),
                                      login_.database.empty() ? nullptr : login_.database.c_str(), port, nullptr, 0);
    }
    case Call::query:
      text_ = text;
      return mysql_real_query_start(&code_, mysql_, text_.data(), text_.size());
    case Call::store: return mysql_store_result_start(&stored_, mysql_);
    case Call::prepare:
      text_ = text;
      return mysql_stmt_prepare_start(&code_, statement_, text_.data(), text_.size());
    case Call::execute: return mysql_stmt_execute_start(&code_, statement_);
    case Call::fetch: return mysql_stmt_fetch_start(&code_, statement_);
    case Call::next: return mysql_stmt_next_result_start(&code_, statement_);
    case Call::close: return mysql_stmt_close_start(&closed_, statement_);
  }
  return 0;
}

int Session::resume(int ready) {
  switch (call_) {
    case Call::connect: return mysql_real_connect_cont(&connected_, mysql_, ready);
    case Call::query: return mysql_real_query_cont(&code_, mysql_, ready);
    case Call::store: return mysql_store_result_cont(&stored_, mysql_, ready);
    case Call::prepare: return mysql_stmt_prepare_cont(&code_, statement_, ready);
    case Call::execute: return mysql_stmt_execute_cont(&code_, statement_, ready);
    case Call::fetch: return mysql_stmt_fetch_cont(&code_, statement_, ready);
    case Call::next: return mysql_stmt_next_result_cont(&code_, statement_, ready);
    case Call::close: return mysql_stmt_close_cont(&closed_, statement_, ready);
  }
  return 0;
}

// True: the call is over.
bool Session::settle(int waits) {
  waiting_ = waits != 0;
  if (waiting_) {
    watch((waits & MYSQL_WAIT_READ ? EPOLLIN : 0u) | (waits & MYSQL_WAIT_WRITE ? EPOLLOUT : 0u) | (waits & MYSQL_WAIT_EXCEPT ? EPOLLPRI : 0u));
    if (waits & MYSQL_WAIT_TIMEOUT)
      timeout_.start(std::chrono::milliseconds(mysql_get_timeout_value_ms(mysql_)), [this] { take_up(MYSQL_WAIT_TIMEOUT); });
    return false;
  }
  if (call_ == Call::connect) code_ = connected_ ? 0 : 1;
  if (call_ == Call::store) code_ = stored_ ? 0 : 1;
  const bool connected = call_ != Call::connect || connected_;
  watch(connected && silence_ ? EPOLLIN : 0u);
  return true;
}

void Session::expect_silence(bool expect) {
  silence_ = expect;
  if (!waiting_) watch(silence_ ? EPOLLIN : 0u);
}

void Session::take_up(int ready) {
  timeout_.stop();
  // The library may close its socket from within, and the number be given to another.
  if (call_ == Call::connect) watch(0);
  if (settle(resume(ready))) owner_.completed();
}

void Session::on_ready(std::uint32_t events) {
  if (!waiting_) return owner_.hung_up();
  int ready = 0;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ready |= MYSQL_WAIT_READ;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) ready |= MYSQL_WAIT_WRITE;
  if (events & EPOLLPRI) ready |= MYSQL_WAIT_EXCEPT;
  take_up(ready);
}

void Session::watch(std::uint32_t events) {
  const int fd = events ? mysql_get_socket(mysql_) : -1;
  if (fd_ >= 0 && fd != fd_) {
    loop_.unwatch(fd_, *this);
    fd_ = -1;
  }
  if (fd < 0) return;
  if (fd_ < 0)
    loop_.watch(fd, events, *this);
  else if (watching_ != events)
    loop_.rewatch(fd, events, *this);
  fd_ = fd;
  watching_ = events;
}

Error Session::error() const { return {mysql_errno(mysql_), mysql_sqlstate(mysql_), mysql_error(mysql_)}; }
Error Session::error(MYSQL_STMT* statement) const {
  if (mysql_stmt_errno(statement) == 0) return error();  // of the connection, which the statement was not told of
  return {mysql_stmt_errno(statement), mysql_stmt_sqlstate(statement), mysql_stmt_error(statement)};
}

std::string Session::last_gtid() const {
  const char* data = nullptr;
  std::size_t length = 0;
  // Names and values in turn.
  for (int more = mysql_session_track_get_first(mysql_, SESSION_TRACK_SYSTEM_VARIABLES, &data, &length); more == 0;
       more = mysql_session_track_get_next(mysql_, SESSION_TRACK_SYSTEM_VARIABLES, &data, &length)) {
    const bool wanted = std::string_view(data, length) == "last_gtid";
    if (mysql_session_track_get_next(mysql_, SESSION_TRACK_SYSTEM_VARIABLES, &data, &length) != 0) break;
    if (wanted) return {data, length};
  }
  return {};
}

}  // namespace sluice::sql::mariadb
