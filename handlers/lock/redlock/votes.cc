#include "handlers/lock/redlock/votes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace sluice::lock {
namespace {

std::size_t majority(std::size_t masters) { return masters / 2 + 1; }

template <class V>
std::size_t count(const std::vector<V>& votes, typename V::Kind kind) {
  return static_cast<std::size_t>(std::ranges::count(votes, kind, &V::kind));
}

// Who is still waited for: those that are not silent, or everyone when they are too few.
template <class V>
std::size_t expected(const std::vector<V>& votes, std::size_t needed) {
  const std::size_t silent = count(votes, V::Kind::silent), none = count(votes, V::Kind::none);
  return votes.size() - silent >= needed ? none : none + silent;
}

// Of the entries that masters keep: those that enough have, and those that enough may have, as far as is known. Others were never
// granted, or given back: whoever is to take them out is on his way.
struct Living {
  Entries certain, possible;
  std::size_t size() const { return certain.size() + possible.size(); }
};
Living living(const std::vector<const Entries*>& kept, const std::vector<const Entries*>& gone, std::size_t needed, std::size_t unheard) {
  std::map<std::string_view, std::size_t> with;
  for (const Entries* entries : kept)
    for (const std::string& entry : *entries) ++with[entry];
  Living living;
  if (with.empty()) return living;
  for (const Entries* entries : gone)
    for (const std::string& entry : *entries) with.erase(entry);
  for (const auto& [entry, masters] : with)
    if (masters + unheard >= needed) (masters >= needed ? living.certain : living.possible).emplace_back(entry);
  return living;
}

// As long as `needed` masters keep it.
milliseconds kept_by(std::vector<milliseconds> left, std::size_t needed) {
  std::ranges::sort(left, std::greater{});
  return left[std::min(needed, left.size()) - 1];
}

struct Agreement {
  Agreed lease;
  bool said_by_enough = false;
  bool doubtful = false;  // a master that was not heard yet may know better
};

// What it comes to for one name. `unheard`: how many masters may know more.
Agreement agree(const std::vector<const GrantVote*>& votes, std::size_t needed, std::int64_t slots, std::size_t unheard) {
  std::vector<const Entries*> kept, gone;
  for (const GrantVote* vote : votes) kept.push_back(&vote->others), gone.push_back(&vote->gone);
  const Living all = living(kept, gone, needed, unheard);
  const auto in = [](const Entries& entries, const std::string& entry) { return std::ranges::find(entries, entry) != entries.end(); };
  const auto lives = [&](const std::string& entry) { return in(all.certain, entry) || in(all.possible, entry); };
  // A lease of which nothing lives is one that this master has still to hear the end of, or that was never granted.
  const auto goes = [&](const GrantVote* vote) { return vote->existed && (vote->again || std::ranges::any_of(vote->others, lives)); };

  Token held = 0, fresh = 0, past = 0, ended = 0;
  for (const GrantVote* vote : votes) {
    Token& token = goes(vote) ? held : fresh;
    token = std::max(token, vote->token);
    past = std::max(past, vote->before);
    ended = std::max(ended, vote->ended);
  }
  const auto with = [&](Token token) { return static_cast<std::size_t>(std::ranges::count(votes, token, &GrantVote::token)); };
  for (const GrantVote* vote : votes)
    if (goes(vote) && with(vote->token) >= needed) held = vote->token;

  Agreement agreement;
  Agreed& lease = agreement.lease;
  // A lease that too few still know of is taken up if nobody was granted the lock since, as those who voted would know: some master of
  // any majority is among them.
  const bool nobody_since = slots != kExclusive || (held >= past && held >= ended);
  lease.goes_on = held != 0 && (with(held) >= needed || (with(held) + unheard >= needed && nobody_since));
  lease.token = lease.goes_on ? held : std::max({fresh, past + 1, ended + 1});
  std::set<std::string_view> entries;
  std::vector<milliseconds> left;
  for (const GrantVote* vote : votes) {
    left.push_back(vote->left);
    if (lease.goes_on && vote->token == held)
      for (const std::string& entry : vote->others)
        if (lives(entry)) entries.insert(entry);
    agreement.doubtful |= goes(vote) && vote->token != lease.token;
  }
  lease.count = 1 + static_cast<std::int64_t>(entries.size());
  lease.left = kept_by(std::move(left), needed);
  agreement.doubtful |= std::ranges::any_of(all.possible, [&](const std::string& entry) { return entries.contains(entry); });
  agreement.said_by_enough = with(lease.token) >= needed;
  return agreement;
}

// Who is in the way at most masters, and when enough of those that answered will be free of him.
Held in_the_way(const std::vector<Vote>& votes, std::size_t needed, std::size_t answered) {
  std::map<std::pair<Held::Reason, std::string>, std::size_t> seen;
  const Vote* most = nullptr;
  std::size_t most_seen = 0;
  std::vector<milliseconds> remaining;
  for (const Vote& vote : votes) {
    if (vote.kind != Vote::Kind::held) continue;
    const std::size_t now = ++seen[{vote.held.reason, vote.held.holder.owner}];
    // Of as many: that he himself is in the way.
    if (now > most_seen || (now == most_seen && vote.held.reason == Held::Reason::other_mode)) most = &vote, most_seen = now;
    remaining.push_back(vote.held.holder.remaining);
  }
  std::ranges::sort(remaining, std::greater{});
  Held held = most->held;
  const std::size_t may_stay = answered > needed ? answered - needed : 0;
  if (!held.holder.name.empty() && may_stay < remaining.size()) held.holder.remaining = remaining[may_stay];
  return held;
}

// Does one owner alone stand in the way at so many masters that none else can have enough?
bool held_by_one(const std::vector<Vote>& votes, std::size_t needed) {
  std::map<std::string, std::size_t> owners;
  for (const Vote& vote : votes)
    if (vote.kind == Vote::Kind::held && ++owners[vote.held.holder.owner] > votes.size() - needed) return true;
  return false;
}

}  // namespace

