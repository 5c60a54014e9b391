// What it costs to know a statement's class, for callgrind:  classify hit|miss|split TIMES
// hit: the text was seen before; miss: it was not; split: what pg_query_split_with_parser takes for the same texts.

#include <pg_query.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <string>

#include "handlers/sql/postgres/learned.h"
#include "handlers/sql/postgres/statements.h"

using namespace sluice::sql;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string what = argv[1];
  const long times = std::atol(argv[2]);
  const std::array<std::string, 4> texts{
      "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
      "SELECT c.name, count(*) AS orders, sum(o.total) FROM customer AS c JOIN orders AS o ON o.customer = c.id "
      "WHERE c.country = $1 AND o.placed > now() - interval '7 days' GROUP BY c.name ORDER BY 2 DESC LIMIT 20",
      "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2 RETURNING abalance",
      "WITH recent AS (SELECT id, total FROM orders WHERE placed > $1) SELECT * FROM recent WHERE total > (SELECT avg(total) FROM recent)"};
  postgres::Learned catalogue;  // of a database whose users made tables alone
  catalogue.complete();
  postgres::Statements statements(catalogue);
  std::size_t sum = 0;
  for (long i = 0; i < times; ++i)
    for (const std::string& text : texts) {
      if (what == "split") {
        const PgQuerySplitResult result = pg_query_split_with_parser(text.c_str());
        sum += static_cast<std::size_t>(result.n_stmts);
        pg_query_free_split_result(result);
        continue;
      }
      if (what == "miss") statements.forget();
      sum += static_cast<std::size_t>(statements.look(text).verdict.kind);
    }
  std::cout << sum << "\n";
}
