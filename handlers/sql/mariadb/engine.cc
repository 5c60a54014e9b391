#include "handlers/sql/mariadb/engine.h"

#include <algorithm>

#include "handlers/sql/mariadb/link.h"

namespace sluice::sql::mariadb {
namespace {

using cluster::Failure;
using cluster::Link;
using cluster::Report;
using cluster::Trip;

// What any account may see.
constexpr char kProbe[] =
    "SELECT @@global.read_only, @@server_id, @@gtid_current_pos, @@gtid_binlog_state, @@gtid_slave_pos, @@version, @@log_bin";

// The views, unless nothing was written since. They may come later than the position does, never earlier.
constexpr char kViews[] =
    "SELECT '' AS s, '' AS v, @@gtid_current_pos AS d UNION ALL SELECT table_schema, table_name, view_definition FROM information_schema.views "
    "WHERE table_schema NOT IN ('information_schema', 'performance_schema', 'sys') AND (@@gtid_current_pos = '' OR @@gtid_current_pos <> ?)";

std::string text_of(const Value& value) {
  if (auto* text = value.get_if<std::string>()) return *text;
  if (auto* octets = value.get_if<Bytes>()) return octets->octets;
  return {};
}

std::int64_t integer_of(const Value& value) {
  auto* number = value.get_if<std::int64_t>();
  return number ? *number : 0;
}

// The value of the column of that name in the row; nil when there is none.
const Value& field(const Rows& rows, const Value::Array& row, std::string_view name) {
  static const Value kNil;
  const auto at = std::ranges::find(rows.columns, name);
  return at == rows.columns.end() ? kNil : row[static_cast<std::size_t>(at - rows.columns.begin())];
}

// A history by the last change of each server: `more` may know later ones, or of other servers.
void merge(std::vector<Mark>& history, const std::vector<Mark>& more) {
  for (const Mark& mark : more) {
    const auto known = std::ranges::find_if(history, [&](const Mark& one) { return one.domain == mark.domain && one.origin == mark.origin; });
    if (known == history.end())
      history.push_back(mark);
    else
      known->seq = std::max(known->seq, mark.seq);
  }
}

// Where the binary log begins: of each domain the last sequence before it, as a mark of origin 0.
std::vector<Mark> beginning_of(const Rows& events) {
  std::vector<Mark> out;
  for (const Value& event : events.rows) {
    const auto& row = *event.get_if<Value::Array>();
    const std::string type = text_of(field(events, row, "Event_type"));
    std::string info = text_of(field(events, row, "Info"));
    const auto digits = info.find_first_of("0123456789");
    if ((type != "Gtid_list" && type != "Gtid") || digits == info.npos) continue;
    for (Mark mark : read_gtids(std::string_view(info).substr(digits, info.find_last_of("0123456789") + 1 - digits))) {
      if (type == "Gtid") --mark.seq;
      mark.origin = 0;
      const auto known = std::ranges::find(out, mark.domain, &Mark::domain);
      if (known == out.end())
        out.push_back(mark);
      else if (type == "Gtid_list")
        known->seq = std::max(known->seq, mark.seq);
    }
  }
  return out;
}

}  // namespace

MariaDb::MariaDb(Login login, AnswerLimits limits) : login_(std::move(login)), limits_(limits) {
  texts_.begin = kBegin;
  texts_.commit = kCommit;
  texts_.rollback = kRollback;
  texts_.create_secret = "CREATE TABLE IF NOT EXISTS sluice_secret (id tinyint PRIMARY KEY CHECK (id = 1), secret varchar(200) NOT NULL) ENGINE=InnoDB";
  texts_.offer_secret = "INSERT INTO sluice_secret (id, secret) VALUES (1, ?) ON DUPLICATE KEY UPDATE id = id";
  texts_.read_secret = "SELECT secret FROM sluice_secret WHERE id = 1";
  // Names are compared octet by octet: without a collation "a", "A" and "a " would be one.
  texts_.create_keys = {
      "CREATE TABLE IF NOT EXISTS sluice_keys (name varbinary(767) PRIMARY KEY, digest varchar(64) NOT NULL, reply longblob, "
      "created timestamp NOT NULL DEFAULT current_timestamp(), KEY created (created)) ENGINE=InnoDB",
      "CREATE TABLE IF NOT EXISTS sluice_fences (name varbinary(767) PRIMARY KEY, token bigint NOT NULL, uses bigint NOT NULL DEFAULT 1) ENGINE=InnoDB"};
  texts_.claim_key = "INSERT INTO sluice_keys (name, digest) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = name";
  texts_.read_key = "SELECT digest, reply FROM sluice_keys WHERE name = ?";
  texts_.finish_key = "UPDATE sluice_keys SET reply = ? WHERE name = ?";
  texts_.drop_old_keys = "DELETE FROM sluice_keys WHERE created < current_timestamp() - INTERVAL ? SECOND";
  // A row that stays as it is does not count as affected: an accepted token is counted as a use.
  texts_.raise_fence =
      "INSERT INTO sluice_fences (name, token) VALUES (?, ?) ON DUPLICATE KEY UPDATE uses = uses + (token <= VALUES(token)), token = GREATEST(token, VALUES(token))";
  texts_.read_fence = "SELECT token FROM sluice_fences WHERE name = ? LOCK IN SHARE MODE";  // the row of now, whatever the transaction's snapshot has
}

std::unique_ptr<Link> MariaDb::dial(const cluster::Address& address, Link::Use use, Loop& loop, Events events) {
  return std::make_unique<MariaLink>(login_, address, use, loop, statements_, limits_, std::move(events));
}

void MariaDb::probe(Link& link, Done done) {
  Trip trip;
  trip.statements.push_back({kProbe, {}});
  trip.done = [this, &link, done = std::move(done)](Trip::Arrived arrived) mutable {
    if (auto* failure = std::get_if<Failure>(&arrived)) return done(std::move(*failure));
    const Rows& rows = std::get<Trip::Answer>(arrived).rows[0];
    const auto* row = rows.rows.empty() ? nullptr : rows.rows[0].get_if<Value::Array>();
    if (!row || row->size() != 7) return done(Failure{Failure::Kind::starting, Fault(Fault::Kind::unavailable, "the server answered a probe with no row"), false});
    const auto& column = *row;
    Report report;
    report.primary = column[0] == Value(0) || column[0] == Value("OFF");
    report.origin = static_cast<std::uint32_t>(integer_of(column[1]));
    report.at = {"", read_gtids(text_of(column[2]))};
    report.history = read_gtids(text_of(column[3]));
    merge(report.history, read_gtids(text_of(column[4])));
    report.version = text_of(column[5]);
    look_at_replication(link, std::move(report), std::move(done));
  };
  link.send(std::move(trip));
}

std::optional<Trip> MariaDb::learn() {
  Trip trip;
  trip.statements.push_back({kViews, Value::Array{views_at_}});
  trip.done = [this](Trip::Arrived arrived) {
    const auto* answer = std::get_if<Trip::Answer>(&arrived);
    if (!answer) return;
    std::vector<View> found;
    std::string at;
    for (const Value& one : answer->rows[0].rows) {
      const auto& row = *one.get_if<Value::Array>();
      if (View view{text_of(row[0]), text_of(row[1]), text_of(row[2])}; !view.name.empty())
        found.push_back(std::move(view));
      else
        at = view.text;
    }
    if (!at.empty() && at == views_at_) return;
    views_at_ = at;
    Views views(found, login_.database);
    if (views == views_) return;
    views_ = std::move(views);
    statements_.forget();
  };
  return trip;
}

// A server that follows another is no primary, whatever its read_only says: to write to it would part the two.
void MariaDb::look_at_replication(Link& link, Report report, Done done) {
  Trip trip;
  trip.statements.push_back({"SHOW ALL SLAVES STATUS", {}});
  trip.done = [this, &link, report = std::move(report), done = std::move(done)](Trip::Arrived arrived) mutable {
    if (auto* failure = std::get_if<Failure>(&arrived)) {
      if (failure->kind != Failure::Kind::statement) return done(std::move(*failure));
    } else {
      const Rows& rows = std::get<Trip::Answer>(arrived).rows[0];
      report.following = rows.rows.empty() && report.primary;
      for (const Value& one : rows.rows) {
        const auto& row = *one.get_if<Value::Array>();
        const bool receives = text_of(field(rows, row, "Slave_IO_Running")) == "Yes";
        if (receives) report.primary = false;
        report.following = report.following || receives;
        report.delay_ms = std::max(report.delay_ms, 1000.0 * static_cast<double>(integer_of(field(rows, row, "Seconds_Behind_Master"))));
      }
    }
    if (!report.primary) {
      beginnings_.erase(report.origin);
      return done(std::move(report));
    }
    look_at_beginning(link, std::move(report), std::move(done));
  };
  link.send(std::move(trip));
}

// Asked once of each primary. An account without BINLOG MONITOR may not see it: then a token of a server that left no trace stays a riddle.
void MariaDb::look_at_beginning(Link& link, Report report, Done done) {
  if (const auto known = beginnings_.find(report.origin); known != beginnings_.end()) {
    report.history.insert(report.history.end(), known->second.begin(), known->second.end());
    report.history_known = true;
    return done(std::move(report));
  }
  Trip trip;
  trip.statements.push_back({"SHOW BINLOG EVENTS LIMIT 8", {}});
  trip.done = [this, report = std::move(report), done = std::move(done)](Trip::Arrived arrived) mutable {
    if (auto* failure = std::get_if<Failure>(&arrived); failure && failure->kind != Failure::Kind::statement) return done(std::move(*failure));
    auto* answer = std::get_if<Trip::Answer>(&arrived);
    beginnings_[report.origin] = answer ? beginning_of(answer->rows[0]) : std::vector<Mark>();
    const auto& beginning = beginnings_[report.origin];
    report.history.insert(report.history.end(), beginning.begin(), beginning.end());
    report.history_known = true;
    done(std::move(report));
  };
  link.send(std::move(trip));
}

}  // namespace sluice::sql::mariadb
