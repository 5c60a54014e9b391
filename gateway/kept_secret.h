#pragma once
// KeptSecret: a secret that is made once and stays, in a file that only we may read.

#include <string>

namespace sluice {

// What `file` holds; made when it is not there, once, however many processes ask at a time. Throws std::runtime_error.
std::string kept_secret(const std::string& file);

}  // namespace sluice
