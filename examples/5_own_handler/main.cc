// A handler of one's own, compiled in: the gateway with `greet.hello` and `greet.crowd` beside the rest.
//   own_handler [HOST:PORT]

#include <iostream>

#include "gateway/compose.h"
#include "gateway/config/load.h"

class Greet : public sluice::Handler {
 public:
  std::string_view name() const override { return "greet"; }

  std::vector<sluice::Method> methods() override {
    return {
        method("hello", this, &Greet::hello, {"name", "greeting"}, "Greets somebody, with 'Hello' unless told otherwise."),
        method("crowd", this, &Greet::crowd, {"names"}, "Greets everybody at once."),
    };
  }

 private:
  // The parameters' types are the signature: introspection, conversion and error messages come from them.
  std::string hello(std::string name, std::optional<std::string> greeting) { return greeting.value_or("Hello") + ", " + name + "!"; }

  std::string crowd(sluice::Value::Array names) {
    if (names.empty()) throw sluice::Fault::named("ValueError", "nobody is there");
    return "Hello, all " + std::to_string(names.size()) + " of you!";
  }
};

int main(int argc, char** argv) {
  sluice::config::Settings settings;
  settings.xmlrpc_listen = {argc > 1 ? argv[1] : "127.0.0.1:4242"};
  settings.zerorpc_listen = {};
  settings.sqlite.file = argc > 2 ? argv[2] : "./sluice.db";
  sluice::config::settle(settings);
  try {
    std::vector<std::unique_ptr<sluice::Handler>> mine;
    mine.push_back(std::make_unique<Greet>());
    sluice::Gateway gateway(settings, std::move(mine));
    std::cout << gateway.ready_line() << std::endl;
    gateway.run();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
