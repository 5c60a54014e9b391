// PgLink: a cursor. It is the server's own, and each fetch is a statement: the reader sets the pace.

#include "handlers/sql/postgres/link.h"

namespace sluice::sql::postgres {

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
