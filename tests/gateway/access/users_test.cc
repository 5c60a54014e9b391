// The file of users: read, written, and every way in which it can be wrong.

#include "gateway/access/users.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <stdexcept>

namespace sluice::access {
namespace {

TEST(Users, ReadsWhatItWrote) {
  std::string folder = testing::TempDir() + "/users-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/users";
  const std::vector<Login> logins{{"ann", {"a", "b"}, Proof::password, "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA"},
                                  {"ann", {}, Proof::token, "00ff"},
                                  {"b@c", {"a"}, Proof::certificate, "CN: with a colon"},
                                  {"d", {"a"}, Proof::key, "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"}};
  save_users(file, logins);
  const auto read = load_users(file);
  ASSERT_EQ(read.size(), logins.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].user, logins[i].user);
    EXPECT_EQ(read[i].roles, logins[i].roles);
    EXPECT_EQ(read[i].proof, logins[i].proof);
    EXPECT_EQ(read[i].secret, logins[i].secret);
  }
  std::filesystem::remove_all(folder);
}

TEST(Users, TellsTheLineThatIsWrong) {
  for (const char* line : {"nonsense", "a:b", ":b:$token$0", "a b:c:$token$0", "a:b:secret", "a:b:", "\xff:b:$token$0"}) {
    try {
      parse_users("users", std::string("# who\n\n") + line + "\n");
      FAIL() << line;
    } catch (const std::runtime_error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("users:3: ")) << error.what();
    }
  }
}

TEST(Users, NoFileIsNobody) { EXPECT_TRUE(load_users("/nonexistent/users").empty()); }

TEST(Secrets, APasswordFitsItsHashAlone) {
  const std::string hash = hash_password("correct horse");
  EXPECT_TRUE(hash.starts_with("$argon2id$"));
  EXPECT_TRUE(password_fits(hash, "correct horse"));
  EXPECT_FALSE(password_fits(hash, "correct horsf"));
  EXPECT_FALSE(password_fits("$argon2id$nonsense", "correct horse"));
}

TEST(Secrets, TokensDiffer) {
  EXPECT_NE(new_token(), new_token());
  EXPECT_EQ(hash_token("a"), hash_token("a"));
  EXPECT_NE(fingerprint("a"), fingerprint("b"));
}

}  // namespace
}  // namespace sluice::access
