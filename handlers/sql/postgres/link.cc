#include "handlers/sql/postgres/link.h"

#include <algorithm>
#include <charconv>

#include "handlers/sql/postgres/errors.h"

namespace sluice::sql::postgres {
namespace {

using Rows = sql::Rows;

// A replica has replayed so far; a primary has made so much durable.
constexpr char kPositionNow[] = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END";
// After a commit. Not the insert position, which may stand behind a page header that nothing follows; but without synchronous_commit the
// commit is flushed later than it is answered, and only the insert position is sure to cover it.
constexpr char kPositionWritten[] =
    "SELECT l, pg_walfile_name(l) FROM (SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn() "
    "ELSE pg_current_wal_flush_lsn() END AS l) AS now";

std::string_view column(const PGresult* result, int row, int at) {
  return {PQgetvalue(result, row, at), static_cast<std::size_t>(PQgetlength(result, row, at))};
}

}  // namespace

bool read_lsn(std::string_view text, std::uint64_t& out) {
  std::uint64_t high = 0, low = 0;
  const char* end = text.data() + text.size();
  auto slash = std::from_chars(text.data(), end, high, 16);
  if (slash.ec != std::errc() || slash.ptr == end || *slash.ptr != '/') return false;
  auto rest = std::from_chars(slash.ptr + 1, end, low, 16);
  if (rest.ec != std::errc() || rest.ptr != end) return false;
  out = high << 32 | low;
  return true;
}

PgLink::PgLink(const std::vector<std::pair<std::string, std::string>>& parameters, Use use, Loop& loop, Statements& statements, const std::string& system,
               cluster::AnswerLimits limits, cluster::Engine::Events events)
    : use_(use), loop_(loop), statements_(statements), system_(system), limits_(limits), events_(std::move(events)) {
  std::vector<const char*> names, values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectStartParams(names.data(), values.data(), 0);
  // Nobody is told from within a constructor.
  loop_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    if (!connection_ || PQstatus(connection_) == CONNECTION_BAD) return lost(connection_ ? PQerrorMessage(connection_) : "out of memory");
    connect_wants_ = PGRES_POLLING_WRITING;
    watch(EPOLLOUT);
  });
}

PgLink::~PgLink() {
  if (turn_end_) loop_.forget(*this);
  watch(0);
  if (connection_) PQfinish(connection_);
}

// libpq changes its socket while it tries one address after another.
void PgLink::watch(std::uint32_t events) {
  const int fd = events ? PQsocket(connection_) : -1;
  if (fd_ >= 0 && (fd != fd_ || events == 0)) {
    loop_.unwatch(fd_, *this);
    fd_ = -1;
  }
  if (fd < 0) {
    watching_ = 0;
    return;
  }
  if (fd_ < 0)
    loop_.watch(fd, events, *this);
  else if (watching_ != events)
    loop_.rewatch(fd, events, *this);
  fd_ = fd;
  watching_ = events;
}

void PgLink::connect() {
  // The old socket may be closed, and its number given to another, from within: it is watched no more by then.
  watch(0);
  connect_wants_ = PQconnectPoll(connection_);
  switch (connect_wants_) {
    case PGRES_POLLING_READING: return watch(EPOLLIN);
    case PGRES_POLLING_WRITING: return watch(EPOLLOUT);
    case PGRES_POLLING_OK: break;
    default: return lost(PQerrorMessage(connection_));
  }
  PQsetnonblocking(connection_, 1);
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  PQenterPipelineMode(connection_);
  state_ = State::open;
  watch(EPOLLIN);
  auto opened = std::move(events_.opened);
  opened(std::nullopt);
}

std::size_t PgLink::room() const noexcept {
  if (state_ != State::open) return 0;
  const std::size_t most = use_ == Use::read ? kPipelined : use_ == Use::write ? 8 : 1;
  return flights_.size() < most ? most - flights_.size() : 0;
}

