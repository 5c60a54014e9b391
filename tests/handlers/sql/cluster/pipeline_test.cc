#include "handlers/sql/cluster/pipeline.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::sql::cluster {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr PipelineLimits kLimits;
constexpr microseconds kWay{200};

// A connection on which time goes by.
struct Connection {
  Pipeline pipeline;
  Clock::time_point now{std::chrono::seconds(100)};
  std::size_t in_flight = 0;

  Connection() { pipeline.moved(now); }
  Clock::time_point send() {
    pipeline.sends(in_flight++, now, kLimits);
    return now;
  }
  Pipeline::Group answer(Clock::time_point sent, Clock::duration after) {
    now += after;
    --in_flight;
    return pipeline.answered(sent, now, kWay, kLimits);
  }
  bool full(Clock::duration each = {}) const { return pipeline.full(in_flight, each, kWay, now, kLimits); }
};

TEST(Pipeline, takes_any_call_while_nothing_is_in_flight) {
  Connection connection;
  EXPECT_FALSE(connection.full(std::chrono::seconds(9)));
}

TEST(Pipeline, holds_four_calls_before_any_was_answered_and_two_more_for_each_that_was) {
  Connection connection;
  const auto sent = connection.send();
  for (int i = 1; i < 4; ++i) {
    EXPECT_FALSE(connection.full());
    connection.send();
  }
  EXPECT_TRUE(connection.full());
  connection.answer(sent, microseconds(300));
  EXPECT_FALSE(connection.full());
  connection.send(), connection.send(), connection.send();
  EXPECT_TRUE(connection.full());
}

TEST(Pipeline, forgets_what_it_has_proven_when_it_was_idle_for_long) {
  Connection connection;
  for (int i = 0; i < 10; ++i) connection.answer(connection.send(), microseconds(300));
  connection.now += milliseconds(5);
  for (int i = 0; i < 5; ++i) connection.send();
  EXPECT_FALSE(connection.full());
  for (; connection.in_flight > 0;) connection.answer(connection.now, microseconds(10));
  connection.now += milliseconds(11);
  for (int i = 0; i < 4; ++i) connection.send();
  EXPECT_TRUE(connection.full());
}

TEST(Pipeline, holds_what_its_connection_does_in_4_ms_beyond_the_way) {
  Connection connection;
  for (int i = 0; i < 50; ++i) connection.answer(connection.send(), microseconds(300));
  for (int i = 0; i < 4; ++i) connection.send();
  EXPECT_FALSE(connection.full(milliseconds(1)));
  EXPECT_TRUE(connection.full(microseconds(1051)));
}

TEST(Pipeline, gets_no_more_when_nothing_came_back_for_10_ms_beyond_the_way) {
  Connection connection;
  connection.send();
  connection.now += milliseconds(10) + kWay;
  EXPECT_FALSE(connection.full());
  connection.now += microseconds(1);
  EXPECT_TRUE(connection.full());
}

TEST(Pipeline, tells_of_answers_that_came_together_as_of_one_group) {
  Connection connection;
  const auto sent = connection.send();
  connection.send(), connection.send();
  EXPECT_EQ(connection.answer(sent, milliseconds(3)).calls, 0u);
  EXPECT_EQ(connection.answer(sent, {}).calls, 0u);
  EXPECT_EQ(connection.answer(sent, {}).calls, 0u);
  const auto group = connection.answer(connection.send(), milliseconds(1));
  EXPECT_EQ(group.calls, 3u);
  EXPECT_EQ(group.took, milliseconds(3) - kWay);
}

TEST(Pipeline, is_given_one_call_at_a_time_after_slow_answers_though_they_came_together) {
  Connection connection;
  const auto sent = connection.send();
  connection.send(), connection.send();
  connection.answer(sent, milliseconds(60));
  connection.answer(sent, {});
  connection.answer(sent, {});
  EXPECT_FALSE(connection.full());
  connection.send();
  EXPECT_TRUE(connection.full());
  connection.answer(connection.now, milliseconds(1));
  connection.send();
  EXPECT_FALSE(connection.full());
}

constexpr Lane open(std::size_t in_flight) { return {.open = true, .in_flight = in_flight}; }
constexpr Lane full(std::size_t in_flight) { return {.open = true, .full = true, .in_flight = in_flight}; }
constexpr Lane coming() { return {.coming = true}; }
constexpr Lane late() { return {}; }

struct Row {
  const char* says;
  std::vector<Lane> lanes;
  int lane;
  bool dial;
};

void expect(const Row& row, Choice choice) {
  EXPECT_EQ(choice.lane, row.lane) << row.says;
  EXPECT_EQ(choice.dial, row.dial) << row.says;
}

TEST(Lanes, a_read_takes_the_least_busy_of_those_that_reads_share_and_dials_when_all_are_full) {
  for (const Row& row : std::vector<Row>{
           {"there is none", {}, kNoLane, true},
           {"it keeps others company, though one is idle", {open(5), open(3), open(0)}, 1, false},
           {"a full one is passed by", {full(9), open(5), open(4)}, 2, false},
           {"all are full", {full(9), full(9)}, kNoLane, true},
           {"one is coming", {full(9), coming()}, kNoLane, false},
           {"one should have come", {full(9), late()}, kNoLane, true},
           {"one is there and one is coming", {coming(), open(7)}, 1, false},
       })
    expect(row, lane_for_read(row.lanes, 2));
}

TEST(Lanes, a_write_takes_an_idle_one_or_another_and_shares_where_there_may_be_no_more) {
  for (const Row& row : std::vector<Row>{
           {"there is none", {}, kNoLane, true},
           {"one is idle", {open(1), open(0)}, 1, false},
           {"one is idle while another comes", {coming(), open(0)}, 1, false},
           {"all are busy", {open(2), open(1)}, kNoLane, true},
           {"all are busy and one is coming", {open(1), coming()}, kNoLane, false},
       })
    expect(row, lane_for_write(row.lanes, true));
  for (const Row& row : std::vector<Row>{
           {"there may be none", {}, kNoLane, false},
           {"all are busy", {open(2), open(1)}, 1, false},
           {"all are full", {full(4), full(4)}, kNoLane, false},
       })
    expect(row, lane_for_write(row.lanes, false));
}

TEST(Lanes, reads_share_another_for_32_of_them_and_for_each_4_ms_of_work) {
  EXPECT_EQ(shared_lanes(1, microseconds(20), kLimits), 1u);
  EXPECT_EQ(shared_lanes(32, microseconds(20), kLimits), 1u);
  EXPECT_EQ(shared_lanes(33, microseconds(20), kLimits), 2u);
  EXPECT_EQ(shared_lanes(8, milliseconds(1), kLimits), 3u);
  EXPECT_EQ(shared_lanes(4, milliseconds(20), kLimits), 21u);
}

}  // namespace
}  // namespace sluice::sql::cluster
