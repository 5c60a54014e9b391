#pragma once
// Load: a TOML file and the environment become Settings. All that is wrong is found in one go and told as compilers do:
// file:line:column, the line, a caret, and the nearest key.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/schema.h"

namespace sluice::config {

struct Loaded {
  Settings settings;
  std::map<std::string, std::string> origin;  // of each key that is not at its default: "sluice.toml:7", "SLUICE_SQL_FILE"
  std::vector<std::string> errors;            // empty: all is well
};

// `name` is what messages call the file.
void load_toml(std::string_view content, const std::string& name, Loaded&);
void load_file(const std::string& path, Loaded&);
// Every SLUICE_... variable of `environment` ("NAME=value"...).
void load_environment(const char* const* environment, Loaded&);
// "on", "off", "shadow", "25%"; nothing when it is none of them.
std::optional<sql::Split> read_split(std::string_view);
// Where two keys must agree; after the files, the environment and the flags.
void settle(Settings&);

}  // namespace sluice::config
