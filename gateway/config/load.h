#pragma once
// Load: a TOML file and the environment become Settings. All that is wrong is found in one go and told as compilers do:
// file:line:column, the line, a caret, and the nearest key.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/schema.h"
#include "rpc/read_file.h"

namespace sluice::config {

struct Loaded {
  // Where a value stands in a file.
  struct Place {
    std::string at;       // "sluice.toml:7:11"
    std::string picture;  // the line, and below it a caret
  };

  Settings settings;
  std::map<std::string, std::string> origin;  // of each key that is not at its default: "sluice.toml:7", "SLUICE_SQL_FILE"
  std::map<std::string, Place> places;        // of each key that a file gives, "database.NAME.url" and the like too
  std::vector<std::string> errors;            // empty: all is well

  // `what` is wrong with the value of `key`: with its place, or with the variable or the flag that it comes from.
  std::string complaint(const std::string& key, const std::string& what) const;
};

// `name` is what messages call the file.
void load_toml(std::string_view content, const std::string& name, Loaded&);
void load_file(const std::string& path, FileKind, Loaded&);
// Every SLUICE_... variable of `environment` ("NAME=value"...).
void load_environment(const char* const* environment, Loaded&);
// Where two keys must agree; after the files, the environment and the flags.
void settle(Settings&);

}  // namespace sluice::config
