#include "rpc/fault.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace sluice {
namespace {

TEST(Fault, HasAnXmlRpcCodeOfItsOwnForEachKind) {
  std::set<int> seen;
  for (const FaultCodes& codes : kFaultCodes) EXPECT_TRUE(seen.insert(codes.xmlrpc).second) << codes.name;
}

TEST(Fault, OfAnApplicationCarriesItsNameAsPythonPrintsIt) {
  Fault fault = Fault::named("ZeroDivisionError", "division by zero");
  EXPECT_EQ(fault.exception_name(), "ZeroDivisionError");
  EXPECT_EQ(fault.xmlrpc_string(), "ZeroDivisionError: division by zero");
  EXPECT_EQ(fault.xmlrpc_code(), -32500);
}

TEST(Fault, TableIsDocumentedRowByRow) {
  std::ifstream file(SLUICE_SOURCE_DIR "/docs/faults.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const FaultCodes& codes : kFaultCodes) {
    std::string row =
        "| `" + std::string(codes.name) + "` | " + std::to_string(codes.xmlrpc) + " | `" + std::string(codes.zerorpc) + "` | ";
    EXPECT_NE(text.str().find(row), std::string::npos) << "docs/faults.md lacks: " << row;
  }
}

}  // namespace
}  // namespace sluice
