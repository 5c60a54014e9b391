// What masters of a Redlock say, and what it comes to: as tables. Each case is a state that real servers are seldom in.

#include "handlers/lock/redlock/votes.h"

#include <gtest/gtest.h>

namespace sluice::lock {
namespace {

using V = Verdict::Kind;

Vote none() { return {Vote::Kind::none, {}, {}}; }
Vote silent() { return {Vote::Kind::silent, {}, {}}; }
Vote absent() { return {Vote::Kind::absent, {}, {}}; }
Vote fresh(Token token, Token before = 0, Token ended = 0) {
  return {Vote::Kind::granted, {{token, 1, milliseconds(1000), false, before, ended}}, {}};
}
Vote existed(Token token, std::int64_t count, Token before = 0, Token ended = 0) {
  return {Vote::Kind::granted, {{token, count, milliseconds(1000), true, before == 0 ? token : before, ended}}, {}};
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
      {"held at two", {existed(5, 2), existed(5, 2), none()}, V::granted, 5, 2},
      {"held at two, of which one missed an entry", {existed(5, 3), existed(5, 2), none()}, V::unsettled, 5, 3},
      {"held at two of three", {existed(5, 2), fresh(9, 4), existed(5, 2)}, V::granted, 5, 2},
      {"one knows, the other had not heard of it: it is told", {existed(5, 2), fresh(9, 4), absent()}, V::unsettled, 5, 2},
      {"one kept it, and others were granted since", {existed(5, 2), fresh(9, 8), absent()}, V::unsettled, 9, 1},
      {"one kept it, and it was given back since", {existed(5, 2), fresh(9, 5, 5), absent()}, V::unsettled, 9, 1},
      {"two keep different ones, and the third knows which", {existed(5, 2), existed(9, 2), existed(5, 2)}, V::granted, 5, 2},
      {"one kept it, two know better", {existed(5, 2), fresh(9, 8), fresh(9, 8)}, V::granted, 9, 1},
      {"two kept it, and the third knows that it was given back", {existed(5, 2), fresh(9, 5, 5), existed(5, 2)}, V::unsettled, 9, 1},
      {"two kept different ones that were given back", {existed(5, 2, 5, 6), existed(6, 2, 6, 6), absent()}, V::unsettled, 7, 1},
  };
  for (const Case& each : cases) {
    const Verdict verdict = count_votes(each.votes, 2, kExclusive);
    EXPECT_EQ(verdict.kind, each.verdict) << each.what;
    ASSERT_EQ(verdict.leases.size(), 1u) << each.what;
    EXPECT_EQ(verdict.leases[0].token, each.token) << each.what;
    EXPECT_EQ(verdict.leases[0].count, each.count) << each.what;
  }
}

TEST(RedlockVotes, OfALockForSeveralALaterTokenThatOthersGaveBackSaysNothing) {
  const Verdict verdict = count_votes({existed(5, 2, 9, 9), existed(5, 2, 9, 9), none()}, 2, kShared);
  EXPECT_EQ(verdict.kind, V::granted);
  EXPECT_EQ(verdict.leases.at(0).token, 5);
}

TEST(RedlockVotes, WhoKeepsDifferentLeasesOfAnOwnerWaitsForTheThird) {
  EXPECT_EQ(count_votes({existed(5, 2), existed(9, 2), none()}, 2, kExclusive).kind, V::undecided);
  EXPECT_EQ(count_votes({existed(5, 2), existed(9, 2), silent()}, 2, kExclusive).kind, V::unsettled);
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

KeptVote kept(std::int64_t count) { return {KeptVote::Kind::kept, {true, count, {}, 5}, kExclusive, false}; }
KeptVote not_held() { return {KeptVote::Kind::kept, {false, 0, {}, 6}, 0, false}; }
KeptVote no_answer() { return {}; }
KeptVote dead() { return {KeptVote::Kind::absent, {}, 0, false}; }
KeptVote cut_off() { return {KeptVote::Kind::absent, {}, 0, true}; }

TEST(RedlockVotes, AReleaseOrRenewalIsWhatEnoughAgreeAbout) {
  using K = Keeping::Kind;
  const struct {
    const char* what;
    std::vector<KeptVote> votes;
    K kind;
    bool ok = false;
    std::int64_t count = 0;
  } cases[] = {
      {"one answered", {kept(0), no_answer(), no_answer()}, K::undecided},
      {"two agree", {kept(0), no_answer(), kept(0)}, K::kept, true, 0},
      {"two do not: the third is asked", {kept(0), kept(1), no_answer()}, K::undecided},
      {"one missed a release", {kept(0), kept(1), kept(0)}, K::kept, true, 0},
      {"two do not, and the third is dead", {kept(0), kept(1), dead()}, K::kept, true, 1},
      {"two know nothing of it", {not_held(), no_answer(), not_held()}, K::kept, false},
      {"one was emptied", {not_held(), kept(1), kept(1)}, K::kept, true, 1},
      {"one was emptied, one is dead: nobody can tell", {not_held(), kept(1), dead()}, K::unknown},
      {"two are dead, and one did it", {kept(1), dead(), dead()}, K::unknown},
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

TEST(RedlockVotes, AHolderIsShownWhenEnoughKnowHimOrMay) {
  auto look = [](std::vector<Holder> holders) { return Lock{"a", 5, std::move(holders)}; };
  const Holder holder{"a", "A", 5, kExclusive, 2, milliseconds(100), milliseconds(10)};
  Holder stale = holder;
  stale.count = 1;
  EXPECT_EQ(merge("a", 3, {look({holder}), look({stale}), look({holder})}).holders.at(0).count, 2);
  EXPECT_TRUE(merge("a", 3, {look({holder}), look({}), look({})}).holders.empty());
  EXPECT_EQ(merge("a", 3, {look({holder}), look({})}).holders.size(), 1u);  // the third may know him too
  EXPECT_EQ(merge("a", 3, {look({}), look({}), look({})}).newest, 5);
}

}  // namespace
}  // namespace sluice::lock
