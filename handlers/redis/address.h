#pragma once
// Address: where a Redis master is, as the configuration says it: redis://[:PASSWORD@]HOST:PORT[/DATABASE][?password_file=FILE].

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::redis {

// As it was written: nothing is looked up or read yet.
struct Url {
  struct Master {
    std::string name;  // HOST:PORT, for messages
    std::string host;  // an IPv6 address without its brackets
    int port = 0;
  };
  std::vector<Master> masters;  // one at least, none twice
  std::string password, password_file;
  int database = 0;
};

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
Url read_url(std::string_view scheme, std::string_view url);
// One for each master. Reads the password's file; looks the hosts up, and blocks. Throws std::runtime_error.
std::vector<Address> look_up(const Url&);

}  // namespace sluice::redis
