#pragma once
// The URL of a MariaDB database: mariadb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?password_file=FILE&tls=on&tls_ca=FILE.

#include <string>
#include <utility>
#include <vector>

#include "handlers/sql/mariadb/session.h"

namespace sluice::sql::mariadb {

struct Url {
  Login login;
  std::string password_file;  // not read yet: its first line is the password then; "": the password stands in the URL
  std::vector<std::pair<std::string, std::string>> hosts;  // host and port of each node; [::1]:3306 for IPv6
};

// Characters of the user, the password and the database may be written as %XX. Throws std::runtime_error that says what is wrong, without the password.
Url read_url(std::string_view);

}  // namespace sluice::sql::mariadb
