#include "handlers/sql/mariadb/link.h"

#include <errmsg.h>

namespace sluice::sql::mariadb {
namespace {

// Of a replica what it has applied, of a primary what it has written.
constexpr std::string_view kPosition = "SELECT @@gtid_current_pos";
// Values are in UTC; a write's GTID comes with its answer.
constexpr const char* kGreeting = "SET time_zone = '+00:00', session_track_system_variables = 'last_gtid'";
// read_only alone lets a procedure of a privileged definer write on a replica.
constexpr const char* kReadOnly = "SET SESSION TRANSACTION READ ONLY";

// Nothing keeps a procedure from that.
cluster::Failure ended() {
  cluster::Failure failure{cluster::Failure::Kind::statement,
                  Fault(Fault::Kind::conflict, "the statement has ended the transaction that it ran in, as a procedure that commits does: what was done up to then is kept, and nothing after it has run"),
                  true};
  failure.ended = true;
  return failure;
}

bool is_control(std::string_view text) { return text == kBegin || text == kCommit || text == kRollback; }

std::vector<const char*> greeting(cluster::Link::Use use) {
  std::vector<const char*> texts{kGreeting};
  if (use == cluster::Link::Use::read || use == cluster::Link::Use::probe) texts.push_back(kReadOnly);
  return texts;
}

}  // namespace

MariaLink::MariaLink(const Login& login, const cluster::Address& address, Use use, Loop& loop, Statements& statements, AnswerLimits limits,
                     cluster::Engine::Events events)
    : use_(use), loop_(loop), statements_(statements), limits_(limits), events_(std::move(events)) {
  session_.emplace(loop, static_cast<Session::Owner&>(*this), login, address, greeting(use_));
  within_call_ = true;
  go(Step::connect);
  within_call_ = false;
}

MariaLink::~MariaLink() {
  session_.reset();
  // Without their connection they are memory alone.
  if (statement_ && !kept_) mysql_stmt_close(statement_);
  if (cursor_) mysql_stmt_close(cursor_);
  for (Prepared& one : prepared_) mysql_stmt_close(one.statement);
}

void MariaLink::send(Trip trip) {
  within_call_ = true;
  flight_.emplace();
  flight_->trip = std::move(trip);
  flight_->answer.rows.resize(flight_->trip.statements.size());
  rows_in_turn_ = 0;
  step_ = Step::none;
  if (state_ != State::open) {
    flight_->failure = Failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection is closed"), false};
    finish();
  } else {
    go(first_step());
  }
  within_call_ = false;
}

void MariaLink::completed() { go(after(step_)); }

void MariaLink::hung_up() { lost("the server closed the connection"); }

// Walks until the library has to wait. What is told may destroy this: that is always the last thing.
void MariaLink::go(Step step) {
  while (true) {
    if (step == Step::none) return;
    if (step == Step::over) return finish();
    step_ = step;
    if (!start(step)) return;
    step = after(step);
  }
}

bool MariaLink::start(Step step) {
  using Call = Session::Call;
  switch (step) {
    case Step::connect: return session_->run(Call::connect);
    case Step::isolate: return session_->run(Call::query, nullptr, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    case Step::begin: return session_->run(Call::query, nullptr, kBegin);
    case Step::commit: flight_->may_have_run = true; return session_->run(Call::query, nullptr, kCommit);
    case Step::rollback: return session_->run(Call::query, nullptr, kRollback);
    case Step::control: flight_->may_have_run = true; return session_->run(Call::query, nullptr, flight_->trip.statements[flight_->at].text);
    case Step::position: return session_->run(Call::query, nullptr, kPosition);
    case Step::position_read: return session_->run(Call::store);
    case Step::evict: return session_->run(Call::close, statement_);
    case Step::prepare: return session_->run(Call::prepare, statement_, running_.text);
    case Step::execute: flight_->may_have_run = true; return session_->run(Call::execute, statement_);
    case Step::fetch: case Step::skip: return session_->run(Call::fetch, statement_);
    case Step::next: return session_->run(Call::next, statement_);
    case Step::reprepare: case Step::close: return session_->run(Call::close, statement_);
    case Step::cursor_guard: return session_->run(Call::query, nullptr, kReadOnly);
    case Step::cursor_prepare: return session_->run(Call::prepare, cursor_, running_.text);
    case Step::cursor_execute: return session_->run(Call::execute, cursor_);
    case Step::cursor_fetch: return session_->run(Call::fetch, cursor_);
    case Step::cursor_close: return session_->run(Call::close, cursor_);
    case Step::cursor_unguard: return session_->run(Call::query, nullptr, "SET SESSION TRANSACTION READ WRITE");
    case Step::none: case Step::over: break;
  }
  return true;
}

MariaLink::Step MariaLink::after(Step step) {
  const int code = session_->code();
  switch (step) {
    case Step::connect:
      if (code != 0) {
        lost(session_->error().message);
        return Step::none;
      }
      state_ = State::open;
      tell([this] { std::exchange(events_.opened, {})(std::nullopt); });
      return Step::none;
    case Step::isolate: return code == 0 ? Step::begin : failed(session_->error());
    case Step::begin:
      if (code != 0) return failed(session_->error());
      flight_->began = true;
      return statement_step();
    case Step::commit:
      flight_->began = false;
      if (code != 0) return failed(session_->error());
      flight_->gtid = session_->last_gtid();
      return answered();
    case Step::rollback:
      flight_->began = false;
      if (code == 0) return Step::over;
      lost(session_->error().message);  // what it left open must not be met by the next
      return Step::none;
    case Step::control:
      if (code != 0) return failed(session_->error());
      flight_->gtid = session_->last_gtid();
      ++flight_->at;
      return statement_step();
    case Step::position: return code == 0 ? Step::position_read : failed(session_->error());
    case Step::position_read: return code == 0 ? position_came() : failed(session_->error());
    case Step::evict:
      statement_ = nullptr;
      return execution_step();
    case Step::prepare: return code == 0 ? prepared() : failed(session_->error(statement_));
    case Step::execute:
      if (code == 0) return executed();
      if (mysql_stmt_errno(statement_) != CR_NEW_STMT_METADATA || flight_->trip.kind != Trip::Kind::read) return failed(session_->error(statement_));
      // A table has more columns than when the statement was prepared.
      forget(statement_);
      return Step::reprepare;
    case Step::reprepare:
      statement_ = nullptr;
      return execution_step();
    case Step::fetch:
      if (code == MYSQL_NO_DATA) return result_done();
      return code == 0 || code == MYSQL_DATA_TRUNCATED ? row_came() : failed(session_->error(statement_));
    case Step::skip:
      if (code == MYSQL_NO_DATA) return result_done();
      if (code != 0 && code != MYSQL_DATA_TRUNCATED) return failed(session_->error(statement_));
      if (++flight_->skipped <= limits_.rows) return Step::skip;
      lost("the answer did not end");
      return Step::none;
    case Step::next:
      if (code > 0) return failed(session_->error(statement_));
      return code < 0 ? statement_done() : executed();
    case Step::close:
      statement_ = nullptr;
      return statement_done();
    case Step::none: case Step::over: return Step::none;
    default: return cursor_after(step);
  }
}

MariaLink::Step MariaLink::first_step() {
  const Trip& trip = flight_->trip;
  if (trip.kind == Trip::Kind::read && trip.position) return Step::position;
  if (trip.kind == Trip::Kind::write && trip.statements.size() > 1) return trip.read_committed ? Step::isolate : Step::begin;
  return statement_step();
}

MariaLink::Step MariaLink::statement_step() {
  const Trip& trip = flight_->trip;
  if (flight_->at == trip.statements.size()) return statements_done();
  const Statement& statement = trip.statements[flight_->at];
  if (trip.kind == Trip::Kind::held && is_control(statement.text)) return Step::control;
  if (auto fault = prepare_parameters(statement)) return fail({Failure::Kind::statement, std::move(*fault), false});
  flight_->within = session_->in_transaction() && !trip.own;  // the gateway's own tables are made in one batch, each by itself
  flight_->changes = statements_.look(statement.text).verdict.kind == Class::write;
  return execution_step();
}

MariaLink::Step MariaLink::execution_step() {
  if ((statement_ = find_prepared(running_.text))) {
    kept_ = true;
    return bind(statement_) ? Step::execute : failed(session_->error(statement_));
  }
  kept_ = false;
  if (prepared_.size() >= kPrepared) {
    statement_ = prepared_.back().statement;
    forget(statement_);
    return Step::evict;
  }
  statement_ = mysql_stmt_init(session_->mysql());
  return statement_ ? Step::prepare : failed(session_->error());
}

MariaLink::Step MariaLink::prepared() {
  const std::size_t wanted = mysql_stmt_param_count(statement_);
  if (wanted != parameters_->count())
    return fail({Failure::Kind::statement,
                 Fault(Fault::Kind::bad_arguments, "the server sees " + std::to_string(wanted) + " parameters in this statement, but " + std::to_string(parameters_->count()) + " are marked"),
                 false});
  if (running_.text.size() <= kPreparedBytes) {
    keep(running_.text, statement_);
    kept_ = true;
  }
  return bind(statement_) ? Step::execute : failed(session_->error(statement_));
}

MariaLink::Step MariaLink::executed() {
  Rows& rows = flight_->answer.rows[flight_->at];
  if (mysql_stmt_field_count(statement_) == 0) {
    flight_->gtid = session_->last_gtid();
    rows.affected = static_cast<std::int64_t>(mysql_stmt_affected_rows(statement_));
    rows.last_insert_id = static_cast<std::int64_t>(mysql_stmt_insert_id(statement_));
    return result_done();
  }
  if (!columns_.bind(statement_)) return failed(session_->error(statement_));
  // A procedure may have several results: the first is the answer.
  if (!rows.columns.empty()) return Step::skip;
  rows.columns = columns_.names();
  return Step::fetch;
}

MariaLink::Step MariaLink::row_came() {
  Rows& rows = flight_->answer.rows[flight_->at];
  const auto limits = flight_->trip.own ? AnswerLimits() : limits_;
  if (rows.rows.size() >= limits.rows) {
    flight_->failure = Failure{Failure::Kind::statement, limits.more_rows(), true};
  } else {
    try {
      Value row = columns_.row(statement_);
      flight_->bytes += footprint(row);
      rows.rows.push_back(std::move(row));
    } catch (const std::bad_alloc&) {
      flight_->failure = Failure{Failure::Kind::statement, Fault::out_of_memory(), true};
    }
    if (!flight_->failure && flight_->bytes > limits.bytes)
      flight_->failure = Failure{Failure::Kind::statement, limits.more_bytes(), true};
  }
  if (flight_->failure) {
    flight_->failure->at = flight_->at;
    flight_->answer.rows.clear();
    return Step::skip;
  }
  if (++rows_in_turn_ % kRowsPerTurn != 0) return Step::fetch;
  session_->expect_silence(false);
  loop_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || state_ != State::open) return;
    session_->expect_silence(true);
    go(Step::fetch);
  });
  return Step::none;
}

