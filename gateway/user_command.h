#pragma once
// `sluice user`: who may log in; and `sluice keygen`.

#include <string>
#include <vector>

namespace sluice::commands {

struct UserOptions {
  std::string file;         // of the users; or
  std::string config;       // a configuration, whose access.users it is, and whose roles are given
  std::string name;
  std::vector<std::string> roles;
  bool token = false;       // a bearer token is made and printed, in place of a password
  std::string certificate;  // a subject's common name, in place of a password
  std::string key;          // a CURVE public key, in place of a password
};
// The password is asked for on a terminal, else it is the first line of standard input: never an argument, which `ps` shows.
int user_add(const UserOptions&);
int user_list(const UserOptions&);
int user_remove(const UserOptions&);

// A new CURVE key pair in `file`; prints the public key.
int keygen(const std::string& file);

}  // namespace sluice::commands
