// XML-RPC from C++, with xmlrpc-c.    cpp_xmlrpc [URL]

#include <iostream>
#include <xmlrpc-c/client_simple.hpp>
#include <xmlrpc-c/girerr.hpp>

int main(int argc, char** argv) {
  const std::string url = argc > 1 ? argv[1] : "http://127.0.0.1:4242";
  try {
    xmlrpc_c::clientSimple client;
    xmlrpc_c::value sum;
    client.call(url, "add", "ii", &sum, 3, 4);
    std::cout << static_cast<int>(xmlrpc_c::value_int(sum)) << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