void PgLink::send(Trip trip) {
  if (state_ != State::open) {
    // It never takes its place among the flights: those a lost connection ends by itself, perhaps at this moment.
    loop_.post([alive = std::weak_ptr(alive_), done = std::move(trip.done)]() mutable {
      if (!alive.expired()) done(Failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection is closed"), false});
    });
    return;
  }
  auto flight = std::make_shared<Flight>();
  flight->trip = std::move(trip);
  flight->answer.rows.resize(flight->trip.statements.size());
  flights_.push_back(flight);
  transmit(flight);
}

void PgLink::transmit(const std::shared_ptr<Flight>& flight) {
  const bool shares = flight->trip.kind == Trip::Kind::read && !flight->alone;
  if (!shares && group_open_) sync(nullptr);
  if (flight->trip.kind == Trip::Kind::read && flight->trip.position) control(flight, kPositionNow);
  for (std::size_t i = 0; i < flight->trip.statements.size(); ++i)
    if (!transmit_statement(flight, i)) break;
  if (shares) {
    group_open_ = true;
  } else {
    sync(flight);
    if (flight->trip.kind != Trip::Kind::read && flight->trip.position) {
      control(flight, kPositionWritten);
      sync(flight);
    }
  }
  if (flight->pending == 0) done_.push_back(flight);  // its parameters did not fit, and nothing was sent
  if (!turn_end_) {
    turn_end_ = true;
    loop_.at_turn_end(*this);
  }
}

void PgLink::expect(Expected::Kind kind, const std::shared_ptr<Flight>& flight, std::size_t index, NamedPtr named) {
  if (flight) ++flight->pending;
  expected_.push_back({kind, flight, index, std::move(named)});
}

void PgLink::sync(const std::shared_ptr<Flight>& flight) {
  PQpipelineSync(connection_);
  expect(Expected::Kind::sync, flight);
  group_open_ = false;
}

// One of our own texts: prepared the first time.
void PgLink::control(const std::shared_ptr<Flight>& flight, const char* text) {
  NamedPtr known = find(text);
  if (!known) known = name(text);
  if (!known->sent) {
    known->sent = true;
    PQsendPrepare(connection_, known->name.c_str(), text, 0, nullptr);
    expect(Expected::Kind::prepare, flight, 0, known);
  }
  PQsendQueryPrepared(connection_, known->name.c_str(), 0, nullptr, nullptr, nullptr, 0);
  expect(Expected::Kind::position, flight);
}

// Throws Fault (bad_arguments) when they do not fit the statement.
void PgLink::Bound::take(const Numbered& statement, const Value& params) {
  const auto given = in_order(statement, params);
  if (given.size() > kParameters)
    throw Fault(Fault::Kind::bad_arguments, "a statement takes at most " + std::to_string(kParameters) + " parameters, not " + std::to_string(given.size()) + "; pass an array, or several statements");
  parameters.clear();
  types.clear();
  values.clear();
  lengths.clear();
  formats.clear();
  parameters.reserve(given.size());  // a short text lies in its Parameter: they must not move
  for (const Value* value : given) {
    const Parameter& parameter = parameters.emplace_back(encode(*value));
    types.push_back(parameter.type);
    values.push_back(parameter.null ? nullptr : parameter.text.data());
    lengths.push_back(static_cast<int>(parameter.text.size()));
    formats.push_back(parameter.binary ? 1 : 0);
  }
}

// False when the parameters do not fit: nothing was sent, and the flight has its failure.
bool PgLink::transmit_statement(const std::shared_ptr<Flight>& flight, std::size_t index) {
  const Statement& statement = flight->trip.statements[index];
  Known& known = statements_.look(statement.text);
  const Numbered* numbered = &known.marked;
  try {
    if (statement.params.get_if<Value::Struct>()) {
      if (!known.named) known.named = std::make_unique<Numbered>(number_placeholders(statement.text, true));
      numbered = known.named.get();
    }
    bound_.take(*numbered, statement.params);
  } catch (const Fault& fault) {
    flight->failure = Failure{Failure::Kind::statement, fault, false};
    // What was sent before it in the same transaction must not be kept: an error of the server's own rolls it back.
    if (index > 0 && flight->trip.kind == Trip::Kind::write) {
      PQsendQueryParams(connection_, "SELECT 1 / 0", 0, nullptr, nullptr, nullptr, nullptr, 0);
      expect(Expected::Kind::control, flight);
    }
    return false;
  }
  NamedPtr named;
  if (numbered->text.size() <= kPreparedBytes && !flight->plan_changed) {
    key_.assign(reinterpret_cast<const char*>(bound_.types.data()), bound_.types.size() * sizeof(Oid)).append(numbered->text);
    named = when_hot(key_);
  }
  if (!named) {
    sent(PQsendQueryParams(connection_, numbered->text.c_str(), bound_.count(), bound_.types.data(), bound_.values.data(), bound_.lengths.data(), bound_.formats.data(), 0));
    expect(Expected::Kind::statement, flight, index);
    return true;
  }
  if (!named->sent) {
    named->sent = true;
    sent(PQsendPrepare(connection_, named->name.c_str(), numbered->text.c_str(), bound_.count(), bound_.types.data()));
    expect(Expected::Kind::prepare, flight, index, named);
  }
  sent(PQsendQueryPrepared(connection_, named->name.c_str(), bound_.count(), bound_.values.data(), bound_.lengths.data(), bound_.formats.data(), 0));
  expect(Expected::Kind::statement, flight, index, std::move(named));
  return true;
}

// Nothing when the text has no name at the server.
PgLink::NamedPtr PgLink::find(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  names_.splice(names_.begin(), names_, found->second);
  return names_.front();
}

// A text is worth a name when it comes a second time.
PgLink::NamedPtr PgLink::when_hot(std::string_view key) {
  if (NamedPtr known = find(key)) return known;
  if (once_.size() >= kPrepared * 4) once_.clear();
  return once_.insert(std::hash<std::string_view>()(key)).second ? nullptr : name(key);
}

PgLink::NamedPtr PgLink::name(std::string_view key) {
  if (names_.size() >= kPrepared) forget(*names_.back());
  names_.push_front(std::make_shared<Named>(Named{std::string(key), "s" + std::to_string(next_name_++)}));
  by_key_.emplace(names_.front()->key, names_.begin());
  return names_.front();
}

void PgLink::forget(const Named& named) {
  const auto found = by_key_.find(named.key);
  if (found == by_key_.end() || found->second->get() != &named) return;
  if (named.sent) {
    // With a Sync of its own: within an aborted group it would not be run.
    if (group_open_) sync(nullptr);
    const std::string text = "DEALLOCATE " + named.name;
    PQsendQueryParams(connection_, text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
    expect(Expected::Kind::control, nullptr);
    sync(nullptr);
  }
  const auto entry = found->second;
  by_key_.erase(found);
  names_.erase(entry);
}

void PgLink::on_turn_end() {
  turn_end_ = false;
  if (state_ != State::open) return;
  if (unsent_) return lost(PQerrorMessage(connection_));
  if (group_open_) sync(nullptr);
  const std::weak_ptr alive(alive_);
  flush();
  if (!alive.expired()) deliver();
}

void PgLink::flush() {
  const int left = PQflush(connection_);
  if (left < 0) return lost(PQerrorMessage(connection_));
  watch(left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void PgLink::on_ready(std::uint32_t events) {
  if (state_ == State::connecting) return connect();
  const std::weak_ptr alive(alive_);
  if (events & EPOLLOUT) flush();
  if (alive.expired() || state_ != State::open) return;
  receive();
}

void PgLink::receive() {
  const std::weak_ptr alive(alive_);
  const bool healthy = PQconsumeInput(connection_) == 1;
  // What came before the end of the connection counts.
  while (!expected_.empty()) {
    if (expected_.front().kind == Expected::Kind::statement && !rows_by_one_) rows_by_one_ = PQsetSingleRowMode(connection_) == 1;
    if (PQisBusy(connection_)) break;
    PGresult* result = PQgetResult(connection_);
    if (!result) {
      if (expected_.empty() || !front_answered_) break;
      if (expected_.front().kind != Expected::Kind::sync) expected_done();
      front_answered_ = false;
      continue;
    }
    front_answered_ = true;
    take(result);
    PQclear(result);
    if (alive.expired() || state_ != State::open) return;
  }
  if (!healthy || PQstatus(connection_) == CONNECTION_BAD) return lost(PQerrorMessage(connection_));
  deliver();
}

void PgLink::take(const PGresult* result) {
  Expected& front = expected_.front();
  switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
      front.ended = PQresultStatus(result) == PGRES_TUPLES_OK;
      if (front.kind == Expected::Kind::position) return take_position(*front.flight, result);
      if (front.kind == Expected::Kind::statement) return take_rows(*front.flight, front.index, result);
      return;
    case PGRES_COMMAND_OK:
      front.ended = true;
      if (front.kind == Expected::Kind::statement) take_rows(*front.flight, front.index, result);
      return;
    case PGRES_EMPTY_QUERY: front.ended = true; return;
    case PGRES_PIPELINE_SYNC:
      front_answered_ = false;
      return expected_done();
    case PGRES_PIPELINE_ABORTED:
      if (front.kind == Expected::Kind::prepare) front.named->sent = false;
      if (front.flight && !front.flight->failure) front.flight->aborted = true;
      return;
    case PGRES_COPY_IN: case PGRES_COPY_OUT: case PGRES_COPY_BOTH:
      return lost("COPY was asked for, which has no form in a call");
    default: return failed(front, result);
  }
}

void PgLink::failed(Expected& front, const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (!state) return;  // the connection broke: it has not ended, and lost() follows
  if (front.kind == Expected::Kind::prepare) front.named->sent = false;
  if (!front.flight || front.flight->failure) return;
  Flight& flight = *front.flight;
  if (front.kind == Expected::Kind::position) {
    // Of a read: nothing has run yet, and its rows cannot be judged. Of a write: it is committed all the same.
    if (flight.trip.kind == Trip::Kind::read) flight.failure = failure_of(result, use_);
    return;
  }
  if (front.kind == Expected::Kind::statement && front.named && std::string_view(state) == "0A000" && flight.trip.kind != Trip::Kind::held &&
      flight.trip.statements.size() == 1) {
    // Most likely "cached plan must not change result type": once more by its text, which tells.
    flight.plan_changed = flight.aborted = true;
    return;
  }
  flight.failure = failure_of(result, use_);
}

void PgLink::take_position(Flight& flight, const PGresult* result) {
  if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0)) return;
  Mark mark;
  if (!read_lsn(column(result, 0, 0), mark.seq)) return;
  if (PQnfields(result) > 1) {
    const auto file = column(result, 0, 1);  // 8 hexadecimal digits of timeline come first
    std::from_chars(file.data(), file.data() + std::min<std::size_t>(8, file.size()), mark.origin, 16);
  }
  flight.answer.at = {system_, {mark}};
}

void PgLink::take_rows(Flight& flight, std::size_t index, const PGresult* result) {
  Rows& rows = flight.answer.rows[index];
  const int width = PQnfields(result);
  if (rows.columns.empty()) {
    rows.columns.reserve(static_cast<std::size_t>(width));
    for (int i = 0; i < width; ++i) rows.columns.emplace_back(PQfname(result, i));
  }
  if (PQresultStatus(result) != PGRES_SINGLE_TUPLE) {
    const std::string_view affected = PQcmdTuples(const_cast<PGresult*>(result));
    std::from_chars(affected.data(), affected.data() + affected.size(), rows.affected);
    // A read changes no row, whatever the server counts.
    if (std::string_view(PQcmdStatus(const_cast<PGresult*>(result))).starts_with("SELECT")) rows.affected = 0;
    return;
  }
  if (flight.failure) return;  // too large already: the rest passes by
  try {
    Value::Array row;
    row.reserve(static_cast<std::size_t>(width));
    for (int i = 0; i < width; ++i) {
      if (PQgetisnull(result, 0, i))
        row.emplace_back();
      else
        row.push_back(decode(PQftype(result, i), column(result, 0, i)));
      flight.bytes += 16 + static_cast<std::size_t>(PQgetlength(result, 0, i));
    }
    rows.rows.emplace_back(std::move(row));
  } catch (const std::bad_alloc&) {
    flight.failure = Failure{Failure::Kind::statement, Fault::out_of_memory(), true};
  }
  const auto limits = flight.trip.own ? cluster::AnswerLimits() : limits_;
  if (!flight.failure && static_cast<std::int64_t>(rows.rows.size()) > limits.rows)
    flight.failure = Failure{Failure::Kind::statement, Fault(Fault::Kind::too_large, "the answer has more than " + std::to_string(limits.rows) + " rows (sql.answer_rows); use LIMIT, sql.open and sql.fetch, or sql.stream"), true};
  else if (!flight.failure && flight.bytes > limits.bytes)
    flight.failure = Failure{Failure::Kind::statement, Fault(Fault::Kind::too_large, "the answer is longer than " + std::to_string(limits.bytes) + " bytes (sql.answer_bytes); use LIMIT, sql.open and sql.fetch, or sql.stream"), true};
  if (flight.failure) rows.rows = {};
}

void PgLink::expected_done() {
  Expected front = std::move(expected_.front());
  expected_.pop_front();
  rows_by_one_ = false;
  if (!front.flight) return;
  Flight& flight = *front.flight;
  if (front.kind == Expected::Kind::sync) flight.committed = !flight.failure && !flight.aborted;
  // The connection broke: what came of it is not the answer, however much it looks like one without rows.
  if (front.kind == Expected::Kind::statement && !front.ended && !flight.failure && !flight.aborted)
    flight.failure = Failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection ended within the answer"), true};
  if (--flight.pending > 0) return;
  if (flight.aborted && !flight.failure) {
    flight.aborted = false;
    flight.alone = true;
    flight.bytes = 0;
    flight.answer = {};
    flight.answer.rows.resize(flight.trip.statements.size());
    if (flight.plan_changed && front.named) forget(*front.named);
    return transmit(front.flight);
  }
  done_.push_back(std::move(front.flight));
}

// At the end of a reading: what is told may destroy this link.
void PgLink::deliver() {
  const std::weak_ptr alive(alive_);
  while (!done_.empty()) {
    auto flight = std::move(done_.front());
    done_.pop_front();
    finish(flight);
    if (alive.expired()) return;
  }
}

void PgLink::finish(const std::shared_ptr<Flight>& flight) {
  // Nearly always the first: the server answers in order.
  flights_.erase(std::ranges::find(flights_, flight));
  auto done = std::move(flight->trip.done);
  if (flight->failure)
    done(std::move(*flight->failure));
  else
    done(std::move(flight->answer));
}

void PgLink::lost(std::string why) {
  while (!why.empty() && (why.back() == '\n' || why.back() == ' ')) why.pop_back();
  const bool was_open = state_ == State::open;
  if (state_ == State::dead) return;
  state_ = State::dead;
  watch(0);
  const std::weak_ptr alive(alive_);
  if (!was_open) {
    if (auto opened = std::move(events_.opened)) opened(connect_failure(why));
    return;
  }
  deliver();
  while (!alive.expired() && !flights_.empty()) {
    auto flight = flights_.front();
    if (!flight->committed && !flight->failure) flight->failure = Failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, why), true};
    finish(flight);
  }
  if (alive.expired()) return;
  if (auto lost = std::move(events_.lost)) lost();
}

