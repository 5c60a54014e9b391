#include "handlers/sql/postgres/engine.h"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "handlers/sql/postgres/catalogue.h"
#include "handlers/sql/postgres/link.h"

namespace sluice::sql::postgres {
namespace {

using cluster::Failure;
using cluster::Judgement;
using cluster::Link;
using cluster::Report;
using cluster::Trip;

// Only functions that every role may call; what pg_stat_wal_receiver hides from a role without pg_monitor comes as NULL.
// A promoted server goes on telling where its replay ended until it is restarted: that is where its timeline began.
constexpr char kProbe[] =
    "SELECT pg_is_in_recovery(), s.system_identifier::text, "
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text, "
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_flush_lsn()) END, "
    "pg_last_wal_replay_lsn()::text, "
    "(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::float8, "
    "(SELECT count(*) FROM pg_stat_wal_receiver), (SELECT max(received_tli) FROM pg_stat_wal_receiver), "
    "current_setting('server_version'), "
    // Asked first: what fails would stand in the server's log each time.
    "has_function_privilege('pg_read_file(text,bigint,bigint,boolean)', 'execute'), to_regclass('sluice_timelines') IS NOT NULL "
    "FROM pg_control_system() AS s";

constexpr char kHistoryFile[] = "SELECT pg_read_file($1, 0, 1000000, true)";
// Where timelines ended, in the table of those who may not read the file.
constexpr char kKeptHistory[] = "SELECT timeline, ended FROM sluice_timelines WHERE timeline < $1";
constexpr char kMakeHistory[] = "CREATE TABLE IF NOT EXISTS sluice_timelines(timeline bigint PRIMARY KEY, ended text NOT NULL)";
constexpr char kKeepHistory[] = "INSERT INTO sluice_timelines VALUES ($1, $2) ON CONFLICT DO NOTHING";

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

Options parse(const std::string& url) {
  char* problem = nullptr;
  Options options(PQconninfoParse(url.c_str(), &problem), &PQconninfoFree);
  if (!options) {
    std::string why = problem ? problem : "out of memory";
    PQfreemem(problem);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    // libpq quotes what it stumbled over, which may be the password; the name of a parameter is none.
    if (!why.starts_with("invalid URI query parameter")) why.resize(std::min(why.size(), why.find(": \"")));
    throw std::runtime_error("not a PostgreSQL connection string: " + why);
  }
  return options;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (true) {
    const auto comma = list.find(',');
    out.emplace_back(list.substr(0, comma));
    if (comma == list.npos) return out;
    list.remove_prefix(comma + 1);
  }
}

std::uint64_t lsn(const Value& value) {
  std::uint64_t out = 0;
  if (auto* text = value.get_if<std::string>()) read_lsn(*text, out);
  return out;
}

std::uint32_t timeline(const Value& file) {
  std::uint32_t out = 0;
  if (auto* text = file.get_if<std::string>(); text && text->size() >= 8) std::from_chars(text->data(), text->data() + 8, out, 16);
  return out;
}

template <class T>
T or_else(const Value& value, T otherwise) {
  auto* known = value.get_if<T>();
  return known ? *known : otherwise;
}

const Value::Array* rows_of(const Trip::Arrived& arrived) {
  const auto* answer = std::get_if<Trip::Answer>(&arrived);
  return answer && !answer->rows.empty() ? &answer->rows[0].rows : nullptr;
}

void add(std::vector<Mark>& history, Mark mark) {
  if (mark.origin != 0 && mark.seq != 0 && std::ranges::find(history, mark.origin, &Mark::origin) == history.end()) history.push_back(mark);
}

// A timeline's history file: a line for each ended timeline, "1<tab>0/3000060<tab>reason".
std::vector<Mark> read_history_file(std::string_view text) {
  std::vector<Mark> out;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    Mark mark;
    const auto number = std::from_chars(line.data(), line.data() + line.size(), mark.origin);
    if (number.ec != std::errc() || number.ptr == line.data() + line.size()) continue;
    const auto rest = line.substr(static_cast<std::size_t>(number.ptr - line.data()) + 1);
    if (read_lsn(rest.substr(0, rest.find_first_of("\t ")), mark.seq)) out.push_back(mark);
  }
  return out;
}

}  // namespace

