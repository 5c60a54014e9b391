#include "handlers/lock/redlock/votes.h"

#include <algorithm>
#include <functional>
#include <map>

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

// What most say; of as many the higher, since a lease is rather held for too long. A master that missed something counts otherwise.
std::pair<std::int64_t, std::size_t> most_say(const std::map<std::int64_t, std::size_t>& counts) {
  std::pair<std::int64_t, std::size_t> best{0, 0};
  for (const auto& each : counts)
    if (each.second >= best.second) best = each;
  return best;
}

// As long as `needed` masters keep it.
milliseconds kept_by(std::vector<milliseconds> left, std::size_t needed) {
  std::ranges::sort(left, std::greater{});
  return left[std::min(needed, left.size()) - 1];
}

// The token and count of one name, and whether enough masters say just that. `unheard`: how many masters may know more.
std::pair<Agreed, bool> agree(const std::vector<const GrantVote*>& votes, std::size_t needed, std::int64_t slots, std::size_t unheard) {
  Token held = 0, fresh = 0, past = 0, ended = 0;
  for (const GrantVote* vote : votes) {
    Token& token = vote->existed ? held : fresh;
    token = std::max(token, vote->token);
    past = std::max(past, vote->before);
    ended = std::max(ended, vote->ended);
  }
  auto with = [&](Token token) { return static_cast<std::size_t>(std::ranges::count(votes, token, &GrantVote::token)); };
  // A lease that too few still know of is taken up if nothing was granted or given back since, as those who voted would know: some
  // master of any majority is among them. Else it is one that a master kept because it missed the release; or, when the others were
  // heard and know nothing of it, an attempt that came to nothing, and that is yet to be taken back there.
  for (const GrantVote* vote : votes)
    if (vote->existed && with(vote->token) >= needed) held = vote->token;
  Agreed agreed;
  // Where one holder is alone, a later token that was given back shows so too, however many masters missed the release.
  const bool enough_know = with(held) >= needed && (slots != kExclusive || held > ended);
  agreed.goes_on = held != 0 && (enough_know || (with(held) + unheard >= needed && held >= past && held > ended));
  agreed.token = agreed.goes_on ? held : std::max({fresh, past + 1, ended + 1});
  std::vector<milliseconds> left;
  for (const GrantVote* vote : votes) {
    if (agreed.goes_on && vote->token == held) agreed.count = std::max(agreed.count, vote->count);
    left.push_back(vote->left);
  }
  agreed.left = kept_by(std::move(left), needed);
  const auto same = std::ranges::count_if(votes, [&](const GrantVote* vote) { return vote->token == agreed.token && vote->count == agreed.count; });
  return {agreed, static_cast<std::size_t>(same) >= needed};
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
  const std::size_t answered = granted + held;
  Verdict verdict;
  if (granted >= needed) {
    verdict.kind = Verdict::Kind::granted;
    bool doubtful = false;
    const auto first = std::ranges::find(votes, Vote::Kind::granted, &Vote::kind);
    for (std::size_t name = 0; name < first->grants.size(); ++name) {
      std::vector<const GrantVote*> each;
      for (const Vote& vote : votes)
        if (vote.kind == Vote::Kind::granted) each.push_back(&vote.grants[name]);
      const auto agreed = agree(each, needed, slots, votes.size() - answered);
      verdict.leases.push_back(agreed.first);
      if (agreed.second) continue;
      verdict.kind = Verdict::Kind::unsettled;
      // Masters that keep different leases of the owner's: one of them missed something, and who has not answered yet may know which.
      doubtful |= std::ranges::any_of(each, [&](const GrantVote* vote) { return vote->existed && vote->token != agreed.first.token; });
    }
    if (doubtful && open > 0) return {};
    return verdict;
  }
  if (granted + open >= needed || (answered < majority(votes.size()) && open > 0)) return verdict;
  if (answered < majority(votes.size()) || held == 0) {
    verdict.kind = Verdict::Kind::unavailable;
    return verdict;
  }
  verdict.held = in_the_way(votes, needed, answered);
  const bool clear = verdict.held.reason != Held::Reason::held || held_by_one(votes, needed) || granted == 0;
  verdict.kind = clear ? Verdict::Kind::held : Verdict::Kind::contested;
  return verdict;
}

Keeping count_kept(const std::vector<KeptVote>& votes) {
  std::size_t ok = 0, no = 0;
  std::int64_t slots = kExclusive;
  bool may_have = false;
  std::map<std::int64_t, std::size_t> counts;
  Keeping keeping;
  for (const KeptVote& vote : votes) {
    may_have |= vote.kind == KeptVote::Kind::absent ? vote.may_have : vote.kind != KeptVote::Kind::kept;
    if (vote.kind != KeptVote::Kind::kept) continue;
    keeping.kept.newest = std::max(keeping.kept.newest, vote.kept.newest);
    if (!vote.kept.ok) {
      ++no;
      continue;
    }
    ++ok;
    may_have = true;
    if (vote.slots > 0) slots = vote.slots;
    ++counts[vote.kept.count];
  }
  const std::size_t enough = needed(votes.size(), slots), open = expected(votes, enough);
  if (no > votes.size() - enough) {
    keeping.kind = Keeping::Kind::kept;
    return keeping;
  }
  const auto [said, by] = most_say(counts);
  if (by >= enough || (open == 0 && ok >= enough)) {
    keeping.kind = Keeping::Kind::kept;
    keeping.kept.ok = true;
    keeping.kept.count = said;
  } else if (open == 0) {
    keeping.kind = may_have ? Keeping::Kind::unknown : Keeping::Kind::unavailable;
  }
  return keeping;
}

Lock merge(std::string name, std::size_t masters, const std::vector<Lock>& looks) {
  Lock merged{std::move(name), 0, {}};
  std::map<std::pair<std::string, Token>, std::vector<const Holder*>> seen;
  for (const Lock& look : looks) {
    merged.newest = std::max(merged.newest, look.newest);
    for (const Holder& holder : look.holders) seen[{holder.owner, holder.token}].push_back(&holder);
  }
  for (const auto& [who, holders] : seen) {
    const std::size_t enough = needed(masters, holders.front()->slots);
    if (holders.size() + (masters - looks.size()) < enough) continue;
    Holder holder = *holders.front();
    std::vector<milliseconds> left;
    std::map<std::int64_t, std::size_t> counts;
    for (const Holder* each : holders) {
      ++counts[each->count];
      holder.held = std::max(holder.held, each->held);
      left.push_back(each->remaining);
    }
    holder.count = most_say(counts).first;
    holder.remaining = kept_by(std::move(left), enough);
    merged.holders.push_back(std::move(holder));
  }
  std::ranges::sort(merged.holders, {}, &Holder::remaining);
  return merged;
}

}  // namespace sluice::lock
