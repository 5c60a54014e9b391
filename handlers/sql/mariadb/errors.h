#pragma once
// What an error of MariaDB means for a call: by its number, never by its text, which may be in any language.

#include <string>

#include "handlers/sql/cluster/engine.h"

namespace sluice::sql::mariadb {

struct Error {
  unsigned number = 0;  // below 2000 and from 4000 on the server's, between them the library's own
  std::string sqlstate, message;
};

// `option`: is it --read-only that error 1290 names? It names others too.
cluster::Failure::Kind meaning(unsigned number, bool read_only_option) noexcept;

// `sent`: the statement was handed to the socket, so that of a lost connection it may have run.
cluster::Failure failure_of(const Error&, bool sent);
cluster::Failure connect_failure(const Error&);

}  // namespace sluice::sql::mariadb