MariaLink::Step MariaLink::result_done() {
  if (mysql_stmt_more_results(statement_)) return Step::next;
  return statement_done();
}

// Also after a failure, which stands in the flight.
MariaLink::Step MariaLink::statement_done() {
  if (statement_ && !kept_) return Step::close;
  statement_ = nullptr;
  if (!flight_->failure && flight_->within && !session_->in_transaction()) flight_->failure = ended();
  if (flight_->failure) return flight_->began ? Step::rollback : answered();
  Rows& rows = flight_->answer.rows[flight_->at];
  if (!rows.columns.empty() && flight_->changes) rows.affected = static_cast<std::int64_t>(rows.rows.size());  // INSERT ... RETURNING
  ++flight_->at;
  return statement_step();
}

MariaLink::Step MariaLink::statements_done() { return flight_->began ? Step::commit : answered(); }

MariaLink::Step MariaLink::answered() {
  Flight& flight = *flight_;
  if (flight.trip.kind != Trip::Kind::held && session_->in_transaction()) {
    if (!flight.failure)
      flight.failure = Failure{Failure::Kind::statement, Fault(Fault::Kind::conflict, "the statement left a transaction open, which was rolled back; use sql.begin"), false};
    return Step::rollback;
  }
  if (flight.failure || !flight.trip.position || flight.trip.kind == Trip::Kind::read) return Step::over;
  if (auto marks = read_gtids(flight.gtid); !marks.empty()) {
    flight.answer.at = {"", std::move(marks)};
    return Step::over;
  }
  return Step::position;  // it changed nothing, or the server does not track
}

