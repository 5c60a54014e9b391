#pragma once
// Keys: CURVE key pairs in Z85 (ZeroMQ RFC 32), and the files that hold them.

#include <string>

#include "rpc/read_file.h"

namespace sluice::zerorpc {

struct KeyPair {
  std::string public_key, secret_key;  // 40 characters each
};

KeyPair make_keys();
// A file of two lines, "public KEY" and "secret KEY", readable by its owner alone; it must not be there yet. Throws std::runtime_error.
void save_keys(const std::string& file, const KeyPair&);
KeyPair load_keys(const std::string& file, FileKind = FileKind::regular);  // throws std::runtime_error
bool is_key(const std::string& text) noexcept;

}  // namespace sluice::zerorpc