std::size_t needed(std::size_t masters, std::int64_t slots) {
  if (slots == kShared || slots == kExclusive) return majority(masters);
  const auto n = static_cast<std::int64_t>(masters), k = std::min(slots, n);  // n * k grants in all; k + 1 holders must not find enough
  return static_cast<std::size_t>(n * k / (k + 1) + 1);
}

Verdict count_votes(const std::vector<Vote>& votes, std::size_t needed, std::int64_t slots) {
  const std::size_t granted = count(votes, Vote::Kind::granted), held = count(votes, Vote::Kind::held), open = expected(votes, needed);
  const std::size_t late = count(votes, Vote::Kind::late), answered = granted + held + late;
  Verdict verdict;
  if (granted >= needed) {
    verdict.kind = Verdict::Kind::granted;
    bool doubtful = false;
    const auto first = std::ranges::find(votes, Vote::Kind::granted, &Vote::kind);
    for (std::size_t name = 0; name < first->grants.size(); ++name) {
      std::vector<const GrantVote*> each;
      for (const Vote& vote : votes)
        if (vote.kind == Vote::Kind::granted) each.push_back(&vote.grants[name]);
      const Agreement agreement = agree(each, needed, slots, votes.size() - answered);
      verdict.leases.push_back(agreement.lease);
      doubtful |= agreement.doubtful;
      if (!agreement.said_by_enough) verdict.kind = Verdict::Kind::unsettled;
    }
    if (doubtful && open > 0) return {};
    return verdict;
  }
  if (granted + open >= needed || (answered < majority(votes.size()) && open > 0)) return verdict;
  if (answered < majority(votes.size()) || held == 0) {
    verdict.kind = granted + late >= needed ? Verdict::Kind::outrun : Verdict::Kind::unavailable;
    return verdict;
  }
  verdict.held = in_the_way(votes, needed, answered);
  const bool clear = verdict.held.reason != Held::Reason::held || held_by_one(votes, needed) || granted == 0;
  verdict.kind = clear ? Verdict::Kind::held : Verdict::Kind::contested;
  return verdict;
}

namespace {

// Who answered a release or a renewal, and what those who keep the lease say is left of it.
struct Answers {
  explicit Answers(const std::vector<KeptVote>& votes) : masters(votes.size()) {
    std::int64_t slots = kExclusive;
    for (const KeptVote& vote : votes) {
      may_have |= vote.kind == KeptVote::Kind::absent ? vote.may_have : vote.kind != KeptVote::Kind::kept || vote.kept.ok;
      if (vote.kind != KeptVote::Kind::kept) continue;
      keeping.kept.newest = std::max(keeping.kept.newest, vote.kept.newest);
      ++(vote.kept.ok ? ok : no);
      if (vote.kept.ok && vote.slots > 0) slots = vote.slots;
    }
    enough = needed(masters, slots);
    open = expected(votes, enough);
    pending = count(votes, KeptVote::Kind::none) + count(votes, KeptVote::Kind::silent);
  }

  Living left_of(const std::vector<KeptVote>& votes, const std::string& but = {}) const {
    std::vector<const Entries*> kept, gone;
    const Entries taken{but};
    for (const KeptVote& vote : votes)
      if (vote.kind == KeptVote::Kind::kept) kept.push_back(&vote.left), gone.push_back(&vote.gone);
    gone.push_back(&taken);
    return living(kept, gone, enough, masters - ok - no);
  }

