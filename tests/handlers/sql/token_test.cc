#include "handlers/sql/token.h"

#include <gtest/gtest.h>

namespace sluice::sql::cluster {
namespace {

const Position kSomewhere{"7711413693936118936", {{0, 3, 0x4089a48}}};
const Position kGtid{"", {{0, 1, 42}, {7, 3, 18446744073709551615u}}};

TEST(Token, comes_back_as_it_went) {
  const Seal seal("a secret");
  for (const Position& position : {kSomewhere, kGtid, Position{"x", {}}}) EXPECT_EQ(seal.open(seal.close(position)), position);
}

TEST(Token, no_changed_character_is_taken) {
  const Seal seal("a secret");
  const std::string token = seal.close(kSomewhere);
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (char c : {'0', '1', 'a', '.', '-', '_', '\0'}) {
      std::string changed = token;
      if (changed[i] == c) continue;
      changed[i] = c;
      EXPECT_FALSE(seal.open(changed)) << changed;
    }
    EXPECT_FALSE(seal.open(token.substr(0, i)));
    EXPECT_FALSE(seal.open(token + token.substr(i)));
  }
}

TEST(Token, another_secret_is_another_seal) { EXPECT_FALSE(Seal("one").open(Seal("two").close(kSomewhere))); }

TEST(Token, long_ones_are_not_even_read) { EXPECT_FALSE(Seal("one").open("s1." + std::string(1 << 20, 'a'))); }

}  // namespace
}  // namespace sluice::sql::cluster
