#include "handlers/lock/sql/store.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <random>

namespace sluice::lock {
namespace {

constexpr std::int64_t kHoldersTold = 1000;  // of one lock
constexpr milliseconds kBetweenPurges{3'600'000};

bool retryable(const Fault& fault) {
  return std::ranges::any_of(fault.detail(),
                             [](const auto& member) { return member.first == "retryable" && member.second == Value(true); });
}

Statements statements_of(std::string_view dialect, Names names) {
  if (dialect == "sqlite") return sqlite_statements(names);
  if (dialect == "postgresql") return postgresql_statements(names);
  if (dialect == "mariadb") return mariadb_statements(names);
  throw Fault(Fault::Kind::bad_arguments, "locks cannot be kept in a database of the dialect '" + std::string(dialect) +
                                              "'; they can in sqlite, postgresql and mariadb");
}

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  if (id.empty()) throw Fault(Fault::Kind::unavailable, "/proc/sys/kernel/random/boot_id cannot be read: leases would not know of a reboot");
  return id;
}

// A JSON array of texts, for the database to take apart.
std::string json(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr char kHex[] = "0123456789abcdef";
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
      } else {
        out += c;
      }
    }
    out += '"';
  }
  return out + "]";
}

std::int64_t integer(const Value& value) {
  const auto* integer = value.get_if<std::int64_t>();
  return integer ? *integer : 0;
}
std::string text(const Value& value) {
  const auto* text = value.get_if<std::string>();
  return text ? *text : std::string();
}
const Value::Array& row(const sql::Rows& rows, std::size_t index) { return *rows.rows.at(index).get_if<Value::Array>(); }

// The columns of a holder, from `at` on.
Holder holder(const Value::Array& row, std::size_t at = 0) {
  return {text(row[at]), text(row[at + 1]), integer(row[at + 2]), integer(row[at + 3]), integer(row[at + 4]), milliseconds(integer(row[at + 5])), milliseconds(integer(row[at + 6]))};
}

std::vector<Lock> locks(const sql::Rows& rows) {
  std::vector<Lock> all;
  for (const Value& each : rows.rows) {
    const auto& row = *each.get_if<Value::Array>();
    if (all.empty() || all.back().name != text(row[0])) all.push_back({text(row[0]), integer(row[1]), {}});
    if (!row[2].is_nil()) all.back().holders.push_back(holder(row, 2));
  }
  return all;
}

// What an acquire found: all of its names with its own nonce, or else who is in the way.
std::variant<std::vector<Grant>, Held> judge(const Acquire& acquire, const sql::Rows& rows, const std::function<BootClock::time_point(milliseconds)>& until) {
  std::vector<Grant> grants;
  Held held{acquire.reentry_only ? Held::Reason::not_yours : Held::Reason::held, {}};
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    const auto& each = row(rows, i);
    Holder found = holder(each);
    if (found.owner != acquire.owner) {
      if (held.holder.name.empty()) held.holder = std::move(found);
    } else if (text(each[7]) == acquire.nonce) {
      grants.push_back({std::move(found.name), found.token, found.count, until(found.remaining), true});
    } else if (found.slots != acquire.slots) {
      held = {Held::Reason::other_mode, std::move(found)};
    }
  }
  if (grants.size() == acquire.names.size()) return grants;
  return held;
}

}  // namespace

// One name that someone waits for. While the server tells of releases, it is marked as waited for, and looked at once when that is done, since
// a release may have come before. Otherwise it is looked at: more often while its holders change, more seldom while they do not.
class SqlStore::Watcher final : public LeaseStore::Watch {
 public:
  Watcher(SqlStore& store, std::string name, UniqueFunction<void()> freed) : store_(store), name_(std::move(name)), freed_(std::move(freed)), timer_(store.home_) {
    at_ = store_.watchers_.emplace(name_, this);
    again();
  }
  ~Watcher() override { store_.watchers_.erase(at_); }

  const std::shared_ptr<bool>& alive() const noexcept { return alive_; }

