#pragma once
// Address: where a Redis master is, as the configuration says it: redis://[:PASSWORD@]HOST:PORT[/DATABASE][?password_file=FILE].

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::redis {

struct Address {
  std::string name;  // HOST:PORT, for messages
  std::string password;
  int database = 0;
  sockaddr_storage socket{};  // looked up once, at the start
  socklen_t length = 0;

  std::string label() const { return name + "-" + std::to_string(database); }  // for the names of files
};

// Of `scheme`://A[,B...]: a password, database or file stands once, for all of them. Throws std::runtime_error that names what is
// wrong and never the password.
std::vector<Address> read_addresses(std::string_view scheme, std::string_view url);

}  // namespace sluice::redis
