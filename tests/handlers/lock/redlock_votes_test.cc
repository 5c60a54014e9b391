// What masters of a Redlock say, and what it comes to: as tables. Each case is a state that real servers are seldom in.

#include "handlers/lock/redlock/votes.h"

#include <gtest/gtest.h>

namespace sluice::lock {
namespace {

using V = Verdict::Kind;

Vote none() { return {Vote::Kind::none, {}, {}}; }
Vote silent() { return {Vote::Kind::silent, {}, {}}; }
Vote absent() { return {Vote::Kind::absent, {}, {}}; }
Vote late() { return {Vote::Kind::late, {}, {}}; }
Vote fresh(Token token, Token before = 0, Token ended = 0, Entries gone = {}) {
  return {Vote::Kind::granted, {{token, milliseconds(1000), false, false, before, ended, {}, std::move(gone)}}, {}};
}
Vote existed(Token token, Entries others, Token before = 0, Token ended = 0, Entries gone = {}) {
  return {Vote::Kind::granted, {{token, milliseconds(1000), true, false, before == 0 ? token : before, ended, std::move(others), std::move(gone)}}, {}};
}
Vote held(const std::string& owner, int remaining = 500, Held::Reason reason = Held::Reason::held) {
  Vote vote{Vote::Kind::held, {}, {reason, {}}};
  vote.held.holder.name = "a";
  vote.held.holder.owner = owner;
  vote.held.holder.remaining = milliseconds(remaining);
  return vote;
}

struct Case {
  const char* what;
  std::vector<Vote> votes;
  V verdict;
  Token token = 0;  // of granted and unsettled
  std::int64_t count = 1;
};

TEST(RedlockVotes, AMajorityGrantsAndTheRestIsNotWaitedFor) {
  const Case cases[] = {
      {"nobody answered yet", {none(), none(), none()}, V::undecided},
      {"one granted", {fresh(7), none(), none()}, V::undecided},
      {"two of three granted the same", {fresh(7), none(), fresh(7)}, V::granted, 7},
      {"two granted, one is dead", {absent(), fresh(7), fresh(7)}, V::granted, 7},
      {"all granted, one knew a higher token", {fresh(7), fresh(9, 8), fresh(7)}, V::unsettled, 9},
      {"two granted otherwise", {fresh(9, 8), fresh(7), none()}, V::unsettled, 9},
      {"three of five", {fresh(7), absent(), fresh(7), absent(), fresh(7)}, V::granted, 7},
      {"two of five", {fresh(7), absent(), fresh(7), absent(), none()}, V::undecided},
      {"two of five and no more", {fresh(7), absent(), fresh(7), absent(), absent()}, V::unavailable},
  };
  for (const Case& each : cases) {
    const Verdict verdict = count_votes(each.votes, needed(each.votes.size(), kExclusive), kExclusive);
    EXPECT_EQ(verdict.kind, each.verdict) << each.what;
    if (each.token != 0) {
      ASSERT_EQ(verdict.leases.size(), 1u) << each.what;
      EXPECT_EQ(verdict.leases[0].token, each.token) << each.what;
      EXPECT_EQ(verdict.leases[0].count, 1) << each.what;
    }
  }
}

TEST(RedlockVotes, WhatStandsInTheWay) {
  const Case cases[] = {
      {"two say it is held", {held("B"), none(), held("B")}, V::held},
      {"held at one, two have not answered", {held("B"), none(), none()}, V::undecided},
      {"held at one, granted by one: the third decides", {held("B"), fresh(7), none()}, V::undecided},
      {"held at one, granted by one, the third is dead", {held("B"), fresh(7), absent()}, V::contested},
      {"each has another's vote", {held("B"), held("C"), fresh(7)}, V::contested},
      {"held by one at two", {held("B"), held("B"), fresh(7)}, V::held},
      {"held by two, granted by none", {held("B"), held("C"), absent()}, V::held},
      {"two are dead", {fresh(7), absent(), absent()}, V::unavailable},
      {"two are dead, the third says held", {held("B"), absent(), absent()}, V::unavailable},
      {"the first that answer are dead", {held("B"), absent(), none()}, V::undecided},
      {"all are dead", {absent(), absent(), absent()}, V::unavailable},
      {"not his own: nobody asks again", {held("B", 500, Held::Reason::not_yours), held("C", 500, Held::Reason::not_yours), fresh(7)}, V::held},
  };
  for (const Case& each : cases) EXPECT_EQ(count_votes(each.votes, 2, kExclusive).kind, each.verdict) << each.what;
}

TEST(RedlockVotes, NobodyWaitsForAMasterThatIsSilent) {
  const Case cases[] = {
      {"split among the two that speak", {held("B"), fresh(7), silent()}, V::contested},
      {"too few speak: then it is waited for", {fresh(7), silent(), silent()}, V::undecided},
      {"two are silent, the third is dead", {absent(), silent(), silent()}, V::undecided},
      {"one is silent, one dead: no majority without it", {fresh(7), silent(), absent()}, V::unavailable},
  };
  for (const Case& each : cases) EXPECT_EQ(count_votes(each.votes, 2, kExclusive).kind, each.verdict) << each.what;
}

TEST(RedlockVotes, AnOwnerGoesOnWithHisTokenUnlessItWasGivenBack) {
  const Case cases[] = {
      {"held at two", {existed(5, {"a"}), existed(5, {"a"}), none()}, V::granted, 5, 2},
      {"held at two, of which one missed an entry, and the third knows", {existed(5, {"a", "b"}), existed(5, {"a"}), none()}, V::undecided},
      {"held at two, of which one missed an entry, and the third has it", {existed(5, {"a", "b"}), existed(5, {"a"}), existed(5, {"a", "b"})}, V::granted, 5, 3},
      {"held at two, of which one missed an entry, and the third is dead", {existed(5, {"a", "b"}), existed(5, {"a"}), absent()}, V::granted, 5, 3},
      {"each entry is at two, and no two have the same", {existed(5, {"a", "b"}), existed(5, {"b", "c"}), existed(5, {"a", "c"})}, V::granted, 5, 4},
      {"an entry that came to nothing is still at one", {existed(5, {"a", "x"}), existed(5, {"a"}), existed(5, {"a"})}, V::granted, 5, 2},
      {"an entry that was given back is still at one", {existed(5, {"a", "x"}), existed(5, {"a"}, 0, 0, {"x"}), absent()}, V::granted, 5, 2},
      {"held at two of three", {existed(5, {"a"}), fresh(9, 4), existed(5, {"a"})}, V::granted, 5, 2},
      {"one knows, the other had not heard of it: it is told", {existed(5, {"a"}), fresh(9, 4), absent()}, V::unsettled, 5, 2},
      {"one kept it, and others were granted since", {existed(5, {"a"}), fresh(9, 8), absent()}, V::unsettled, 9, 1},
      {"one kept it, and it was given back since", {existed(5, {"a"}), fresh(9, 5, 5, {"a"}), absent()}, V::unsettled, 9, 1},
      {"an entry of it was given back where that was the only one", {existed(5, {"a", "b"}), fresh(9, 5, 5, {"a"}), absent()}, V::unsettled, 5, 2},
      {"two keep different ones, and the third knows which", {existed(5, {"a"}), existed(9, {"b"}), existed(5, {"a"})}, V::granted, 5, 2},
      {"one kept it, two know better", {existed(5, {"a"}), fresh(9, 8), fresh(9, 8)}, V::granted, 9, 1},
      {"two kept it, and the third knows that it was given back", {existed(5, {"a"}), fresh(9, 5, 5, {"a"}), existed(5, {"a"})}, V::unsettled, 9, 1},
      {"two kept different ones that were given back", {existed(5, {"a"}, 5, 6, {"b"}), existed(6, {"b"}, 6, 5, {"a"}), absent()}, V::unsettled, 7, 1},
      {"two keep it, and the third knows a later one of nobody's", {existed(5, {"a"}), fresh(9, 8, 8, {"x"}), existed(5, {"a"})}, V::granted, 5, 2},
  };
  for (const Case& each : cases) {
    const Verdict verdict = count_votes(each.votes, 2, kExclusive);
    EXPECT_EQ(verdict.kind, each.verdict) << each.what;
    if (each.verdict == V::undecided) continue;
    ASSERT_EQ(verdict.leases.size(), 1u) << each.what;
    EXPECT_EQ(verdict.leases[0].token, each.token) << each.what;
    EXPECT_EQ(verdict.leases[0].count, each.count) << each.what;
  }
}

// The third master read the request of an entry, a, when that was given back, and before the owner's next one.
TEST(RedlockVotes, AnEntryThatAMasterReadTooLateIsNotCounted) {
  const Vote stale = existed(6, {"a"}), heard = fresh(9, 5, 5, {"a"});
  EXPECT_EQ(count_votes({heard, none(), stale}, 2, kExclusive).leases.at(0).count, 1);
  EXPECT_EQ(count_votes({heard, none(), stale}, 2, kExclusive).leases.at(0).token, 9);
  EXPECT_EQ(count_votes({heard, heard, stale}, 2, kExclusive).kind, V::granted);
}

TEST(RedlockVotes, ARequestThatIsRepeatedKeepsItsToken) {
  Vote again = existed(5, {});
  again.grants[0].again = true;
  const Verdict verdict = count_votes({again, again, none()}, 2, kExclusive);
  EXPECT_EQ(verdict.kind, V::granted);
  EXPECT_EQ(verdict.leases.at(0).token, 5);
  EXPECT_EQ(verdict.leases.at(0).count, 1);
}

TEST(RedlockVotes, WhoWasOvertakenAsksAgain) {
  EXPECT_EQ(count_votes({late(), none(), none()}, 2, kExclusive).kind, V::undecided);
  EXPECT_EQ(count_votes({late(), late(), none()}, 2, kExclusive).kind, V::outrun);
  EXPECT_EQ(count_votes({late(), fresh(7), none()}, 2, kExclusive).kind, V::undecided);
  EXPECT_EQ(count_votes({late(), fresh(7), fresh(7)}, 2, kExclusive).kind, V::granted);
  EXPECT_EQ(count_votes({late(), fresh(7), absent()}, 2, kExclusive).kind, V::outrun);
  EXPECT_EQ(count_votes({late(), absent(), absent()}, 2, kExclusive).kind, V::unavailable);
  EXPECT_EQ(count_votes({late(), held("B"), held("B")}, 2, kExclusive).kind, V::held);
}

TEST(RedlockVotes, OfALockForSeveralALaterTokenThatOthersGaveBackSaysNothing) {
  const Verdict verdict = count_votes({existed(5, {"a"}, 9, 9), existed(5, {"a"}, 9, 9), none()}, 2, kShared);
  EXPECT_EQ(verdict.kind, V::granted);
  EXPECT_EQ(verdict.leases.at(0).token, 5);
}

TEST(RedlockVotes, WhoKeepsDifferentLeasesOfAnOwnerWaitsForTheThird) {
  EXPECT_EQ(count_votes({existed(5, {"a"}), existed(9, {"b"}), none()}, 2, kExclusive).kind, V::undecided);
  EXPECT_EQ(count_votes({existed(5, {"a"}), existed(9, {"b"}), silent()}, 2, kExclusive).kind, V::unsettled);
  EXPECT_EQ(count_votes({held("A", 500, Held::Reason::other_mode), held("B"), none()}, 2, kExclusive).held.reason, Held::Reason::other_mode);
  EXPECT_EQ(count_votes({held("B"), held("A", 500, Held::Reason::other_mode), none()}, 2, kExclusive).held.reason, Held::Reason::other_mode);
}

TEST(RedlockVotes, ALeaseLastsAsLongAsEnoughKeepIt) {
  std::vector<Vote> votes{fresh(7), fresh(7), fresh(7)};
  for (std::size_t i = 0; i < 3; ++i) votes[i].grants[0].left = milliseconds(100 * (i + 1));
  EXPECT_EQ(count_votes(votes, 2, kExclusive).leases.at(0).left, milliseconds(200));
  votes[2] = none();
  EXPECT_EQ(count_votes(votes, 2, kExclusive).leases.at(0).left, milliseconds(100));
}

TEST(RedlockVotes, AHolderIsInTheWayUntilEnoughAreFreeOfHim) {
  EXPECT_EQ(count_votes({held("B", 300), held("B", 100), held("B", 200)}, 2, kExclusive).held.holder.remaining, milliseconds(200));
  EXPECT_EQ(count_votes({held("B", 300), held("B", 100), absent()}, 2, kExclusive).held.holder.remaining, milliseconds(300));
}

// k + 1 holders must never find enough masters that let k in each.
TEST(RedlockVotes, CountedLocksNeedMoreThanAMajority) {
  EXPECT_EQ(needed(3, kExclusive), 2u);
  EXPECT_EQ(needed(5, kExclusive), 3u);
  EXPECT_EQ(needed(3, kShared), 2u);
  EXPECT_EQ(needed(3, 2), 3u);
  EXPECT_EQ(needed(5, 2), 4u);
  EXPECT_EQ(needed(5, 100), 5u);
  for (const std::size_t masters : {3u, 5u, 7u})
    for (std::int64_t slots = 2; slots < 10; ++slots) {
      const auto grants = static_cast<std::int64_t>(masters) * slots, enough = static_cast<std::int64_t>(needed(masters, slots));
      EXPECT_LT(grants, enough * (slots + 1)) << masters << " masters, " << slots << " slots";
      EXPECT_GE(enough, static_cast<std::int64_t>(needed(masters, kExclusive)));
    }
}

KeptVote kept(Entries left, std::string taken = {}, Entries gone = {}) {
  return {KeptVote::Kind::kept, {true, static_cast<std::int64_t>(left.size()), {}, 5}, kExclusive, false, std::move(left), std::move(gone), std::move(taken)};
}
KeptVote not_held() { return {KeptVote::Kind::kept, {false, 0, {}, 6}, 0, false, {}, {}, {}}; }
KeptVote no_answer() { return {}; }
KeptVote silent_keeper() { return {KeptVote::Kind::silent, {}, 0, false, {}, {}, {}}; }
KeptVote dead() { return {KeptVote::Kind::absent, {}, 0, false, {}, {}, {}}; }
KeptVote cut_off() { return {KeptVote::Kind::absent, {}, 0, true, {}, {}, {}}; }

using K = Keeping::Kind;

TEST(RedlockVotes, ARenewalIsWhatEnoughAgreeAbout) {
  const struct {
    const char* what;
    std::vector<KeptVote> votes;
    K kind;
    bool ok = false;
    std::int64_t count = 0;
  } cases[] = {
      {"one answered", {kept({"a"}), no_answer(), no_answer()}, K::undecided},
      {"two agree", {kept({"a"}), no_answer(), kept({"a"})}, K::kept, true, 1},
      {"two do not: the third is asked", {kept({"a"}), kept({"a", "b"}), no_answer()}, K::undecided},
      {"one missed a release", {kept({"a"}), kept({"a", "b"}), kept({"a"})}, K::kept, true, 1},
      {"two do not, and the third is dead", {kept({"a"}), kept({"a", "b"}), dead()}, K::kept, true, 2},
      {"two know nothing of it", {not_held(), no_answer(), not_held()}, K::kept, false},
      {"one was emptied", {not_held(), kept({"a"}), kept({"a"})}, K::kept, true, 1},
      {"one was emptied, one is dead: nobody can tell", {not_held(), kept({"a"}), dead()}, K::unknown},
      {"one was emptied, one is silent: it is waited for", {not_held(), kept({"a"}), silent_keeper()}, K::undecided},
      {"two are dead, and one did it", {kept({"a"}), dead(), dead()}, K::unknown},
      {"all were dead", {dead(), dead(), dead()}, K::unavailable},
      {"two did not answer", {dead(), cut_off(), cut_off()}, K::unknown},
  };
  for (const auto& each : cases) {
    const Keeping keeping = count_kept(each.votes);
    EXPECT_EQ(keeping.kind, each.kind) << each.what;
    if (each.kind != K::kept) continue;
    EXPECT_EQ(keeping.kept.ok, each.ok) << each.what;
    EXPECT_EQ(keeping.kept.count, each.count) << each.what;
    EXPECT_EQ(keeping.kept.newest, each.ok && each.votes[0].kept.ok ? 5 : 6) << each.what;
  }
}

TEST(RedlockVotes, AReleaseGivesBackOneEntryAtEnoughMasters) {
  const struct {
    const char* what;
    std::vector<KeptVote> votes;
    K kind;
    std::string entry = {};
    std::int64_t count = 0;
    std::string named = {};
    std::size_t taken = 0;
    bool ok = true;
  } cases[] = {
      {"one answered", {kept({}, "a"), no_answer(), no_answer()}, K::undecided},
      {"two gave back the first", {kept({}, "a"), no_answer(), kept({}, "a")}, K::kept, "a", 0},
      {"of two entries", {kept({"b"}, "a"), no_answer(), kept({"b"}, "a")}, K::kept, "a", 1},
      {"one keeps another, of which the third can tell", {kept({"b"}, "a"), no_answer(), kept({}, "a")}, K::undecided},
      {"one keeps another that was given back before", {kept({"b"}, "a"), silent_keeper(), kept({}, "a", {"b"})}, K::kept, "a", 0},
      {"one had not got the first", {kept({"b"}, "a"), kept({"b"}), dead()}, K::another, "a"},
      {"... and is told of it", {kept({"b"}, "", {"a"}), kept({"b"}), dead()}, K::kept, "a", 1, "a", 1},
      {"two were given the lease by a renewal, and do not know that it is the first", {kept({}, "a"), kept({"a"}), kept({"a"})}, K::another, "a"},
      {"... and take it out", {not_held(), kept({}, "a"), kept({}, "a")}, K::kept, "a", 0, "a", 1},
      {"the first was only at one: it had come to nothing", {kept({"b"}, "a"), kept({"b"}), kept({"b"})}, K::another, "b"},
      {"the first is gone already: another is named", {kept({"b", "c"}, "", {"a"}), kept({"c"}, "", {"a"}), no_answer()}, K::another, "c"},
      {"it is taken out", {kept({"b"}, "c", {"a"}), kept({"b"}, "c", {"a"}), no_answer()}, K::kept, "c", 1, "c"},
      {"one had not got it, and takes note", {kept({"b"}, "c", {"a"}), kept({"b"}, "", {"a"}), no_answer()}, K::kept, "c", 1, "c"},
      {"another release was faster", {kept({"b"}, "", {"c"}), kept({"b"}, "", {"c"}), no_answer()}, K::another, "b", 0, "c"},
      {"another release was faster, but for one master", {kept({"b"}, "", {"c"}), kept({"b"}, "c"), kept({"b"}, "", {"c"})}, K::another, "b", 0, "c"},
      {"... and the third may tell otherwise", {kept({"b"}, "", {"c"}), kept({"b"}, "c"), no_answer()}, K::undecided, "", 0, "c"},
      {"another release was slower", {kept({"b"}, "", {"c"}), kept({"b"}, "c"), kept({"b"}, "c")}, K::kept, "c", 1, "c"},
      {"another release took the first at two", {kept({"b"}, "a"), kept({"b"}, "", {"a"}), kept({"b"}, "", {"a"})}, K::another, "b"},
      {"nobody has what was named", {kept({"b"}), kept({"b"}), no_answer()}, K::another, "b", 0, "c"},
      {"nothing is left to give back", {kept({"x"}, "", {"a"}), kept({}, "", {"a"}), kept({}, "", {"a", "x"})}, K::kept, "", 0, "", 0, false},
      {"two know nothing of it", {not_held(), no_answer(), not_held()}, K::kept, "", 0, "", 0, false},
      {"one was emptied, one is dead: nobody can tell", {not_held(), kept({}, "a"), dead()}, K::unknown, "a"},
      {"two are dead, and one did it", {kept({}, "a"), dead(), dead()}, K::unknown, "a"},
      {"two died when one had done it", {kept({}, "", {"a"}), dead(), dead()}, K::unknown, "a", 0, "a", 1},
      {"all were dead", {dead(), dead(), dead()}, K::unavailable},
  };
  for (const auto& each : cases) {
    const Keeping keeping = count_released(each.votes, each.named, each.taken);
    EXPECT_EQ(keeping.kind, each.kind) << each.what;
    if (each.kind == K::undecided) continue;
    EXPECT_EQ(keeping.entry, each.entry) << each.what;
    if (each.kind != K::kept) continue;
    EXPECT_EQ(keeping.kept.ok, each.ok) << each.what;
    EXPECT_EQ(keeping.kept.count, each.count) << each.what;
  }
}

TEST(RedlockVotes, AHolderIsShownWhenEnoughKnowHimOrMay) {
  auto look = [](std::vector<Entries> holdings, Entries gone = {}) {
    Seen seen{"a", 5, {}, std::move(gone)};
    for (Entries& entries : holdings) seen.holders.emplace_back(Holder{"a", "A", 5, kExclusive, 0, milliseconds(100), milliseconds(10)}, std::move(entries));
    return seen;
  };
  EXPECT_EQ(merge("a", 3, {look({{"a", "b"}}), look({{"a"}}), look({{"a", "b"}})}).holders.at(0).count, 2);
  EXPECT_EQ(merge("a", 3, {look({{"a", "b"}}), look({{"a"}}), look({{"b"}})}).holders.at(0).count, 2);
  EXPECT_EQ(merge("a", 3, {look({{"a", "b"}}), look({{"a"}}, {"b"})}).holders.at(0).count, 1);
  EXPECT_TRUE(merge("a", 3, {look({{"a"}}), look({}), look({})}).holders.empty());
  EXPECT_TRUE(merge("a", 3, {look({{"a"}}), look({}, {"a"})}).holders.empty());
  EXPECT_EQ(merge("a", 3, {look({{"a"}}), look({})}).holders.size(), 1u);  // the third may know him too
  EXPECT_EQ(merge("a", 3, {look({}), look({}), look({})}).newest, 5);
}

}  // namespace
}  // namespace sluice::lock
