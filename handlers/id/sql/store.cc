#include "handlers/id/sql/store.h"

#include <algorithm>
#include <fstream>

#include "handlers/id/file_identity.h"

namespace sluice::id {
namespace {

std::int64_t integer(const Value& value) {
  const auto* integer = value.get_if<std::int64_t>();
  return integer ? *integer : 0;
}
std::string text(const Value& value) {
  const auto* text = value.get_if<std::string>();
  return text ? *text : std::string();
}
const Value::Array* row(const sql::Outcome& outcome) {
  const auto* result = std::get_if<sql::Result>(&outcome);
  if (!result || result->rows.empty() || result->rows.back().rows.empty()) return nullptr;
  return result->rows.back().rows.front().get_if<Value::Array>();
}
// A caller of ids knows nothing of statements: that the database is busy is the store's being away.
bool is_busy(const Fault& fault) {
  if (codes(fault.kind()).retryable || fault.kind() == Fault::Kind::outcome_unknown) return true;  // all operations are safe to repeat
  return std::ranges::any_of(fault.detail(), [](const auto& each) { return each.first == "sqlite" && (each.second == Value("SQLITE_BUSY") || each.second == Value("SQLITE_LOCKED")); });
}
Fault fault_of(sql::Outcome& outcome) {
  if (auto* fault = std::get_if<Fault>(&outcome)) {
    if (!is_busy(*fault)) return std::move(*fault);
    return Fault(Fault::Kind::unavailable, "the store of ids: " + fault->message(), {{"retry_after_ms", fault->retry_after_ms().value_or(1000)}});
  }
  return Fault(Fault::Kind::internal, "the database answered the id store without the row it was asked for; this is a bug of the gateway's");
}

// With the parameters that the text names, of all there are.
sql::Statement statement(std::string text, const Value::Struct& all) {
  Value::Struct own;
  for (const auto& [name, value] : all) {
    for (auto at = text.find(":" + name); at != text.npos; at = text.find(":" + name, at + 1)) {
      const char after = at + name.size() + 1 < text.size() ? text[at + name.size() + 1] : ' ';
      if ((after >= 'a' && after <= 'z') || after == '_') continue;
      own.emplace_back(name, value);
      break;
    }
  }
  if (own.empty()) return {std::move(text), {}};
  return {std::move(text), Value(std::move(own))};
}

std::string boot_id(bool local) {
  if (!local) return "";
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

std::string named(std::string text, const std::string& name) {
  if (const auto at = text.find("{name}"); at != text.npos) text.replace(at, 6, name);
  return text;
}

std::string sequence_name(const std::string& tag) { return "sluice_sequence_" + tag; }

}  // namespace

SqlStore::SqlStore(sql::Backend& backend, Loop& home, Options options) : backend_(backend), home_(home), options_(std::move(options)), statements_(statements_of(backend.dialect())) {
  if (!options_.file.empty()) top_ = std::make_unique<HighMark>(home, options_.file + "-marks", HighMark::Sharing::shared);
}

// Answers when what a change came to is in the file beside the store's.
template <class Outcome>
void SqlStore::remember(const Value::Array& row, std::size_t changes_at, std::int64_t mark_ms, Outcome outcome, UniqueFunction<void(Outcome)> done) {
  if (!top_ || row.size() <= changes_at) return done(std::move(outcome));
  top_->raise({mark_ms, integer(row[changes_at])});
  top_->keep(std::move(outcome), std::move(done));
}

void SqlStore::send(std::vector<sql::Statement> statements, Done done) {
  sql::Errand::Job job{std::move(statements), {}, true};
  job.options.read_committed = true;
  job.options.timeout_ms = options_.limit_ms;
  job.options.level = sql::Level::primary;
  sql::Errand::run(backend_, home_, std::move(job), [alive = std::weak_ptr<bool>(alive_), done = std::move(done)](sql::Outcome outcome) mutable {
    if (!alive.expired()) done(std::move(outcome));
  });
}

void SqlStore::run(std::vector<sql::Statement> statements, Done done) {
  if (ready_) return send(std::move(statements), std::move(done));
  waiting_.push_back({std::move(statements), std::move(done)});
  if (!setting_up_) set_up();
}

void SqlStore::run(const std::vector<std::string>& texts, const Value::Struct& all, Done done) {
  std::vector<sql::Statement> statements;
  statements.reserve(texts.size());
  for (const std::string& each : texts) statements.push_back(statement(each, all));
  run(std::move(statements), std::move(done));
}

void SqlStore::set_up() {
  setting_up_ = true;
  const HighMark::Point past = top_ ? top_->point() : HighMark::Point{};
  const Value::Struct all{{"boot", boot_id(backend_.dialect() == "sqlite")}, {"identity", identity_of(options_.file)}, {"mark", past.mark_ms}, {"changes", past.changes}};
  std::vector<sql::Statement> setup;
  for (const std::string& each : statements_.setup) {
    if (options_.accept_copy && &each == &statements_.setup.back())
      for (const std::string& adopt : statements_.adopt) setup.push_back(statement(adopt, all));
    setup.push_back(statement(each, all));
  }
  send(std::move(setup), [this](sql::Outcome outcome) { set_up_done(outcome); });
}

void SqlStore::set_up_done(const sql::Outcome& outcome) {
  const auto* found = row(outcome);
  if (!found) {
    sql::Outcome copy = outcome;
    const Fault fault = fault_of(copy);
    return ready(&fault);
  }
  const std::string original = text(found->front()), own = identity_of(options_.file);
  if (original != own) {
    const Fault refused = copied(options_.file, original, own);
    return ready(&refused);
  }
  if (top_ && found->size() == 2 && integer((*found)[1]) < top_->point().changes) {
    const Fault refused = older(options_.file, integer((*found)[1]), top_->point().changes);
    return ready(&refused);
  }
  ready(nullptr);
}

void SqlStore::ready(const Fault* fault) {
  setting_up_ = false;
  ready_ = !fault;
  for (Waiting& each : std::exchange(waiting_, {})) {
    if (fault)
      each.done(*fault);
    else
      send(std::move(each.statements), std::move(each.done));
  }
}

void SqlStore::claim(Claim claim, UniqueFunction<void(Claimed)> done) {
  const Value::Struct all{{"space", claim.space},       {"layout", claim.layout},  {"gateway", claim.gateway},  {"instance", claim.instance},
                          {"workers", claim.workers},   {"floor", claim.floor_ms}, {"span", claim.window_ms}, {"lease", claim.lease_ms}};
  run(statements_.claim, all, [this, claim, done = std::move(done)](sql::Outcome outcome) mutable {
    const auto* found = row(outcome);
    if (!found || found->size() < 5) return done(fault_of(outcome));
    if (const std::string layout = text((*found)[0]); layout != claim.layout)
      return done(another_layout(claim, layout));
    if ((*found)[1].is_nil()) return done(Exhausted{std::max<std::int64_t>(integer((*found)[4]), 1)});
    const std::int64_t mark = integer((*found)[3]);
    remember(*found, 5, mark, Claimed(Tenure{integer((*found)[1]), integer((*found)[2]), mark - claim.window_ms, mark}), std::move(done));
  });
}

void SqlStore::keep(const std::vector<std::string>& texts, const Extend& extend, UniqueFunction<void(Extended)> done) {
  const Value::Struct all{{"space", extend.space},   {"gateway", extend.gateway}, {"instance", extend.instance}, {"worker", extend.worker},
                          {"epoch", extend.epoch}, {"mark", extend.mark_ms},    {"lease", extend.lease_ms}};
  run(texts, all, [this, mark = extend.mark_ms, done = std::move(done)](sql::Outcome outcome) mutable {
    const auto* found = row(outcome);
    if (!found) return done(fault_of(outcome));
    remember(*found, 1, mark, Extended(Kept{integer(found->front()) == 1}), std::move(done));
  });
}

void SqlStore::extend(Extend extend, UniqueFunction<void(Extended)> done) { keep(statements_.extend, extend, std::move(done)); }
void SqlStore::release(Extend extend, UniqueFunction<void(Extended)> done) { keep(statements_.release, extend, std::move(done)); }

void SqlStore::create(Tag tag, UniqueFunction<void(Creation)> done) {
  run(statements_.create, {{"tag", tag.name}, {"first", tag.start}, {"step", tag.step}, {"delta", tag.delta}}, [this, tag, done = std::move(done)](sql::Outcome outcome) mutable {
    const auto* found = row(outcome);
    if (!found || found->size() < 3) return done(fault_of(outcome));
    const bool created = std::get<sql::Result>(outcome).rows.front().affected > 0;
    remember(*found, 3, 0, Creation(Created{created, {tag.name, integer((*found)[2]), integer((*found)[0]), integer((*found)[1])}}), std::move(done));
  });
}

void SqlStore::reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)> done) {
  run(statements_.reserve, {{"tag", tag}, {"count", count}}, [this, tag, count, done = std::move(done)](sql::Outcome outcome) mutable {
    const auto* result = std::get_if<sql::Result>(&outcome);
    if (!result) return done(fault_of(outcome));
    const auto* found = row(outcome);
    if (!found) return done(unknown_tag(tag));
    if (result->rows.front().affected == 0) return done(spent_tag(tag, integer((*found)[0])));
    const std::int64_t step = integer((*found)[1]), delta = integer((*found)[2]), numbers = count == 0 ? step : count;
    remember(*found, 3, 0, Reserved(Segment{integer((*found)[0]) - delta * numbers, numbers, delta, step}), std::move(done));
  });
}

