// MariaDB's lexer, classifier and placeholders on any text.

#include "handlers/sql/classify/mariadb.h"
#include "handlers/sql/classify/mariadb_lexer.h"
#include "handlers/sql/mariadb/placeholders.h"
#include "tests/fuzz/sql_check.h"

using namespace sluice::sql;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const bool escapes : {true, false})
    for (const bool executable : {true, false}) {
      const auto found = mariadb::tokens(text, {escapes, executable});
      if (!found) continue;
      const char* at = text.data();
      for (const auto& token : *found) {  // in the order of the text, none empty, none outside of it
        expect(!token.text.empty() && token.text.data() >= at && token.text.data() + token.text.size() <= text.data() + text.size(),
               "a token out of place", text);
        at = token.text.data() + token.text.size();
      }
    }
  check([](const std::string& sql) { return classify_mariadb(sql); }, text);
  for (const bool named : {false, true})
    check_parameters(mariadb::mark_placeholders(text, named),
                     [](const auto& statement, const sluice::Value& params) { return mariadb::in_order(statement, params); });
  return 0;
}
