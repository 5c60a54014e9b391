// PostgreSQL's classifier and placeholders on any text.

#include "handlers/sql/classify/postgres.h"
#include "tests/fuzz/sql_check.h"

using namespace sluice::sql;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check([](const std::string& sql) { return classify_postgres(sql); }, text);
  for (const bool named : {false, true})
    check_parameters(number_placeholders(text, named),
                     [](const auto& statement, const sluice::Value& params) { return in_order(statement, params); });
  return 0;
}
