#include "handlers/sql/mariadb/url.h"

#include <gtest/gtest.h>

namespace sluice::sql::mariadb {
namespace {

using Hosts = std::vector<std::pair<std::string, std::string>>;

TEST(MariaUrl, NamesNodesAndAccount) {
  const Url url = read_url("mariadb://app:p%40ss%2Fword@db1:3307,db2,[::1]:3308,[fe80::1]/my%20shop");
  EXPECT_EQ(url.hosts, (Hosts{{"db1", "3307"}, {"db2", "3306"}, {"::1", "3308"}, {"fe80::1", "3306"}}));
  EXPECT_EQ(url.login.user, "app");
  EXPECT_EQ(url.login.password, "p@ss/word");
  EXPECT_EQ(url.login.database, "my shop");
  EXPECT_FALSE(url.login.tls);
}

TEST(MariaUrl, TakesTls) {
  const Url url = read_url("mariadb://db1/shop?tls=on&tls_ca=/etc/ca.pem");
  EXPECT_TRUE(url.login.tls);
  EXPECT_EQ(url.login.tls_ca, "/etc/ca.pem");
  EXPECT_EQ(url.login.user, "");
}

TEST(MariaUrl, NamesAFileOfThePassword) {
  const Url url = read_url("mariadb://app@db1/shop?password_file=/etc/pass%20word");
  EXPECT_EQ(url.password_file, "/etc/pass word");
  EXPECT_EQ(url.login.user, "app");
  EXPECT_EQ(url.login.password, "");
}

TEST(MariaUrl, SaysWhatIsWrongWithoutThePassword) {
  auto refuse = [](std::string_view text) -> std::string {
    try {
      read_url(text);
    } catch (const std::exception& problem) {
      return problem.what();
    }
    return "";
  };
  const std::string form = "expected mariadb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE";
  EXPECT_EQ(refuse("mysql://x"), "not a MariaDB URL: " + form);
  EXPECT_EQ(refuse("mariadb://u:secret@/db"), "not a MariaDB URL: a host is missing; " + form);
  EXPECT_EQ(refuse("mariadb://u:secret@h:0/db"), "not a MariaDB URL: '0' is no port; " + form);
  EXPECT_EQ(refuse("mariadb://h:x/db"), "not a MariaDB URL: 'x' is no port; " + form);
  EXPECT_EQ(refuse("mariadb://h/db?ssl=1"), "not a MariaDB URL: the option 'ssl' is none of password_file=FILE, tls=on, tls=off, tls_ca=FILE, tls_fingerprint=HEX");
  EXPECT_EQ(refuse("mariadb://h/db?tls_ca=x"), "not a MariaDB URL: tls_ca and tls_fingerprint need tls=on");
  EXPECT_EQ(refuse("mariadb://u:secret@h/db?password_file=x"), "not a MariaDB URL: it has a password and a password_file; one of them is expected");
}

}  // namespace
}  // namespace sluice::sql::mariadb
