// Rival: the same `add` on xmlrpc-c's Abyss server, tuned as far as it goes.

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

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  xmlrpc_c::registry registry;
  registry.addMethod("add", new Add);  // the registry keeps it in a methodPtr
  xmlrpc_c::serverAbyss server(xmlrpc_c::serverAbyss::constrOpt()
                                   .registryP(&registry)
                                   .portNumber(static_cast<unsigned>(std::atoi(argv[1])))
                                   .maxConn(1024)
                                   .maxConnBacklog(1024)
                                   .keepaliveMaxConn(100'000'000));
  server.run();
}