  // The server begins, or ceases, to tell.
  void turned() {
    marked_ = false;
    between_ = kOften;
    again();
  }

  void call() {
    const std::weak_ptr<bool> alive(alive_);
    auto freed = std::move(freed_);  // it may destroy this
    freed();
    if (!alive.expired()) freed_ = std::move(freed);
  }

 private:
  static constexpr milliseconds kOften{5}, kSeldom{30};
  static constexpr milliseconds kMarked{15'000}, kMarkAgain{5'000};

  void again() {
    // Gateways that began together must not ask together for ever.
    thread_local std::minstd_rand random{std::random_device{}()};
    const milliseconds jitter(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(between_.count())) / 4);
    timer_.start(between_ + jitter, [this] { store_.listening_ && store_.statements_.mark ? mark() : look(); });
  }

  void mark() {
    std::vector<sql::Statement> mark{store_.statements_.mark->with({{"name", name_}, {"span", kMarked.count()}})};
    store_.run(std::move(mark), true, [this, alive = std::weak_ptr<bool>(alive_)](sql::Outcome outcome) {
      if (alive.expired()) return;
      const bool failed = std::holds_alternative<Fault>(outcome);
      between_ = failed ? kSeldom : kMarkAgain;
      again();
      if (!failed && !std::exchange(marked_, true)) call();
    });
  }

  void look() {
    store_.inspect(name_, [this, alive = std::weak_ptr<bool>(alive_)](Listing listing) {
      if (alive.expired()) return;
      std::string seen;
      if (auto* locks = std::get_if<std::vector<Lock>>(&listing)) {
        for (const Lock& lock : *locks)
          for (const Holder& holder : lock.holders) seen += std::to_string(holder.token) + "." + std::to_string(holder.count) + " ";
        const bool changed = seen.empty() || seen != seen_;
        seen_ = std::move(seen);
        between_ = changed ? kOften : std::min(between_ * 3 / 2, kSeldom);
        again();
        if (changed) call();
      } else {
        between_ = kSeldom;
        again();
      }
    });
  }

  SqlStore& store_;
  const std::string name_;
  UniqueFunction<void()> freed_;
  Timer timer_;
  milliseconds between_ = kOften;
  bool marked_ = false;
  std::string seen_;
  std::unordered_multimap<std::string, Watcher*>::iterator at_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

SqlStore::SqlStore(sql::Backend& backend, Loop& home, Options options, std::unique_ptr<sql::Listener> listener)
    : backend_(backend), home_(home), options_(options), statements_(statements_of(backend.dialect(), Names::json)), one_(statements_of(backend.dialect(), Names::one)), remote_clock_(backend.dialect() != "sqlite"), purge_timer_(home), listener_(std::move(listener)) {
  if (listener_) listen();
  // Before the first caller comes, whose lease would run while the tables are made.
  home_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired() && !ready_ && !setting_up_) set_up();
  });
}

SqlStore::~SqlStore() = default;

// A watcher that is told may destroy itself, and others.
void SqlStore::listen() {
  sql::Listener::Events events;
  events.listening = [this](bool listening) {
    listening_ = listening;
    for (const auto& [name, watcher] : watchers_) watcher->turned();
  };
  events.heard = [this](const std::string& name) {
    std::vector<std::pair<std::weak_ptr<bool>, Watcher*>> told;
    const auto [from, to] = watchers_.equal_range(name);
    for (auto each = from; each != to; ++each) told.emplace_back(each->second->alive(), each->second);
    for (const auto& [alive, watcher] : told)
      if (!alive.expired()) watcher->call();
  };
  listener_->start(std::string(kChannel), home_, std::move(events));
}

// A server's clock may run a little faster than ours: what the holder may rely on ends a little earlier.
BootClock::time_point SqlStore::safe(BootClock::time_point sent, milliseconds span) const {
  return sent + (remote_clock_ ? span - span / 100 - milliseconds(2) : span);
}

