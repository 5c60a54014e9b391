// MariaLink: a cursor. The server keeps its rows (a snapshot, made when it is opened), and each fetch asks for some: the reader sets the pace.

#include "handlers/sql/mariadb/link.h"

namespace sluice::sql::mariadb {

void MariaLink::cursor_go(Step step, UniqueFunction<void(std::optional<Failure>)> done) {
  within_call_ = true;
  cursor_done_ = std::move(done);
  rows_in_turn_ = 0;
  if (state_ == State::open)
    go(step);
  else
    cursor_over(Failure{Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection is closed"), false});
  within_call_ = false;
}

void MariaLink::open_cursor(Statement statement, UniqueFunction<void(std::variant<std::vector<std::string>, Failure>)> done) {
  cursor_statement_ = std::move(statement);
  cursor_go(Step::cursor_guard, [this, done = std::move(done)](std::optional<Failure> failure) mutable {
    if (failure) return done(std::move(*failure));
    done(columns_.names());
  });
}

void MariaLink::fetch(std::size_t most, UniqueFunction<void(std::variant<Chunk, Failure>)> done) {
  chunk_ = {};
  chunk_most_ = most;
  chunk_bytes_ = 0;
  const unsigned long rows = std::min<unsigned long>(most, kPrefetch);
  mysql_stmt_attr_set(cursor_, STMT_ATTR_PREFETCH_ROWS, &rows);
  cursor_go(Step::cursor_fetch, [this, done = std::move(done)](std::optional<Failure> failure) mutable {
    if (failure) return done(std::move(*failure));
    done(std::move(chunk_));
  });
}

void MariaLink::close_cursor(UniqueFunction<void(bool clean)> done) {
  cursor_go(Step::cursor_close, [done = std::move(done)](std::optional<Failure> failure) mutable { done(!failure); });
}

MariaLink::Step MariaLink::cursor_after(Step step) {
  const int code = session_->code();
  auto failed = [this](const Error& error) {
    cursor_over(failure_of(error, false));
    return Step::none;
  };
  switch (step) {
    case Step::cursor_guard: {
      if (code != 0) return failed(session_->error());
      if (auto fault = prepare_parameters(*cursor_statement_)) {
        cursor_over(Failure{Failure::Kind::statement, std::move(*fault), false});
        return Step::none;
      }
      cursor_ = mysql_stmt_init(session_->mysql());
      if (!cursor_) return failed(session_->error());
      const unsigned long read_only = CURSOR_TYPE_READ_ONLY;
      mysql_stmt_attr_set(cursor_, STMT_ATTR_CURSOR_TYPE, &read_only);
      return Step::cursor_prepare;
    }
    case Step::cursor_prepare:
      if (code != 0 || mysql_stmt_param_count(cursor_) != parameters_->count() || !bind(cursor_)) return failed(session_->error(cursor_));
      return Step::cursor_execute;
    case Step::cursor_execute:
      if (code != 0) return failed(session_->error(cursor_));
      if (mysql_stmt_field_count(cursor_) == 0 || !columns_.bind(cursor_)) {
        cursor_over(Failure{Failure::Kind::statement, Fault(Fault::Kind::bad_arguments, "the statement of a cursor must have rows, and this one has none"), false});
        return Step::none;
      }
      session_->expect_silence(false);  // rows may lie in the socket until they are fetched
      cursor_over(std::nullopt);
      return Step::none;
    case Step::cursor_fetch:
      if (code == MYSQL_NO_DATA) {
        chunk_.end = true;
        cursor_over(std::nullopt);
        return Step::none;
      }
      return code == 0 || code == MYSQL_DATA_TRUNCATED ? cursor_row() : failed(session_->error(cursor_));
    case Step::cursor_close:
      cursor_ = nullptr;
      session_->expect_silence(true);
      return Step::cursor_unguard;
    default:  // cursor_unguard
      if (code != 0) return failed(session_->error());
      cursor_over(std::nullopt);
      return Step::none;
  }
}

MariaLink::Step MariaLink::cursor_row() {
  Value row = columns_.row(cursor_);
  chunk_bytes_ += footprint(row);
  chunk_.rows.push_back(std::move(row));
  if (chunk_.rows.size() < chunk_most_ && chunk_bytes_ < kChunkBytes) return Step::cursor_fetch;
  cursor_over(std::nullopt);
  return Step::none;
}

void MariaLink::cursor_over(std::optional<Failure> failure) {
  auto done = std::make_shared<UniqueFunction<void(std::optional<Failure>)>>(std::exchange(cursor_done_, {}));
  tell([done, failure = std::move(failure)]() mutable { (*done)(std::move(failure)); });
}

}  // namespace sluice::sql::mariadb
