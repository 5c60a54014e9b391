// Rival: the same `add`, and a `query` on SQLite, on xmlrpc-c's Abyss server, tuned as far as it goes.

#include <sqlite3.h>

#include <cstdlib>
#include <xmlrpc-c/base.hpp>
#include <xmlrpc-c/registry.hpp>
#include <xmlrpc-c/server_abyss.hpp>

class Add : public xmlrpc_c::method {
 public:
  void execute(const xmlrpc_c::paramList& params, xmlrpc_c::value* const result) override {
    const int a = params.getInt(0), b = params.getInt(1);
    params.verifyEnd(2);
    *result = xmlrpc_c::value_int(a + b);
  }
};

// The first column of the first row, on a handle of the thread's own: Abyss has one for each connection.
class Query : public xmlrpc_c::method {
 public:
  void execute(const xmlrpc_c::paramList& params, xmlrpc_c::value* const result) override {
    struct Handle {
      Handle() { sqlite3_open(":memory:", &db); }
      ~Handle() { sqlite3_close(db); }
      sqlite3* db = nullptr;
    };
    static thread_local Handle handle;
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(handle.db, params.getString(0).c_str(), -1, &statement, nullptr);
    if (sqlite3_step(statement) != SQLITE_ROW) throw xmlrpc_c::fault("no row", xmlrpc_c::fault::CODE_INTERNAL);
    *result = xmlrpc_c::value_i8(sqlite3_column_int64(statement, 0));
    sqlite3_finalize(statement);
  }
};

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  xmlrpc_c::registry registry;
  registry.addMethod("query", new Query);
  registry.addMethod("add", new Add);  // the registry keeps it in a methodPtr
  xmlrpc_c::serverAbyss server(xmlrpc_c::serverAbyss::constrOpt()
                                   .registryP(&registry)
                                   .portNumber(static_cast<unsigned>(std::atoi(argv[1])))
                                   .maxConn(1024)
                                   .maxConnBacklog(1024)
                                   .keepaliveMaxConn(100'000'000));
  server.run();
}