Postgres::Postgres(const std::string& url, AnswerLimits limits) : limits_(limits) {
  const Options options = parse(url);
  for (auto* option = options.get(); option->keyword; ++option) {
    const std::string name = option->keyword;
    if (!option->val || name == "host" || name == "hostaddr" || name == "port" || name == "target_session_attrs") continue;
    if (name == "options")
      options_ = option->val;
    else
      parameters_.emplace_back(name, option->val);
  }
  texts_.failure_ends_transaction = true;
  texts_.begin = "BEGIN";
  texts_.commit = "COMMIT";
  texts_.rollback = "ROLLBACK";
  texts_.create_secret = "CREATE TABLE IF NOT EXISTS sluice_secret (id int PRIMARY KEY CHECK (id = 1), secret text NOT NULL)";
  texts_.offer_secret = "INSERT INTO sluice_secret (id, secret) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
  texts_.read_secret = "SELECT secret FROM sluice_secret WHERE id = 1";
  texts_.create_keys = {
      "CREATE TABLE IF NOT EXISTS sluice_keys (key text PRIMARY KEY, digest text NOT NULL, reply bytea, created timestamptz NOT NULL DEFAULT now())",
      "CREATE TABLE IF NOT EXISTS sluice_fences (name text PRIMARY KEY, token bigint NOT NULL)"};
  texts_.claim_key = "INSERT INTO sluice_keys (key, digest) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
  texts_.read_key = "SELECT digest, reply FROM sluice_keys WHERE key = $1";
  texts_.finish_key = "UPDATE sluice_keys SET reply = $1 WHERE key = $2";
  texts_.drop_old_keys = "DELETE FROM sluice_keys WHERE created < now() - $1 * interval '1 second'";
  texts_.raise_fence =
      "INSERT INTO sluice_fences AS f (name, token) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET token = excluded.token WHERE f.token <= excluded.token";
  texts_.read_fence = "SELECT token FROM sluice_fences WHERE name = $1";
}

std::vector<std::pair<std::string, std::string>> Postgres::hosts(const std::string& url) {
  const Options options = parse(url);
  std::vector<std::string> hosts, ports;
  for (auto* option = options.get(); option->keyword; ++option) {
    if (!option->val) continue;
    if (std::string_view(option->keyword) == "host") hosts = split(option->val);
    if (std::string_view(option->keyword) == "port") ports = split(option->val);
  }
  if (hosts.empty()) hosts = {"127.0.0.1"};
  if (ports.empty()) ports = {"5432"};
  if (ports.size() != 1 && ports.size() != hosts.size())
    throw std::runtime_error("not a PostgreSQL connection string: " + std::to_string(hosts.size()) + " hosts, but " + std::to_string(ports.size()) + " ports");
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const std::string& port = ports.size() == 1 ? ports[0] : ports[i];
    out.emplace_back(hosts[i], port.empty() ? "5432" : port);
  }
  return out;
}

std::unique_ptr<Link> Postgres::dial(const cluster::Address& address, Link::Use use, Loop& loop, Events events) {
  auto parameters = parameters_;
  parameters.emplace_back("host", address.host);
  parameters.emplace_back("hostaddr", address.numeric);
  parameters.emplace_back("port", address.port);
  parameters.emplace_back("client_encoding", "UTF8");
  parameters.emplace_back("fallback_application_name", "sluice");
  // Values travel as text: these settings fix their forms. A server that notices within a second that nobody listens ends the query.
  std::string options = options_ +
                        " -c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c bytea_output=hex -c extra_float_digits=1"
                        " -c standard_conforming_strings=on -c client_connection_check_interval=1000";
  if (use == Link::Use::read || use == Link::Use::probe) options += " -c default_transaction_read_only=on";
  parameters.emplace_back("options", std::move(options));
  return std::make_unique<PgLink>(parameters, use, loop, statements_, system_, limits_, std::move(events));
}