void SqlStore::send(std::vector<sql::Statement> statements, bool writes, Done done, int attempts) {
  std::vector<sql::Statement> again;
  if (remote_clock_) again = statements;
  sql::Errand::Job job{std::move(statements), {}, writes};
  job.options.read_committed = writes;
  job.options.timeout_ms = options_.limit.count();
  job.options.level = writes || remote_clock_ ? sql::Level::primary : sql::Level::latest;  // a file has readers that are always fresh
  auto answered = [this, alive = std::weak_ptr<bool>(alive_), again = std::move(again), writes, attempts, done = std::move(done)](sql::Outcome outcome) mutable {
    if (alive.expired()) return;
    // The server chose it as the victim of a deadlock: nothing of it has happened.
    if (auto* fault = std::get_if<Fault>(&outcome); fault && attempts > 1 && retryable(*fault)) return send(std::move(again), writes, std::move(done), attempts - 1);
    done(std::move(outcome));
  };
  sql::Errand::run(backend_, home_, std::move(job), std::move(answered));
}

void SqlStore::run(std::vector<sql::Statement> statements, bool writes, Done done) {
  if (ready_) return send(std::move(statements), writes, std::move(done));
  waiting_.push_back({std::move(statements), writes, std::move(done)});
  if (!setting_up_) set_up();
}

void SqlStore::set_up() {
  setting_up_ = true;
  std::vector<sql::Statement> setup;
  const Value::Struct all{{"boot", boot_id()}};
  for (const Template& each : statements_.setup) setup.push_back(each.with(all));
  send(std::move(setup), true, [this](sql::Outcome outcome) {
    setting_up_ = false;
    auto waiting = std::exchange(waiting_, {});
    auto* fault = std::get_if<Fault>(&outcome);
    ready_ = !fault;
    if (ready_) purge_timer_.start(kBetweenPurges, [this] { purge(); });
    for (Waiting& each : waiting) {
      if (fault)
        each.done(*fault);
      else
        send(std::move(each.statements), each.writes, std::move(each.done));
    }
  });
}

void SqlStore::purge() {
  std::vector<sql::Statement> statements;
  for (const Template& each : statements_.purge) statements.push_back(each.with({{"age", options_.forget.count()}}));
  run(std::move(statements), true, [this](sql::Outcome) { purge_timer_.start(kBetweenPurges, [this] { purge(); }); });
}

void SqlStore::acquire(Acquire acquire, UniqueFunction<void(Acquired)> done) {
  const bool one = acquire.names.size() == 1;
  const Statements& texts = one ? one_ : statements_;
  Value::Struct all{{"names", one ? acquire.names.front() : json(acquire.names)}, {"owner", acquire.owner}, {"nonce", acquire.nonce},
                    {"ttl", acquire.ttl.count()},   {"slots", acquire.slots},          {"reentry", acquire.reentry_only ? 1 : 0},
                    {"epoch", first_token(options_.epoch)}, {"intent", acquire.intent.count()}};
  std::vector<sql::Statement> statements;
  statements.reserve(texts.acquire.size() + 1);
  for (const Template& each : texts.acquire) {
    if (acquire.intent.count() > 0 && &each == &texts.acquire.back()) statements.push_back(texts.intent.with(all));
    statements.push_back(each.with(all));
  }
  run(std::move(statements), true, [this, sent = BootClock::now(), acquire = std::move(acquire), done = std::move(done)](sql::Outcome outcome) mutable {
    if (auto* fault = std::get_if<Fault>(&outcome)) return done(std::move(*fault));
    auto judged = judge(acquire, std::get<sql::Result>(outcome).rows.back(), [&](milliseconds left) { return safe(sent, left); });
    std::visit([&](auto& each) { done(std::move(each)); }, judged);
  });
}

void SqlStore::undo(Acquire acquire, UniqueFunction<void(Change)> done) {
  const Value::Struct all{{"names", json(acquire.names)}, {"owner", acquire.owner}, {"nonce", acquire.nonce}, {"epoch", first_token(options_.epoch)}};
  std::vector<sql::Statement> statements;
  for (const Template& each : statements_.undo) statements.push_back(each.with(all));
  run(std::move(statements), true, [done = std::move(done)](sql::Outcome outcome) mutable {
    if (auto* fault = std::get_if<Fault>(&outcome)) return done(std::move(*fault));
    Kept kept;
    kept.ok = true;
    done(kept);
  });
}

