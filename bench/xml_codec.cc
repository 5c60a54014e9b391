// The XML-RPC codec alone, for callgrind:  xml_codec write-result|read-add TIMES
// write-result: a result of 1,000 rows x 6 columns (int, string, double, dateTime, boolean, string) written as a document.

#include <cstdlib>
#include <iostream>

#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/writer.h"

using namespace sluice;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string what = argv[1];
  const long times = std::atol(argv[2]);
  std::size_t bytes = 0;
  if (what == "write-result") {
    Value::Array rows;
    const DateTime when = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);
    for (int i = 0; i < 1000; ++i)
      rows.emplace_back(Value::Array{i, "row number " + std::to_string(i), i * 1.25, when + std::chrono::seconds(i), i % 2 == 0, "a text of some length & a little markup"});
    const Value result(Value::Struct{{"columns", Value::Array{"id", "name", "price", "at", "flag", "text"}}, {"rows", std::move(rows)}});
    for (long i = 0; i < times; ++i) {
      std::string out;
      xmlrpc::write_response(result, 1 << 30, out);
      bytes += out.size();
    }
  } else {
    std::string add;
    xmlrpc::write_call("add", {3, 4}, 1 << 20, add);
    for (long i = 0; i < times; ++i) bytes += xmlrpc::read_call(add).params.size();
  }
  std::cout << bytes << "\n";
}
