#include "handlers/sql/sql.h"

#include <algorithm>

#include "handlers/sql/dialects.h"
#include "handlers/sql/handle.h"
#include "handlers/sql/options.h"
#include "rpc/nearest.h"

namespace sluice::sql {
namespace {

using std::chrono::milliseconds;

// Member by member: a braced list would copy them all, rows included.
Value::Struct route_struct(Route& route) {
  Value::Struct out;
  out.reserve(10);
  out.emplace_back("node", std::move(route.node));
  out.emplace_back("role", route.role);
  out.emplace_back("class", name_of(route.verdict.kind));
  out.emplace_back("why", std::move(route.verdict.why));
  out.emplace_back("lag_ms", route.lag_ms);
  out.emplace_back("waited_ms", route.waited_ms);
  out.emplace_back("attempts", route.attempts);
  if (!route.position.empty()) out.emplace_back("position", std::move(route.position));
  if (!route.shadow.empty()) out.emplace_back("shadow", std::move(route.shadow));
  if (route.replayed) out.emplace_back("replayed", true);
  return out;
}

Value names(std::vector<std::string>& columns) {
  Value::Array out;
  out.reserve(columns.size());
  for (std::string& column : columns) out.emplace_back(std::move(column));
  return out;
}

Value::Struct query_answer(Result& result) {
  Rows& rows = result.rows.front();
  Value::Struct answer;
  answer.reserve(5);
  answer.emplace_back("columns", names(rows.columns));
  answer.emplace_back("rows", std::move(rows.rows));
  answer.emplace_back("route", route_struct(result.route));
  if (!result.token.empty()) {
    answer.emplace_back("affected", rows.affected);
    answer.emplace_back("token", std::move(result.token));
  }
  return answer;
}

Value::Struct change(Rows& rows) {
  Value::Struct answer;
  answer.reserve(6);
  answer.emplace_back("affected", rows.affected);
  answer.emplace_back("last_insert_id", rows.last_insert_id);
  if (!rows.columns.empty()) {  // RETURNING, or a read
    answer.emplace_back("columns", names(rows.columns));
    answer.emplace_back("rows", std::move(rows.rows));
  }
  return answer;
}

Value::Struct execute_answer(Result& result) {
  Value::Struct answer = change(result.rows.front());
  answer.emplace_back("token", std::move(result.token));
  answer.emplace_back("route", route_struct(result.route));
  return answer;
}

// Work whose Result becomes the answer by `form`, on the thread that has it: the loop only sends.
template <class Form>
Work work(std::vector<Statement> statements, Options options, Reply&& reply, Form form) {
  Work work(std::move(reply));
  work.statements = std::move(statements);
  work.options = std::move(options);
  work.done = [form](Outcome outcome, Reply reply) {
    if (auto* fault = std::get_if<Fault>(&outcome)) return reply(std::move(*fault));
    reply(Value(form(std::get<Result>(outcome))));
  };
  return work;
}

Method free_sql(Method method) {
  method.free_sql = true;
  return method;
}

std::string name_of_caller(const Reply& reply) { return reply.principal() ? reply.principal()->name() : std::string(); }

bool may_write(const Reply& reply) { return !reply.principal() || reply.principal()->may_write(); }

// Goes on with `then(reply, statement)` when the database has said what the statement is, unless `refuse(verdict, reply)` answers a fault.
template <class Refuse, class Then>
void when_known(Reply&& reply, Backend& backend, std::string statement, Refuse refuse, Then then) {
  std::string text = statement;
  backend.explain(std::move(text), std::move(reply), [statement = std::move(statement), refuse = std::move(refuse), then = std::move(then)](std::variant<Verdict, Fault> verdict, Reply reply) mutable {
    if (auto* fault = std::get_if<Fault>(&verdict)) return reply(std::move(*fault));
    if (std::optional<Fault> fault = refuse(std::get<Verdict>(verdict), reply)) return reply(std::move(*fault));
    Loop& home = reply.loop();
    home.post([statement = std::move(statement), then = std::move(then), reply = std::move(reply)]() mutable {
      Reply::Rescue rescue(reply);
      try {
        then(std::move(reply), std::move(statement));
      } catch (const Fault& fault) {
        if (reply)
          reply(fault);
        else if (Reply* dropped = rescue.reply())
          (*dropped)(fault);
      }
    });
  });
}

std::optional<Fault> forbidden(const Verdict& verdict, const Reply& reply) {
  if (may_write(reply) || !may_change(verdict)) return std::nullopt;
  return only_reads(verdict.why);
}

// Goes on unless the caller may only read and the statement is, or may be, a write: at once for those who may write.
template <class Then>
void when_allowed(Reply&& reply, Backend& backend, std::string statement, Then then) {
  if (may_write(reply)) return then(std::move(reply), std::move(statement));
  when_known(std::move(reply), backend, std::move(statement), forbidden, std::move(then));
}

// Goes on if the statement is a read: one that is none is refused here, and not when its rows are asked for.
template <class Then>
void when_read(Reply&& reply, Backend& backend, std::string statement, Then then) {
  auto refuse = [](const Verdict& verdict, const Reply& reply) -> std::optional<Fault> {
    if (auto fault = forbidden(verdict, reply); fault || verdict.kind == Class::read) return fault;
    const std::string_view instead = verdict.kind == Class::write ? "; call sql.execute" : verdict.kind == Class::primary ? "; call sql.query" : "";
    return Fault(Fault::Kind::bad_arguments, "open(): only a read can be taken in parts, and this is none (" + std::string(name_of(verdict.kind)) + "): " + verdict.why + std::string(instead));
  };
  when_known(std::move(reply), backend, std::move(statement), refuse, std::move(then));
}

void refuse_transaction(const std::string& method, const Options& options) {
  refuse_guards(method, options);
  if (!options.tx.empty()) throw Fault(Fault::Kind::bad_arguments, method + "() takes no option 'tx'");
}

}  // namespace

// An open cursor. Everything but the table it stands in is its home loop's.
struct Sql::OpenCursor {
  OpenCursor(Loop& home, std::string handle, std::string owner) : home(home), handle(std::move(handle)), owner(std::move(owner)), idle(home) {}
  Loop& home;
  const std::string handle, owner;
  std::string db;  // "": the default one
  std::unique_ptr<Source> source;
  std::shared_ptr<Head> head = std::make_shared<Head>();
  bool told = false;  // where it runs, with its first part
  Timer idle;
  bool busy = false;
};

Sql::Sql(std::vector<Database> databases, Limits limits) : databases_(std::move(databases)), limits_(limits) {}
Sql::~Sql() = default;

Backend& Sql::backend(const std::string& method, const std::string& db, const Reply& reply) const {
  std::vector<std::string_view> known;
  for (const Database& database : databases_) {
    if (database.name == db || db.empty()) {
      if (reply.principal() && !reply.principal()->may_use(database.name))
        throw Fault(Fault::Kind::denied, method + "(): " + reply.principal()->name() + " may not use the database '" + database.name + "'; an operator can give him a role that lists it");
      return *database.backend;
    }
    known.push_back(database.name);
  }
  const auto close = nearest(db, known);
  std::string all;
  for (const auto name : known) all += (all.empty() ? "" : ", ") + std::string(name);
  throw Fault(Fault::Kind::not_found, method + "() option 'db' names no database of this gateway: " + describe(Value(db)).substr(7) + (close.empty() ? "; there are " + all : "; did you mean '" + std::string(close) + "'?"));
}

// A transaction's handle says which database it is open in, when that is not the default one.
Backend& Sql::backend(const std::string& method, Options& options, const Reply& reply) const {
  if (const auto at = options.tx.find('@'); at != options.tx.npos) {
    options.db = options.tx.substr(at + 1);
    options.tx.resize(at);
  }
  options.caller = name_of_caller(reply);
  return backend(method, options.db, reply);
}

std::vector<Method> Sql::methods() {
  const std::string options = " Options: db, after (a token), session, level, max_lag_ms, timeout_ms, tx (a handle of begin).";
  const std::string fence = " {\"key\": K} makes it happen once however often it is repeated. {\"fence\": {\"lock\": name, \"token\": token}} refuses the write of someone who has lost his lock.";
  return {
      free_sql(method("query", this, &Sql::query, {"statement", "params", "options"},
             "Runs a statement where it belongs, a read as a rule: {columns, rows, route}. params is an array for ? and $1, or a struct for :name." + options)),
      free_sql(method("execute", this, &Sql::execute, {"statement", "params", "options"},
             "Runs a write on the primary: {affected, last_insert_id, token, route}, and {columns, rows} of RETURNING. Pass the token as {\"after\": token} to read what was written." + options + fence,
             Effect::write)),
      free_sql(method("batch", this, &Sql::batch, {"statements", "options"},
             "Runs an array of [statement, params] as one transaction on the primary: {results, token, route}. All of them, or none. Options: db, key, session, timeout_ms." + fence, Effect::write)),
      free_sql(method("begin", this, &Sql::begin, {"options"},
             "Opens a transaction on the primary and answers its handle. It is rolled back after timeout_ms (30000). Pass it as {\"tx\": handle}.", Effect::write)),
      free_sql(method("commit", this, &Sql::commit, {"tx"}, "Commits a transaction: {token, route}.", Effect::write)),
      method("rollback", this, &Sql::rollback, {"tx"}, "Rolls a transaction back.", Effect::write),
      free_sql(method("open", this, &Sql::open, {"statement", "params", "options"},
             "Opens a cursor for a read whose rows are taken in parts, and answers its handle. It is closed when it is not used for a minute.")),
      free_sql(method("fetch", this, &Sql::fetch, {"cursor", "rows"}, "The next rows of a cursor (1000 unless told): {columns, rows, end}, and route with the first of them. At the end the cursor is closed.")),
      method("close", this, &Sql::close, {"cursor"}, "Closes a cursor before its end. False when it was closed already."),
      free_sql(method("stream", this, &Sql::stream, {"statement", "params", "options"},
             "The rows of a read, one by one, as the caller takes them (zerorpc); an array of them on wires without streams.")),
      free_sql(method("explain", this, &Sql::explain, {"statement", "options"}, "Where a statement would go and why; nothing is run: {class, why, role}. Options: db, or dialect (postgresql, mariadb, sqlite), which needs no database.")),
      free_sql(method("split", this, &Sql::split, {"share", "options"},
             "The switch: false sends everything to the primary, true lets reads go elsewhere, a number 0..100 that share of them (and \"on\", \"off\", \"25%\" as in a configuration); \"shadow\" sends none away and records where each would have gone. "
             "Without an argument it only tells: {split, shadow}. Options: db.",
             Effect::write)),
      method("topology", this, &Sql::status, {"options"}, "The nodes of a database: roles, positions, lag in ms, calls in flight, latency, ejections, shares of the reads. Options: db."),
      method("status", this, &Sql::status, {"options"}, "The same as topology."),
  };
}

void Sql::run(Reply reply, Statement statement, Options options, bool expects_write) {
  if (!expects_write) refuse_guards("query", options);
  std::vector<Statement> statements;
  statements.push_back(std::move(statement));
  Work w = expects_write ? work(std::move(statements), std::move(options), std::move(reply), execute_answer)
                         : work(std::move(statements), std::move(options), std::move(reply), query_answer);
  w.expects_write = expects_write;
  Backend& to = backend(expects_write ? "execute" : "query", w.options, w.reply);
  to.run(std::move(w));
}

void Sql::query(Answer<Struct> answer, std::string statement, MaybeParams params, MaybeStruct options) {
  Options read = read_options("query", options.value_or(Struct{}));
  if (may_write(answer.reply())) return run(std::move(answer.reply()), {std::move(statement), params ? std::move(*params) : Value()}, std::move(read), false);
  Backend& of = backend("query", read, answer.reply());
  if (!read.tx.empty()) throw only_reads("a transaction (tx) is opened to write");
  read.read_only = true;
  when_allowed(std::move(answer.reply()), of, std::move(statement),
               [this, params = std::move(params), read = std::move(read)](Reply&& reply, std::string&& statement) mutable {
                 run(std::move(reply), {std::move(statement), params ? std::move(*params) : Value()}, std::move(read), false);
               });
}

void Sql::execute(Answer<Struct> answer, std::string statement, MaybeParams params, MaybeStruct options) {
  Options read = read_options("execute", options.value_or(Struct{}));
  run(std::move(answer.reply()), {std::move(statement), params ? std::move(*params) : Value()}, std::move(read), true);
}

void Sql::batch(Answer<Struct> answer, Value::Array statements, MaybeStruct options) {
  Options read = read_options("batch", options.value_or(Struct{}));
  std::vector<Statement> list;
  list.reserve(statements.size());
  for (Value& entry : statements) {
    auto* pair = entry.get_if<Value::Array>();
    auto* text = pair && !pair->empty() && pair->size() <= 2 ? (*pair)[0].get_if<std::string>() : entry.get_if<std::string>();
    if (!text)
      throw Fault(Fault::Kind::bad_arguments, "batch() argument 'statements' must hold arrays [statement, params], but number " + std::to_string(list.size() + 1) + " is " + describe(entry));
    list.push_back({std::move(*text), pair && pair->size() == 2 ? std::move((*pair)[1]) : Value()});
  }
  if (list.empty()) throw Fault(Fault::Kind::bad_arguments, "batch() argument 'statements' must hold at least one [statement, params]");
  Work w = work(std::move(list), std::move(read), std::move(answer.reply()), [](Result& result) {
    Value::Array results;
    for (Rows& rows : result.rows) results.emplace_back(change(rows));
    if (!result.route.replayed) result.route.verdict = {Class::write, "a batch is one transaction on the primary"};
    Struct answer;
    answer.emplace_back("results", std::move(results));
    answer.emplace_back("token", std::move(result.token));
    answer.emplace_back("route", route_struct(result.route));
    return answer;
  });
  w.expects_write = true;
  Backend& to = backend("batch", w.options, w.reply);
  to.run(std::move(w));
}

void Sql::begin(Answer<std::string> answer, MaybeStruct options) {
  Options read = read_options("begin", options.value_or(Struct{}));
  refuse_transaction("begin", read);
  Backend& to = backend("begin", read, answer.reply());
  auto handle = [db = read.db](Result& result) { return db.empty() ? std::move(result.token) : result.token + "@" + db; };
  to.begin(work({}, std::move(read), std::move(answer.reply()), std::move(handle)));
}

void Sql::commit(Answer<Struct> answer, std::string tx) {
  Options options;
  options.tx = std::move(tx);
  Backend& to = backend("commit", options, answer.reply());
  to.commit(work({}, std::move(options), std::move(answer.reply()), [](Result& result) {
    Struct answer;
    answer.emplace_back("token", std::move(result.token));
    answer.emplace_back("route", route_struct(result.route));
    return answer;
  }));
}

void Sql::rollback(Answer<bool> answer, std::string tx) {
  Options options;
  options.tx = std::move(tx);
  Backend& to = backend("rollback", options, answer.reply());
  to.rollback(work({}, std::move(options), std::move(answer.reply()), [](Result&) { return true; }));
}

void Sql::open(Answer<std::string> answer, std::string statement, MaybeParams params, MaybeStruct options) {
  Options read = read_options("open", options.value_or(Struct{}));
  refuse_transaction("open", read);
  Backend& from = backend("open", read, answer.reply());
  read.read_only = !may_write(answer.reply());
  when_read(std::move(answer.reply()), from, std::move(statement), [this, &from, params = std::move(params), read = std::move(read)](Reply&& reply, std::string&& statement) mutable {
    Answer<std::string> answer(std::move(reply));
    Loop& home = answer.reply().loop();
    auto cursor = std::make_shared<OpenCursor>(home, new_handle(), name_of_caller(answer.reply()));
    {
      std::lock_guard lock(cursors_mutex_);
      const auto own = static_cast<std::size_t>(std::ranges::count_if(cursors_, [&](const auto& entry) { return entry.second->owner == cursor->owner; }));
      if (!cursor->owner.empty() && own >= share_of(limits_.cursors))
        throw Fault(Fault::Kind::overloaded, cursor->owner + " has " + std::to_string(own) + " cursors open, the most that one caller may of the " + std::to_string(limits_.cursors) + " there are (sql.cursors); close some, or use sql.stream over zerorpc");
      if (cursors_.size() >= limits_.cursors)
        throw Fault(Fault::Kind::overloaded, std::to_string(limits_.cursors) + " cursors are open already (sql.cursors); close some, or use sql.stream over zerorpc");
      cursors_.emplace(cursor->handle, cursor);
    }
    cursor->db = read.db;
    cursor->source = from.open({std::move(statement), params ? std::move(*params) : Value()}, std::move(read), home, cursor->head);
    cursor->idle.start(milliseconds(limits_.cursor_idle_ms), [this, handle = cursor->handle] { forget_cursor(handle); });
    answer(cursor->handle);
  });
}

std::shared_ptr<Sql::OpenCursor> Sql::find_cursor(const std::string& handle, const Reply& caller) {
  std::lock_guard lock(cursors_mutex_);
  auto found = cursors_.find(handle);
  return found == cursors_.end() || found->second->owner != name_of_caller(caller) ? nullptr : found->second;
}

void Sql::forget_cursor(const std::string& handle) {
  std::shared_ptr<OpenCursor> gone;  // destroyed outside of the lock
  std::lock_guard lock(cursors_mutex_);
  if (auto found = cursors_.find(handle); found != cursors_.end()) {
    gone = std::move(found->second);
    cursors_.erase(found);
  }
}

void Sql::fetch(Answer<Struct> answer, std::string handle, std::optional<std::int64_t> rows) {
  const std::int64_t most = rows.value_or(1000);
  if (most < 1 || most > limits_.fetch_rows)
    throw Fault(Fault::Kind::bad_arguments, "fetch() argument 'rows' must be from 1 to " + std::to_string(limits_.fetch_rows) + ", not " + std::to_string(most));
  auto cursor = find_cursor(handle, answer.reply());
  if (!cursor) throw Fault(Fault::Kind::not_found, "no open cursor has the handle " + describe(Value(handle)).substr(7) + "; it was closed, read to its end, or not used for " + std::to_string(limits_.cursor_idle_ms) + " ms");
  backend("fetch", cursor->db, answer.reply());  // may he still use it? Rights change while a cursor is open
  // A fetch may come in on another loop than the one the cursor lives on.
  Loop& home = cursor->home;
  auto pulling = std::make_shared<bool>(false);  // of the home loop
  // Rows that nobody waits for any more are lost to the cursor: it ends, and with it what the database does.
  answer.reply().on_cancel([this, &home, pulling, weak = std::weak_ptr(cursor)] {
    home.post([this, pulling, weak] {
      auto cursor = weak.lock();
      if (!cursor || !*pulling) return;
      forget_cursor(cursor->handle);
      cursor->source.reset();
    });
  });
  auto pull = [this, cursor, most, pulling, reply = std::make_shared<Answer<Struct>>(std::move(answer))] {
    if (!cursor->source) return (*reply)(Fault(Fault::Kind::not_found, "the cursor was closed"));
    if (cursor->busy) return (*reply)(Fault(Fault::Kind::conflict, "a fetch of this cursor is running; wait for its answer"));
    cursor->busy = *pulling = true;
    cursor->idle.stop();
    cursor->source->pull(static_cast<std::size_t>(most), [this, cursor, pulling, reply](Source::Batch batch) {
      cursor->busy = *pulling = false;
      if (batch.end)
        forget_cursor(cursor->handle);
      else
        cursor->idle.start(milliseconds(limits_.cursor_idle_ms), [this, handle = cursor->handle] { forget_cursor(handle); });
      if (batch.fault) return (*reply)(std::move(*batch.fault));
      auto columns = cursor->head->columns;
      Struct answer;
      answer.emplace_back("columns", names(columns));
      answer.emplace_back("rows", std::move(batch.items));
      answer.emplace_back("end", batch.end);
      if (!std::exchange(cursor->told, true)) answer.emplace_back("route", route_struct(cursor->head->route));
      (*reply)(std::move(answer));
    });
  };
  if (Loop::current() == &home)
    pull();
  else
    home.post(std::move(pull));
}

void Sql::close(Answer<bool> answer, std::string handle) {
  auto cursor = find_cursor(handle, answer.reply());
  answer(cursor != nullptr);
  if (!cursor) return;
  forget_cursor(handle);
  Loop& home = cursor->home;
  auto end = [cursor = std::move(cursor)] {
    cursor->idle.stop();
    if (!cursor->busy) cursor->source.reset();  // a fetch that runs still answers
  };
  if (Loop::current() == &home)
    end();
  else
    home.post(std::move(end));
}

void Sql::stream(StreamAnswer<Value::Array> answer, std::string statement, MaybeParams params, MaybeStruct options) {
  Options read = read_options("stream", options.value_or(Struct{}));
  refuse_transaction("stream", read);
  Backend& from = backend("stream", read, answer.reply());
  read.read_only = !may_write(answer.reply());
  when_allowed(std::move(answer.reply()), from, std::move(statement), [&from, params = std::move(params), read = std::move(read)](Reply&& reply, std::string&& statement) mutable {
    StreamAnswer<Value::Array> answer(std::move(reply));
    answer(from.open({std::move(statement), params ? std::move(*params) : Value()}, std::move(read), answer.reply().loop(), nullptr));
  });
}

void Sql::explain(Answer<Struct> answer, std::string statement, MaybeStruct options) {
  std::string db;
  const Value* dialect = nullptr;
  const Struct given = options.value_or(Struct{});
  for (const auto& [name, value] : given) {
    if (name == "dialect")
      dialect = &value;
    else if (auto* text = value.get_if<std::string>(); name == "db" && text)
      db = *text;
    else
      throw Fault(Fault::Kind::bad_arguments, "explain() has no option " + describe(Value(name)).substr(7) + " with " + describe(value) + "; it takes dialect and db, which are strings");
  }
  Backend& of = backend("explain", db, answer.reply());
  auto tell = [split = of.split()](std::variant<Verdict, Fault> verdict, Reply reply) {
    if (auto* fault = std::get_if<Fault>(&verdict)) return reply(std::move(*fault));
    auto& found = std::get<Verdict>(verdict);
    const Class kind = found.kind;
    const bool leaves = kind == Class::read && split.percent > 0 && !split.shadow;
    const std::string_view role = kind == Class::session ? "none" : leaves ? "replica" : "primary";
    reply(Value(Struct{{"class", name_of(kind)}, {"why", std::move(found.why)}, {"role", role}}));
  };
  // A dialect asks what a statement is in itself; the database that is served knows more, of its tables and functions.
  if (!dialect || (*dialect == Value(of.dialect()) && of.dialect() != "sqlite")) return of.explain(std::move(statement), std::move(answer.reply()), std::move(tell));
  auto* name = dialect->get_if<std::string>();
  auto verdict = name ? classify(*name, statement) : std::nullopt;
  if (!verdict) throw Fault(Fault::Kind::bad_arguments, "explain() option 'dialect' must be 'postgresql', 'mariadb' or 'sqlite', not " + describe(*dialect));
  tell(std::move(*verdict), std::move(answer.reply()));
}

namespace {

std::string db_of(const std::string& method, const std::optional<Value::Struct>& options) {
  std::string db;
  for (const auto& [name, value] : options.value_or(Value::Struct{})) {
    auto* text = value.get_if<std::string>();
    if (name != "db" || !text) throw Fault(Fault::Kind::bad_arguments, method + "() takes the option db alone, the name of a database, not " + describe(Value(name)).substr(7) + " with " + describe(value));
    db = *text;
  }
  return db;
}

}  // namespace

void Sql::split(Answer<Struct> answer, std::optional<Value> share, MaybeStruct options) {
  Backend& of = backend("split", db_of("split", options), answer.reply());
  if (share && !share->is_nil()) {
    const auto* percent = share->get_if<std::int64_t>();
    const auto* text = share->get_if<std::string>();
    const auto* on = share->get_if<bool>();
    const std::optional<Split> told = on        ? Split{*on ? 100 : 0, false}
                                      : percent ? read_split(std::to_string(*percent))
                                      : text    ? read_split(*text)
                                                : std::nullopt;
    if (!told) throw Fault(Fault::Kind::bad_arguments, "split() argument 'share' must be true, false, an int from 0 to 100, " + std::string(kSplitTexts) + ", not " + describe(*share));
    of.set_split(*told);
  }
  const Split now = of.split();
  answer(Struct{{"split", now.percent}, {"shadow", now.shadow}});
}

void Sql::status(Answer<Struct> answer, MaybeStruct options) {
  Backend& of = backend("topology", db_of("topology", options), answer.reply());
  of.status([reply = std::make_shared<Answer<Struct>>(std::move(answer))](Struct status) { (*reply)(std::move(status)); });
}

}  // namespace sluice::sql
