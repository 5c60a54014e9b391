#include "handlers/sql/cluster/health.h"

#include <gtest/gtest.h>

namespace sluice::sql::cluster {
namespace {

using std::chrono::milliseconds;
using State = Health::State;

struct HealthTest : testing::Test {
  Health health{Health::Limits{}};
  Clock::time_point now{};
  void later(int ms) { now += milliseconds(ms); }
  void probe() { health.answered_probe(1, now); }
  void is_tried_after(int ms) {
    later(ms - 10), probe();
    EXPECT_EQ(health.state(), State::ejected);
    later(20), probe();
    EXPECT_EQ(health.state(), State::trial);
  }
  void call(bool ok, double ms = 1, double others = 1) {
    health.call_sent();
    health.call_ended(ok, ms, others, now);
  }
};

TEST_F(HealthTest, a_node_is_down_until_a_probe_is_answered) {
  EXPECT_FALSE(health.usable());
  probe();
  EXPECT_TRUE(health.usable());
  health.silent();
  EXPECT_FALSE(health.usable());
  probe();
  EXPECT_TRUE(health.usable());
}

TEST_F(HealthTest, failures_in_a_row_eject_it_and_a_good_call_between_them_does_not) {
  probe();
  call(false), call(false), call(true), call(false), call(false);
  EXPECT_EQ(health.state(), State::up);
  call(false);
  EXPECT_EQ(health.state(), State::ejected);
  EXPECT_EQ(health.ejections(), 1);
}

TEST_F(HealthTest, one_that_takes_no_connection_is_ejected_at_once_for_longer_each_time) {
  probe();
  for (int wait : {500, 1000}) {
    health.no_connection(now);
    EXPECT_EQ(health.state(), State::ejected);
    health.no_connection(now);  // once is enough
    is_tried_after(wait);
  }
  call(true);
  EXPECT_EQ(health.state(), State::up);
}

TEST_F(HealthTest, after_its_time_one_call_tries_it) {
  probe();
  call(false), call(false), call(false);
  later(400), probe();
  EXPECT_FALSE(health.usable());
  later(200), probe();
  EXPECT_EQ(health.state(), State::trial);
  EXPECT_TRUE(health.usable());
  health.call_sent();
  EXPECT_FALSE(health.usable()) << "one at a time";
  health.call_ended(true, 1, 1, now);
  EXPECT_EQ(health.state(), State::up);
}

TEST_F(HealthTest, each_failed_trial_doubles_its_time_up_to_a_limit) {
  probe();
  call(false), call(false), call(false);
  for (int wait : {500, 1000, 2000, 4000, 4000}) {
    is_tried_after(wait);
    call(false);
    EXPECT_EQ(health.state(), State::ejected);
  }
}

TEST_F(HealthTest, one_that_is_much_slower_than_the_others_is_ejected) {
  probe();
  for (int i = 0; i < 40 && health.state() == State::up; ++i) call(true, 200, 2);
  EXPECT_EQ(health.state(), State::ejected);
}

TEST_F(HealthTest, one_that_is_slow_when_all_are_is_not) {
  probe();
  for (int i = 0; i < 100; ++i) call(true, 200, 150);
  EXPECT_EQ(health.state(), State::up);
}

}  // namespace
}  // namespace sluice::sql::cluster