  // It was done; undecided while one that was not heard yet may tell better what is left.
  Keeping done(Living left, std::string entry = {}) && {
    if (!left.possible.empty() && open > 0) return {};
    keeping.kind = Keeping::Kind::kept;
    keeping.kept.ok = true;
    keeping.kept.count = static_cast<std::int64_t>(left.size());
    keeping.entry = std::move(entry);
    keeping.certain = std::move(left.certain);
    return std::move(keeping);
  }
  Keeping not_held() && {
    keeping.kind = Keeping::Kind::kept;
    return std::move(keeping);
  }
  // Nothing can be decided without those that are silent.
  Keeping too_few() && {
    if (pending == 0) keeping.kind = may_have ? Keeping::Kind::unknown : Keeping::Kind::unavailable;
    return std::move(keeping);
  }

  const std::size_t masters;
  std::size_t ok = 0, no = 0, enough = 0, open = 0, pending = 0;
  bool may_have = false;
  Keeping keeping;
};

}  // namespace

Keeping count_kept(const std::vector<KeptVote>& votes) {
  Answers answers(votes);
  if (answers.no > answers.masters - answers.enough) return std::move(answers).not_held();
  if (answers.ok < answers.enough) return std::move(answers).too_few();
  Living left = answers.left_of(votes);
  return std::move(answers).done(std::move(left));
}

Keeping count_released(const std::vector<KeptVote>& votes, const std::string& named, std::size_t taken) {
  Answers answers(votes);
  if (answers.no > answers.masters - answers.enough) return std::move(answers).not_held();
  std::map<std::string, std::size_t> out;
  for (const KeptVote& vote : votes)
    if (!vote.taken.empty()) ++out[vote.taken];
  std::string entry = named;
  for (const auto& [each, masters] : out)
    if (entry.empty() || (named.empty() && masters > out[entry])) entry = each;
  const std::size_t mine = entry.empty() ? 0 : out[entry] + taken;
  // Where another release took it out, and where it still is. What this one took out when it was asked before looks as if another had.
  std::size_t others = 0, keep = 0;
  for (const KeptVote& vote : votes) {
    others += vote.taken != entry && std::ranges::find(vote.gone, entry) != vote.gone.end();
    keep += std::ranges::find(vote.left, entry) != vote.left.end();
  }
  others -= std::min(others, taken);

  // All who keep the lease take note of a name, so that it is given back wherever it may be.
  const bool noted = !named.empty() && answers.ok >= answers.enough;
  if (mine >= answers.enough || (noted && mine > 0 && others == 0)) {
    Living left = answers.left_of(votes, entry);
    return std::move(answers).done(std::move(left), std::move(entry));
  }
  const bool may_be = mine + answers.open >= answers.enough && (named.empty() || mine + others > 0);
  if (answers.ok < answers.enough || (answers.open > 0 && may_be)) {
    answers.may_have |= mine > 0;
    Keeping keeping = std::move(answers).too_few();
    if (mine > 0) keeping.entry = std::move(entry);
    return keeping;
  }
  // Too few know which entry began the lease, or another release was faster.
  const Living left = answers.left_of(votes, entry);
  Keeping keeping = answers.keeping;
  keeping.kind = Keeping::Kind::another;
  if (named.empty() && mine > 0 && others == 0 && mine + keep + answers.masters - answers.ok - answers.no >= answers.enough)
    keeping.entry = std::move(entry);
  else if (left.size() > 0)
    keeping.entry = left.certain.empty() ? left.possible.front() : left.certain.front();
  else
    return std::move(answers).not_held();
  return keeping;
}

Lock merge(std::string name, std::size_t masters, const std::vector<Seen>& looks) {
  Lock merged{std::move(name), 0, {}};
  std::map<std::pair<std::string, Token>, std::vector<const std::pair<Holder, Entries>*>> seen;
  std::vector<const Entries*> kept, gone;
  for (const Seen& look : looks) {
    merged.newest = std::max(merged.newest, look.newest);
    gone.push_back(&look.gone);
    for (const auto& each : look.holders) {
      seen[{each.first.owner, each.first.token}].push_back(&each);
      kept.push_back(&each.second);
    }
  }
  const std::size_t unheard = masters - looks.size();
  for (const auto& [who, holders] : seen) {
    Holder holder = holders.front()->first;
    const std::size_t enough = needed(masters, holder.slots);
    const Living all = living(kept, gone, enough, unheard);
    std::set<std::string_view> entries;
    std::vector<milliseconds> left;
    for (const auto* each : holders) {
      holder.held = std::max(holder.held, each->first.held);
      left.push_back(each->first.remaining);
      for (const Entries* living : {&all.certain, &all.possible})
        for (const std::string& entry : *living)
          if (std::ranges::find(each->second, entry) != each->second.end()) entries.insert(entry);
    }
    if (holders.size() + unheard < enough || entries.empty()) continue;
    holder.count = static_cast<std::int64_t>(entries.size());
    holder.remaining = kept_by(std::move(left), enough);
    merged.holders.push_back(std::move(holder));
  }
  std::ranges::sort(merged.holders, {}, &Holder::remaining);
  return merged;
}

}  // namespace sluice::lock
