// PgLink: what the server answers, and to which trip it belongs.

#include <algorithm>
#include <charconv>

#include "handlers/sql/postgres/errors.h"
#include "handlers/sql/postgres/link.h"

namespace sluice::sql::postgres {
namespace {

std::string_view column(const PGresult* result, int row, int at) {
  return {PQgetvalue(result, row, at), static_cast<std::size_t>(PQgetlength(result, row, at))};
}

}  // namespace

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
  flight.failure->at = front.index;
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
  const auto limits = flight.trip.own ? AnswerLimits() : limits_;
  if (!flight.failure && rows.rows.size() > limits.rows)
    flight.failure = Failure{Failure::Kind::statement, limits.more_rows(), true};
  else if (!flight.failure && flight.bytes > limits.bytes)
    flight.failure = Failure{Failure::Kind::statement, limits.more_bytes(), true};
  if (!flight.failure) return;
  flight.failure->at = index;
  rows.rows = {};
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

}  // namespace sluice::sql::postgres