void Postgres::probe(Link& link, Done done) {
  Trip trip;
  trip.statements.push_back({kProbe, {}});
  trip.done = [this, &link, done = std::move(done)](Trip::Arrived arrived) mutable {
    if (auto* failure = std::get_if<Failure>(&arrived)) return done(std::move(*failure));
    const Rows& rows = std::get<Trip::Answer>(arrived).rows[0];
    const auto* row = rows.rows.empty() ? nullptr : rows.rows[0].get_if<Value::Array>();
    if (!row || row->size() != 11) return done(Failure{Failure::Kind::starting, Fault(Fault::Kind::unavailable, "the server answered a probe with no row"), false});
    const auto& column = *row;
    Report report;
    report.primary = column[0] == Value(false);
    system_ = or_else<std::string>(column[1], "");
    report.origin = report.primary ? timeline(column[3]) : static_cast<std::uint32_t>(or_else<std::int64_t>(column[7], 0));
    report.at = {system_, {Mark{0, report.origin, lsn(column[2])}}};
    report.delay_ms = or_else<double>(column[5], 0);
    report.following = report.primary || or_else<std::int64_t>(column[6], 0) > 0;
    report.version = or_else<std::string>(column[8], "");
    if (!report.primary) return done(std::move(report));
    if (report.origin <= 1) report.history_known = true;
    if (const auto known = histories_.find(report.origin); known != histories_.end()) {
      report.history = known->second;
      report.history_known = true;
    }
    if (report.history_known) return done(std::move(report));
    if (column[9] == Value(true)) return read_history(link, std::move(report), std::move(done));
    // A role that may not read files: the end of the last timeline is known from the replay, until the server is restarted.
    if (const auto switched_at = lsn(column[4])) report.history.push_back({0, report.origin - 1, switched_at});
    report.history_fades = !report.history.empty();
    if (column[10] == Value(true) && !complete(report)) return read_kept_history(link, std::move(report), std::move(done));
    done(std::move(report));
  };
  link.send(std::move(trip));
}

std::optional<Trip> Postgres::learn() {
  Trip trip;
  trip.statements.push_back(catalogue_question(mark_));
  trip.done = [this](Trip::Arrived arrived) {
    const auto* rows = rows_of(arrived);
    auto learned = rows ? read_catalogue(*rows, mark_) : std::nullopt;
    if (!learned || learned->same_as(learned_)) return;
    learned_ = std::move(*learned);
    statements_.forget();
  };
  return trip;
}

void Postgres::read_history(Link& link, Report report, Done done) {
  char name[40];
  std::snprintf(name, sizeof name, "pg_wal/%08X.history", report.origin);
  Trip trip;
  trip.statements.push_back({kHistoryFile, Value::Array{Value(name)}});
  trip.done = [this, report = std::move(report), done = std::move(done)](Trip::Arrived arrived) mutable {
    if (const auto* rows = rows_of(arrived); rows && !rows->empty())
      if (const auto* row = (*rows)[0].get_if<Value::Array>(); row && row->size() == 1)
        if (const auto* text = (*row)[0].get_if<std::string>()) {
          report.history = histories_[report.origin] = read_history_file(*text);
          report.history_known = true;
        }
    done(std::move(report));
  };
  link.send(std::move(trip));
}

void Postgres::read_kept_history(Link& link, Report report, Done done) {
  Trip trip;
  trip.statements.push_back({kKeptHistory, Value::Array{report.origin}});
  trip.done = [this, report = std::move(report), done = std::move(done)](Trip::Arrived arrived) mutable {
    if (const auto* rows = rows_of(arrived))
      for (const Value& each : *rows)
        if (const auto* row = each.get_if<Value::Array>(); row && row->size() == 2)
          add(report.history, {0, static_cast<std::uint32_t>(or_else<std::int64_t>((*row)[0], 0)), lsn((*row)[1])});
    complete(report);
    done(std::move(report));
  };
  link.send(std::move(trip));
}

// With what this gateway knew of the earlier ones: true when no timeline lacks.
bool Postgres::complete(Report& report) {
  if (const auto before = histories_.find(report.origin - 1); before != histories_.end())
    for (const Mark& mark : before->second) add(report.history, mark);
  report.history_known = report.history.size() == report.origin - 1;
  if (report.history_known) histories_[report.origin] = report.history;
  return report.history_known;
}

std::vector<Statement> Postgres::keep_history(const Report& report) const {
  if (!report.history_fades) return {};
  std::vector<Statement> out;
  out.push_back({kMakeHistory, {}});
  for (const Mark& mark : report.history) {
    char ended[32];
    std::snprintf(ended, sizeof ended, "%X/%08X", static_cast<unsigned>(mark.seq >> 32), static_cast<unsigned>(mark.seq));
    out.push_back({kKeepHistory, Value::Array{mark.origin, ended}});
  }
  return out;
}

Judgement Postgres::judge(const Report& primary, const Position& wanted) const {
  for (const Mark& mark : wanted.marks) {
    if (mark.origin == 0 || mark.origin == primary.origin) continue;
    if (mark.origin > primary.origin) return Judgement::unknown;
    bool found = false;
    for (const Mark& ended : primary.history) {
      if (ended.origin != mark.origin) continue;
      if (mark.seq > ended.seq) return Judgement::lost;
      found = true;
    }
    if (!found) return primary.history_known ? Judgement::lost : Judgement::unknown;
  }
  return Judgement::kept;
}

}  // namespace sluice::sql::postgres