void SqlStore::change(const std::vector<Template>& templates, const Value::Struct& all, milliseconds ttl, UniqueFunction<void(Change)> done) {
  std::vector<sql::Statement> statements;
  for (const Template& each : templates) statements.push_back(each.with(all));
  run(std::move(statements), true, [this, &templates, sent = BootClock::now(), ttl, done = std::move(done)](sql::Outcome outcome) mutable {
    if (auto* fault = std::get_if<Fault>(&outcome)) return done(std::move(*fault));
    const auto& rows = std::get<sql::Result>(outcome).rows;
    Kept kept;
    for (std::size_t i = 0; i + 1 < rows.size(); ++i) kept.ok = kept.ok || (templates[i].changes() && rows[i].affected > 0);
    kept.count = integer(row(rows.back(), 0)[0]);
    kept.newest = integer(row(rows.back(), 0)[1]);
    kept.until = safe(sent, ttl);
    done(kept);
  });
}

void SqlStore::release(Lease lease, UniqueFunction<void(Change)> done) {
  change(statements_.release, {{"name", std::move(lease.name)}, {"owner", std::move(lease.owner)}, {"token", lease.token}}, milliseconds(0), std::move(done));
}

void SqlStore::renew(Lease lease, milliseconds ttl, UniqueFunction<void(Change)> done) {
  change(statements_.renew, {{"name", std::move(lease.name)}, {"owner", std::move(lease.owner)}, {"token", lease.token}, {"ttl", ttl.count()}}, ttl, std::move(done));
}

void SqlStore::force_release(std::string name, UniqueFunction<void(Listing)> done) {
  const Value::Struct all{{"name", name}, {"epoch", first_token(options_.epoch)}, {"most", kHoldersTold}};
  std::vector<sql::Statement> statements;
  for (const Template& each : statements_.force) statements.push_back(each.with(all));
  run(std::move(statements), true, [name = std::move(name), done = std::move(done)](sql::Outcome outcome) mutable {
    if (auto* fault = std::get_if<Fault>(&outcome)) return done(std::move(*fault));
    const auto& rows = std::get<sql::Result>(outcome).rows;
    Lock lock{std::move(name), integer(row(rows.back(), 0)[0]), {}};
    for (std::size_t i = 0; i < rows.front().rows.size(); ++i) lock.holders.push_back(holder(row(rows.front(), i)));
    done(std::vector{std::move(lock)});
  });
}

void SqlStore::inspect(std::string name, UniqueFunction<void(Listing)> done) {
  std::vector<sql::Statement> statements;
  statements.push_back(statements_.inspect.with({{"name", name}, {"most", kHoldersTold}}));
  run(std::move(statements), false, [name = std::move(name), done = std::move(done)](sql::Outcome outcome) mutable {
    if (auto* fault = std::get_if<Fault>(&outcome)) return done(std::move(*fault));
    auto found = locks(std::get<sql::Result>(outcome).rows.front());
    if (found.empty()) found.push_back({std::move(name), 0, {}});
    done(std::move(found));
  });
}

void SqlStore::list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)> done) {
  const std::string last = prefix + "\xF4\x8F\xBF\xBF";  // the last code point there is
  std::vector<sql::Statement> statements;
  statements.push_back(statements_.list.with({{"from", std::move(prefix)}, {"to", last}, {"most", most}}));
  run(std::move(statements), false, [done = std::move(done)](sql::Outcome outcome) mutable {
    if (auto* fault = std::get_if<Fault>(&outcome)) return done(std::move(*fault));
    done(locks(std::get<sql::Result>(outcome).rows.front()));
  });
}

std::unique_ptr<LeaseStore::Watch> SqlStore::watch(std::string name, UniqueFunction<void()> freed) { return std::make_unique<Watcher>(*this, std::move(name), std::move(freed)); }

}  // namespace sluice::lock
