#include "handlers/redis/script.h"

#include <openssl/sha.h>

namespace sluice::redis {
namespace {

std::string sha1(const std::string& text) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hex;
  for (const unsigned char octet : digest) {
    hex += "0123456789abcdef"[octet >> 4];
    hex += "0123456789abcdef"[octet & 15];
  }
  return hex;
}

}  // namespace

Script::Script(std::string given) : text(std::move(given)), sha(sha1(text)) {}

}  // namespace sluice::redis
