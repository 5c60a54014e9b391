#pragma once
// Users: the file of those who may log in, one line for each way in: NAME:ROLE,ROLE:SECRET. `sluice user` writes it, the gateway
// reads it. Secrets are hashes or public keys; no line lets its reader log in.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::access {

// How a user shows who he is.
enum class Proof : char { password, token, certificate, key };
std::string_view name_of(Proof) noexcept;

struct Login {
  std::string user;
  std::vector<std::string> roles;
  Proof proof = Proof::password;
  std::string secret;  // argon2id text; SHA-256 of the token in hex; the certificate's subject; the CURVE key in Z85
};

// Throws std::runtime_error whose message begins with file:line.
std::vector<Login> parse_users(const std::string& file, std::string_view content);
enum class MissingFile : std::uint8_t { empty, refused };  // before the first `sluice user add` there is none
std::vector<Login> load_users(const std::string& file, MissingFile = MissingFile::empty);
// In place of the old file, at once and whole, readable by its owner (and group) alone.
void save_users(const std::string& file, const std::vector<Login>&);
// Loads, changes and saves under an exclusive lock on FILE.lock, which stays; waits while another process holds it. Nothing is
// saved when `change` throws.
void change_users(const std::string& file, MissingFile, const std::function<void(std::vector<Login>&)>& change);

bool is_user_name(std::string_view) noexcept;  // letters, digits and - _ . @, up to 64 of them

// Secrets. All of libsodium that is used stands behind these.
std::string hash_password(const std::string& password);                        // argon2id: 64 MiB and a tenth of a second
bool password_fits(const std::string& hash, std::string_view password);        // as long
std::string new_token();                                                       // 256 random bits
std::string hash_token(std::string_view token);                                // quick: a token cannot be guessed
std::string fingerprint(std::string_view text);                                // keyed with random bytes of this process

}  // namespace sluice::access
