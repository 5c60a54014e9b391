// What people see of a URL has no password in it, in values and in lines that a file holds, and a place in them stays where it was.

#include "gateway/config/mask.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

std::string shown(std::string_view text) { return mask_passwords(text).text; }

// What a caret below `place` in `text` stands under afterwards.
std::string under_caret(std::string_view text, std::string_view place) {
  const Masked masked = mask_passwords(text, text.find(place));
  return masked.text.substr(masked.at);
}

TEST(Mask, HidesThePasswordOfAUrl) {
  EXPECT_EQ(shown("postgresql://app:hunter2@db1:5432,db2/shop?sslmode=require"), "postgresql://app:***@db1:5432,db2/shop?sslmode=require");
  EXPECT_EQ(shown("redis://:hunter2@h:6379/1"), "redis://:***@h:6379/1");
  EXPECT_EQ(shown("spare=redlock://:hunter2@a:1,b:2,c:3"), "spare=redlock://:***@a:1,b:2,c:3");
  EXPECT_EQ(shown("postgresql://db/shop?password=hunter2&sslpassword=hunter2&x=1"), "postgresql://db/shop?password=***&sslpassword=***&x=1");
}

TEST(Mask, HidesRatherTooMuchOfAUrlThatIsWrittenWrongly) {
  for (const char* password : {"hun/ter2", "hun?ter2", "hun@ter2", "hun\"ter2", "hun'ter2", "h\"unt\"er2"})
    EXPECT_EQ(shown("postgresql://app:" + std::string(password) + "@db/shop"), "postgresql://app:***@db/shop");
}

TEST(Mask, LeavesWhatHoldsNoPassword) {
  for (const char* text : {"", "redis://h:6379", "mariadb://app@db:3306/shop?password_file=/etc/password", "https://[::1]:4443", "ann@example.com:x", "a = [ 'b', \"c\" ]"})
    EXPECT_EQ(shown(text), text);
}

TEST(Mask, HidesThePasswordsOfALine) {
  EXPECT_EQ(shown(R"(url = "mariadb://app:hunter2@db/shop"  # ask ann@example.com)"), R"(url = "mariadb://app:***@db/shop"  # ask ann@example.com)");
  EXPECT_EQ(shown(R"(spaces = ["a=redis://:hunter2@h:1", 'b=redis://:hun"ter2@h:2', "c=redis://h:3"])"),
            R"(spaces = ["a=redis://:***@h:1", 'b=redis://:***@h:2', "c=redis://h:3"])");
  EXPECT_EQ(shown(R"(url = "postgresql://app:hun\"ter2@db/shop")"), R"(url = "postgresql://app:***@db/shop")");
}

TEST(Mask, HidesThePasswordOfALineThatIsBroken) {
  EXPECT_EQ(shown(R"(url = "mariadb://app:hunter2@db/shop)"), R"(url = "mariadb://app:***@db/shop)");
  EXPECT_EQ(shown(R"(url = mariadb://app:hun"ter2@db/shop)"), R"(url = mariadb://app:***@db/shop)");
  EXPECT_EQ(shown(R"(url = """mariadb://app:hun"ter2@db/shop)"), R"(url = """mariadb://app:***@db/shop)");
  EXPECT_EQ(shown(R"(# it's "mariadb://app:hunter2@db/shop")"), R"(# it's "mariadb://app:***@db/shop")");
}

TEST(Mask, APlaceStaysUnderWhatItWasUnder) {
  const std::string line = R"(a = ["redis://:hunter2@h:1", "redis://:x@h:2"] b)";
  EXPECT_EQ(under_caret(line, "a ="), R"(a = ["redis://:***@h:1", "redis://:***@h:2"] b)");
  EXPECT_EQ(under_caret(line, "hunter2"), R"(***@h:1", "redis://:***@h:2"] b)");
  EXPECT_EQ(under_caret(line, "ter2"), R"(***@h:1", "redis://:***@h:2"] b)");
  EXPECT_EQ(under_caret(line, "@h:1"), R"(@h:1", "redis://:***@h:2"] b)");
  EXPECT_EQ(under_caret(line, "@h:2"), R"(@h:2"] b)");
  EXPECT_EQ(under_caret(line, "b"), "b");
  EXPECT_EQ(mask_passwords(line, line.size()).at, shown(line).size());
}

}  // namespace
}  // namespace sluice::config
