#pragma once
// The commands of the program, each a function from its options to an exit code.

#include <string>
#include <vector>

#include "gateway/caller.h"
#include "gateway/config/load.h"

namespace sluice::commands {

// Exit codes: 0 well, 1 the thing failed (a fault, a wrong file, no port), 2 wrong usage, 3 nobody answered.
inline constexpr int kWell = 0, kFailed = 1, kUsage = 2, kNoAnswer = 3;

struct ServeOptions {
  std::string file;
  std::vector<std::string> xmlrpc, zerorpc;
  std::string data;
  bool probe = false, exposed = false, print = false;
};
int serve(const ServeOptions&);

struct CheckOptions {
  std::string file;
  bool print = false;
};
int check(const CheckOptions&);

struct CallOptions {
  std::string url, method;
  std::vector<std::string> args;
  double timeout_s = 30;
  Proofs proofs;
  bool compact = false;
};
int call(const CallOptions&);

struct DemoOptions {
  bool once = false;
  std::string data = "./demo.db";
  std::string xmlrpc = "127.0.0.1:4242", zerorpc = "tcp://127.0.0.1:4243";
};
int demo(const DemoOptions&);

// Settings of the file (if any) and the environment; errors go to standard error. False when there were any. The file may be a pipe, such
// as /dev/stdin, unless it is to be read again.
bool load(const std::string& file, config::Loaded&, FileKind = FileKind::any);
// The configuration in force, as TOML, each line with where it comes from.
void print(const config::Loaded&);

}  // namespace sluice::commands
