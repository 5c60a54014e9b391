// The configuration file and the files of named statements: any text gives settings or errors with a place, never more.

#include <cstdlib>

#include "gateway/config/load.h"
#include "gateway/config/mask.h"
#include "handlers/sql/named.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sluice::config::Loaded loaded;
  sluice::config::load_toml(text, "f.toml", loaded);
  for (const std::string& error : loaded.errors)
    if (!error.starts_with("f.toml:")) std::abort();
  const auto masked = sluice::config::mask_passwords(text, size / 2);
  if (masked.at > masked.text.size()) std::abort();
  try {
    if (sluice::sql::parse_named("f.sql", text).empty()) std::abort();
  } catch (const sluice::Fault& fault) {
    if (!fault.message().starts_with("f.sql:")) std::abort();
  }
  return 0;
}