void PgLink::cut(const std::string& why) { lost(why); }

// Cursors are the server's own: each fetch is a statement, so that the reader sets the pace.

void PgLink::open_cursor(Statement statement, UniqueFunction<void(std::variant<std::vector<std::string>, Failure>)> done) {
  Trip trip;
  trip.kind = Trip::Kind::held;
  statement.text = "DECLARE sluice NO SCROLL CURSOR FOR " + statement.text;
  trip.statements.push_back({"BEGIN READ ONLY", {}});
  trip.statements.push_back(std::move(statement));
  trip.statements.push_back({"FETCH 0 FROM sluice", {}});
  trip.done = [done = std::move(done)](Trip::Arrived arrived) mutable {
    if (auto* failure = std::get_if<Failure>(&arrived)) return done(std::move(*failure));
    done(std::move(std::get<Trip::Answer>(arrived).rows[2].columns));
  };
  send(std::move(trip));
}

void PgLink::fetch(std::size_t most, UniqueFunction<void(std::variant<Chunk, Failure>)> done) {
  Trip trip;
  trip.kind = Trip::Kind::held;
  trip.statements.push_back({"FETCH " + std::to_string(most) + " FROM sluice", {}});
  trip.done = [done = std::move(done), most](Trip::Arrived arrived) mutable {
    if (auto* failure = std::get_if<Failure>(&arrived)) return done(std::move(*failure));
    Chunk chunk;
    chunk.rows = std::move(std::get<Trip::Answer>(arrived).rows[0].rows);
    chunk.end = chunk.rows.size() < most;
    done(std::move(chunk));
  };
  send(std::move(trip));
}

void PgLink::close_cursor(UniqueFunction<void(bool clean)> done) {
  Trip trip;
  trip.kind = Trip::Kind::held;
  trip.statements.push_back({"ROLLBACK", {}});
  trip.done = [done = std::move(done)](Trip::Arrived arrived) mutable { done(std::holds_alternative<Trip::Answer>(arrived)); };
  send(std::move(trip));
}

}  // namespace sluice::sql::postgres
