#include "handlers/sql/postgres/link.h"

#include <algorithm>
#include <charconv>

#include "handlers/sql/postgres/errors.h"

namespace sluice::sql::postgres {
namespace {

// A replica has replayed so far; a primary has made so much durable.
constexpr char kPositionNow[] = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END";
// After a commit. Not the insert position, which may stand behind a page header that nothing follows; but without synchronous_commit the
// commit is flushed later than it is answered, and only the insert position is sure to cover it.
constexpr char kPositionWritten[] =
    "SELECT l, pg_walfile_name(l) FROM (SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn() "
    "ELSE pg_current_wal_flush_lsn() END AS l) AS now";

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
               AnswerLimits limits, cluster::Engine::Events events)
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
    flight->failure->at = index;
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

}  // namespace sluice::sql::postgres