void SqlStore::sequence(std::string tag, UniqueFunction<void(Number)> done) {
  std::string name = sequence_name(tag);
  if (sequences_.contains(name)) return next_of(std::move(name), std::move(done));
  run({sql::Statement{named(statements_.make_sequence, name), {}}}, [this, name, done = std::move(done)](sql::Outcome outcome) mutable {
    if (std::holds_alternative<Fault>(outcome)) return done(fault_of(outcome));
    if (sequences_.size() == kSequencesKnown) sequences_.clear();
    sequences_.insert(name);
    next_of(std::move(name), std::move(done));
  });
}

void SqlStore::next_of(std::string name, UniqueFunction<void(Number)> done) {
  std::vector<sql::Statement> statements;
  for (const std::string& each : statements_.sequence) statements.push_back({named(each, name), {}});
  run(std::move(statements), [this, name, done = std::move(done)](sql::Outcome outcome) mutable {
    const auto* result = std::get_if<sql::Result>(&outcome);
    if (!result) {
      sequences_.erase(name);  // it may have been dropped
      return done(fault_of(outcome));
    }
    const auto* found = row(outcome);
    if (!found) return done(fault_of(outcome));
    if (!statements_.sequence_by_insert) return done(integer(found->front()));
    if (top_) {  // a second write for each would halve their number
      top_->raise({.mark_ms = 0, .changes = integer(found->front())});
      top_->keep_later();
    }
    done(result->rows.front().last_insert_id);
  });
}

}  // namespace sluice::id
