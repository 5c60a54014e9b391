#include "gateway/access/users.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "rpc/read_file.h"

namespace sluice::access {
namespace {

constexpr std::array<std::pair<Proof, std::string_view>, 4> kPrefixes{
    {{Proof::password, "$argon2id$"}, {Proof::token, "$token$"}, {Proof::certificate, "$certificate$"}, {Proof::key, "$key$"}}};

void need_sodium() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot start");
}

std::string hex(const unsigned char* bytes, std::size_t count) {
  std::string out(count * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), bytes, count);
  out.pop_back();
  return out;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto item = list.substr(0, list.find(','));
    if (!item.empty()) out.emplace_back(item);
    list.remove_prefix(std::min(list.size(), item.size() + 1));
  }
  return out;
}

Login parse_line(std::string_view line) {
  const auto first = line.find(':');
  const auto second = first == line.npos ? line.npos : line.find(':', first + 1);
  if (second == line.npos) throw std::runtime_error("expected NAME:ROLE,ROLE:SECRET, as `sluice user add` writes it");
  Login login;
  login.user = line.substr(0, first);
  if (!is_user_name(login.user)) throw std::runtime_error("a user's name has letters, digits and - _ . @, up to 64 of them");
  login.roles = split(line.substr(first + 1, second - first - 1));
  const std::string_view secret = line.substr(second + 1);
  for (const auto& [proof, prefix] : kPrefixes) {
    if (!secret.starts_with(prefix)) continue;
    login.proof = proof;
    login.secret = proof == Proof::password ? secret : secret.substr(prefix.size());
    return login;
  }
  throw std::runtime_error("the secret of '" + login.user + "' is of no known kind; expected $argon2id$, $token$, $certificate$ or $key$");
}

}  // namespace

std::string_view name_of(Proof proof) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"password", "token", "certificate", "key"};
  return kNames[static_cast<std::size_t>(proof)];
}

bool is_user_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '@';
  });
}

std::vector<Login> parse_users(const std::string& file, std::string_view content) {
  std::vector<Login> logins;
  for (int number = 1; !content.empty(); ++number) {
    std::string_view line = content.substr(0, content.find('\n'));
    content.remove_prefix(std::min(content.size(), line.size() + 1));
    if (line.empty() || line.front() == '#') continue;
    try {
      logins.push_back(parse_line(line));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(file + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  return logins;
}

std::vector<Login> load_users(const std::string& file, MissingFile missing) {
  std::string content;
  try {
    content = read_file(file);
  } catch (const std::system_error& problem) {
    if (problem.code() != std::errc::no_such_file_or_directory) throw;
    if (missing == MissingFile::empty) return {};
    throw std::runtime_error(std::string(problem.what()) + "; the first `sluice user add` makes it");
  }
  return parse_users(file, content);
}

void save_users(const std::string& file, const std::vector<Login>& logins) {
  std::string content = "# Who may log in: NAME:ROLES:SECRET. Written by `sluice user`; send the gateway a SIGHUP after a change.\n";
  for (const Login& login : logins) {
    content += login.user + ":";
    for (std::size_t i = 0; i < login.roles.size(); ++i) content += (i ? "," : "") + login.roles[i];
    content += ":";
    if (login.proof != Proof::password) content += kPrefixes[static_cast<std::size_t>(login.proof)].second;
    content += login.secret + "\n";
  }
  struct stat old {};
  const bool replaces = ::stat(file.c_str(), &old) == 0;
  const std::string fresh = file + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  auto fail = [&] { throw std::runtime_error(fresh + ": cannot be written: " + std::strerror(errno)); };
  if (fd < 0) fail();
  // The gateway's account may own the old file, or read it by its group: so it stays.
  bool well = !replaces || (::fchown(fd, old.st_uid, old.st_gid) == 0 && ::fchmod(fd, old.st_mode & 0640) == 0);
  well = well && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fsync(fd) == 0;
  well = ::close(fd) == 0 && well;
  if (!well || ::rename(fresh.c_str(), file.c_str()) != 0) fail();
}

void change_users(const std::string& file, MissingFile missing, const std::function<void(std::vector<Login>&)>& change) {
  // Before a lock is left beside a name that was mistyped.
  if (missing == MissingFile::refused) load_users(file, missing);
  // Not on the file of users: whoever waited for that would hold the old one, which the rename has put out of its place.
  const std::string beside = file + ".lock";
  const struct Lock {
    int fd;
    ~Lock() {
      if (fd >= 0) ::close(fd);
    }
  } lock{::open(beside.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (lock.fd < 0 || ::flock(lock.fd, LOCK_EX) != 0)
    throw std::runtime_error(beside + ": cannot be locked: " + std::strerror(errno) + "; the folder must be there, and whoever changes users must own this file or be root");
  auto logins = load_users(file, missing);
  change(logins);
  save_users(file, logins);
}

std::string hash_password(const std::string& password) {
  need_sodium();
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(), crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                            crypto_pwhash_ALG_ARGON2ID13) != 0)
    throw std::runtime_error("there is no memory to hash a password with: 64 MiB are needed");
  return out.data();
}

bool password_fits(const std::string& hash, std::string_view password) {
  need_sodium();
  return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

std::string new_token() {
  need_sodium();
  std::array<unsigned char, 32> raw{};
  randombytes_buf(raw.data(), raw.size());
  return "slt_" + hex(raw.data(), raw.size());
}

std::string hash_token(std::string_view token) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> out{};
  crypto_hash_sha256(out.data(), reinterpret_cast<const unsigned char*>(token.data()), token.size());
  return hex(out.data(), out.size());
}

std::string fingerprint(std::string_view text) {
  static const auto key = [] {
    need_sodium();
    std::array<unsigned char, crypto_generichash_KEYBYTES> bytes{};
    randombytes_buf(bytes.data(), bytes.size());
    return bytes;
  }();
  std::string out(crypto_generichash_BYTES, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(out.data()), out.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.data(), key.size());
  return out;
}

}  // namespace sluice::access
