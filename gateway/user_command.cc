#include "gateway/user_command.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <stdexcept>

#include "gateway/access/settings.h"
#include "gateway/access/users.h"
#include "gateway/commands.h"
#include "transports/zerorpc/keys.h"

namespace sluice::commands {
namespace {

constexpr std::size_t kShortest = 8;  // of a password

access::Settings access_of(const std::string& config) {
  config::Loaded loaded;
  if (!load(config, loaded)) throw std::runtime_error(config + " has errors");
  return loaded.settings.access;
}

std::string users_file(const UserOptions& options) {
  if (!options.file.empty()) return options.file;
  if (options.config.empty()) throw std::invalid_argument("which file? Give --users FILE, or --config FILE whose access.users names it");
  const std::string file = access_of(options.config).users;
  if (file.empty()) throw std::runtime_error(options.config + " has no access.users: nobody is asked who he is");
  return file;
}

// Without an echo, on a terminal.
std::string ask(const char* what) {
  termios before{};
  const bool terminal = ::isatty(STDIN_FILENO) && ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    std::cerr << what << ": " << std::flush;
  }
  std::string line;
  std::getline(std::cin, line);
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::cerr << "\n";
  }
  return line;
}

std::string ask_password(const std::string& name) {
  std::string password = ask(("password of " + name).c_str());
  if (password.size() < kShortest) throw std::runtime_error("a password has " + std::to_string(kShortest) + " characters at least, this one has " + std::to_string(password.size()));
  if (::isatty(STDIN_FILENO) && ask("again") != password) throw std::runtime_error("the two differ; nothing was changed");
  return password;
}

template <class Do>
int run(Do work) {
  try {
    return work();
  } catch (const std::invalid_argument& wrong) {
    std::cerr << "sluice: " << wrong.what() << "\n";
    return kUsage;
  } catch (const std::exception& error) {
    std::cerr << "sluice: " << error.what() << "\n";
    return kFailed;
  }
}

std::string list_of(const std::vector<std::string>& roles) {
  std::string out;
  for (const std::string& role : roles) out += (out.empty() ? "" : ",") + role;
  return out;
}

// A gateway refuses a file of users with a role that its configuration lacks, all of it.
void check_roles(const UserOptions& options) {
  const auto known = access_of(options.config).roles;
  for (const std::string& role : options.roles) {
    if (known.contains(role)) continue;
    std::vector<std::string> names;
    for (const auto& [name, _] : known) names.push_back(name);
    throw std::runtime_error(options.config + " has no [role." + role + "], so '" + options.name + "' cannot have the role '" + role + "'; " +
                             (names.empty() ? "it has no roles" : "its roles are " + list_of(names)) + ". Nothing was changed");
  }
}

}  // namespace

int user_add(const UserOptions& options) {
  return run([&] {
    const std::string file = users_file(options);
    if (!access::is_user_name(options.name)) throw std::invalid_argument("'" + options.name + "' is no user's name: it has letters, digits and - _ . @, up to 64 of them");
    for (const std::string& role : options.roles)
      if (!access::is_user_name(role)) throw std::invalid_argument("'" + role + "' is no role's name");
    if (!options.config.empty()) check_roles(options);
    access::Login login;
    login.user = options.name;
    login.roles = options.roles;
    std::string token;
    if (options.token) {
      token = access::new_token();
      login.proof = access::Proof::token;
      login.secret = access::hash_token(token);
    } else if (!options.certificate.empty()) {
      if (options.certificate.find_first_of("\r\n") != std::string::npos) throw std::invalid_argument("a common name has no line breaks");
      login.proof = access::Proof::certificate;
      login.secret = options.certificate;
    } else if (!options.key.empty()) {
      if (!zerorpc::is_key(options.key)) throw std::invalid_argument("a CURVE public key has 40 characters, as `sluice keygen` prints them; '" + options.key + "' is none");
      login.proof = access::Proof::key;
      login.secret = options.key;
    } else {
      login.secret = access::hash_password(ask_password(options.name));
    }
    // After the password was typed, which may take minutes: others add users meanwhile.
    access::change_users(file, access::MissingFile::empty, [&](std::vector<access::Login>& logins) {
      // A user has one password; of tokens, certificates and keys as many as he needs.
      if (login.proof == access::Proof::password) std::erase_if(logins, [&](const access::Login& old) { return old.user == login.user && old.proof == login.proof; });
      logins.push_back(login);
    });
    if (!token.empty()) std::cout << token << std::endl;  // shown this once: only its hash is kept
    return kWell;
  });
}

int user_list(const UserOptions& options) {
  return run([&] {
    for (const access::Login& login : access::load_users(users_file(options), access::MissingFile::refused))
      std::cout << login.user << "\t" << access::name_of(login.proof) << "\t" << list_of(login.roles)
                << (login.proof == access::Proof::certificate || login.proof == access::Proof::key ? "\t" + login.secret : "") << "\n";
    return kWell;
  });
}

int user_remove(const UserOptions& options) {
  return run([&] {
    const std::string file = users_file(options);
    access::change_users(file, access::MissingFile::refused, [&](std::vector<access::Login>& logins) {
      if (std::erase_if(logins, [&](const access::Login& login) { return login.user == options.name; }) == 0)
        throw std::runtime_error(file + " has no user '" + options.name + "'");
    });
    return kWell;
  });
}

int keygen(const std::string& file) {
  return run([&] {
    const auto keys = zerorpc::make_keys();
    zerorpc::save_keys(file, keys);
    std::cout << keys.public_key << std::endl;
    return kWell;
  });
}

}  // namespace sluice::commands