MariaLink::Step MariaLink::position_came() {
  MYSQL_RES* result = session_->take_stored();
  if (MYSQL_ROW row = mysql_fetch_row(result); row && row[0]) flight_->answer.at = {"", read_gtids(row[0])};
  mysql_free_result(result);
  return flight_->trip.kind == Trip::Kind::read ? statement_step() : Step::over;
}

MariaLink::Step MariaLink::fail(Failure failure) {
  const bool sent_for_position = step_ == Step::position || step_ == Step::position_read;
  if (sent_for_position && flight_->trip.kind != Trip::Kind::read) return Step::over;  // it is done all the same
  if (!flight_->failure) {
    flight_->failure = std::move(failure);
    flight_->failure->at = flight_->at;
  }
  // In the middle of a result the library may not know where the statement stands: it is prepared anew.
  if (statement_ && kept_) {
    forget(statement_);
    kept_ = false;
  }
  return statement_done();
}

MariaLink::Step MariaLink::failed(const Error& error) {
  Failure failure = failure_of(error, flight_->may_have_run);
  if (failure.kind != Failure::Kind::lost) return fail(std::move(failure));
  if (!flight_->failure) flight_->failure = std::move(failure);
  lost(error.message);
  return Step::none;
}

void MariaLink::finish() {
  auto done = std::make_shared<Flight>(std::move(*flight_));
  flight_.reset();
  parameters_.reset();
  tell([done] {
    if (done->failure)
      done->trip.done(std::move(*done->failure));
    else
      done->trip.done(std::move(done->answer));
  });
}

// From within a call of our holder's nobody is told.
void MariaLink::tell(UniqueFunction<void()> what) {
  if (!within_call_) return what();
  loop_.post([alive = std::weak_ptr(alive_), what = std::move(what)]() mutable {
    if (!alive.expired()) what();
  });
}

void MariaLink::lost(const std::string& why) {
  if (state_ == State::dead) return;
  const bool was_open = state_ == State::open;
  state_ = State::dead;
  const Error error = session_->error();
  session_->close();
  tell([this, was_open, why, error] {
    const std::weak_ptr alive(alive_);
    if (!was_open) {
      if (auto opened = std::exchange(events_.opened, {})) opened(connect_failure({error.number, error.sqlstate, why}));
      return;
    }
    const Failure failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, why), flight_ && flight_->may_have_run};
    if (flight_) {
      if (!flight_->failure) flight_->failure = failure;
      finish();
    }
    if (alive.expired()) return;
    if (cursor_done_) cursor_over(failure);
    if (alive.expired()) return;
    if (auto lost = std::exchange(events_.lost, {})) lost();
  });
}

}  // namespace sluice::sql::mariadb
