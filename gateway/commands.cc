#include "gateway/commands.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <iostream>
#include <iterator>

#include "gateway/caller.h"
#include "gateway/compose.h"
#include "gateway/json.h"
#include "gateway/uses.h"

namespace sluice::commands {
namespace {

void complain(const std::string& what) { std::cerr << "sluice: " << what << "\n"; }

}  // namespace

bool load(const std::string& file, config::Loaded& loaded, FileKind kind) {
  if (!file.empty()) config::load_file(file, kind, loaded);
  config::load_environment(environ, loaded);
  for (const std::string& error : loaded.errors) std::cerr << error << "\n";
  return loaded.errors.empty();
}

namespace {

// [database.NAME] and [role.NAME]: only a file has them, but for the database of --data.
template <class Keys, class Entries>
void print_entries(const std::string& section, const Keys& keys, const Entries& entries, const config::Loaded& loaded) {
  for (const auto& [name, entry] : entries) {
    const std::string full = section + "." + name;
    std::cout << "\n[" << full << "]\n";
    for (const auto& key : keys) {
      const std::string key_name = full + "." + std::string(key.name);
      std::string from = "default";
      if (const auto origin = loaded.origin.find(key_name); origin != loaded.origin.end())
        from = origin->second;
      else if (const auto place = loaded.places.find(key_name); place != loaded.places.end())
        from = place->second.at.substr(0, place->second.at.rfind(':'));
      std::cout << key.name << " = " << config::to_toml(config::without_passwords(key.get(entry))) << "  # " << from << "\n";
    }
  }
}

}  // namespace

void print(const config::Loaded& loaded) {
  std::string_view section;
  for (const config::Key& key : config::keys()) {
    if (key.section != section) {
      std::cout << (section.empty() ? "" : "\n") << "[" << key.section << "]\n";
      section = key.section;
    }
    const auto origin = loaded.origin.find(key.full());
    std::cout << key.name << " = " << config::to_toml(config::without_passwords(key.get(loaded.settings))) << "  # " << (origin == loaded.origin.end() ? "default" : origin->second) << "\n";
  }
  print_entries("database", config::database_keys(), loaded.settings.databases, loaded);
  print_entries("role", config::role_keys(), loaded.settings.access.roles, loaded);
}

namespace {

// The file, the environment and the flags together, checked and settled. False when something is wrong, which was told.
bool assemble(const ServeOptions& options, FileKind kind, config::Loaded& loaded) {
  if (!load(options.file, loaded, kind)) return false;
  config::Settings& settings = loaded.settings;
  auto flag = [&](bool given, const char* key, const char* name, auto& to, const auto& value) {
    if (!given) return;
    to = value;
    loaded.origin[key] = name;
  };
  flag(!options.xmlrpc.empty(), "xmlrpc.listen", "--xmlrpc", settings.xmlrpc_listen, options.xmlrpc);
  flag(!options.zerorpc.empty(), "zerorpc.listen", "--zerorpc", settings.zerorpc_listen, options.zerorpc);
  const bool url = options.data.find("://") != std::string::npos;
  flag(!options.data.empty() && !url, "sqlite.file", "--data", settings.sqlite.file, options.data);
  if (url) {
    settings.databases["main"].url = options.data;
    loaded.origin["database.main.url"] = "--data";
  }
  flag(options.probe, "gateway.probe", "--probe", settings.probe, true);
  flag(options.exposed, "gateway.listen_without_authentication", "--listen-without-authentication", settings.listen_without_authentication, true);
  if (options.print) return true;
  check_uses(loaded);
  for (const std::string& error : loaded.errors) std::cerr << error << "\n";
  config::settle(settings);
  return loaded.errors.empty();
}

}  // namespace

int serve(const ServeOptions& options) {
  // What is made from here on, by whomever (SQLite's files, marks of ids, secrets, the audit log, sockets), is its owner's alone.
  ::umask(077);
  config::Loaded loaded;
  if (!assemble(options, FileKind::any, loaded)) return kFailed;
  if (options.print) {
    print(loaded);
    return kWell;
  }
  try {
    Gateway gateway(loaded.settings);
    std::cout << gateway.ready_line() << std::endl;  // at once: somebody waits for this line
    gateway.run(true, [options]() -> std::optional<config::Settings> {
      config::Loaded again;
      if (assemble(options, FileKind::regular, again)) return std::move(again.settings);
      complain("the configuration is broken; everything stays as it was");
      return std::nullopt;
    });
  } catch (const std::exception& error) {
    complain(error.what());
    return kFailed;
  }
  return kWell;
}

int check(const CheckOptions& options) {
  config::Loaded loaded;
  load(options.file, loaded);
  const std::size_t told = loaded.errors.size();
  if (told == 0) check_uses(loaded);
  for (std::size_t i = told; i < loaded.errors.size(); ++i) std::cerr << loaded.errors[i] << "\n";
  if (!loaded.errors.empty()) {
    std::cerr << loaded.errors.size() << (loaded.errors.size() == 1 ? " error\n" : " errors\n");
    return kFailed;
  }
  if (options.print)
    print(loaded);
  else
    std::cout << options.file << ": well; " << loaded.origin.size() << " of " << config::keys().size() << " keys are set\n";
  return kWell;
}

namespace {

// Without a method: what is served there, with signatures and documentation.
void list_methods(Caller& caller) {
  const Value names = caller.call("system.listMethods", {});
  const auto* list = names.get_if<Value::Array>();
  if (!list) throw CallFailed("the server does not list its methods");
  for (const Value& name : *list) {
    const Value signatures = caller.call("system.methodSignature", {name});
    const Value help = caller.call("system.methodHelp", {name});
    std::string parameters;
    if (auto* rows = signatures.get_if<Value::Array>(); rows && !rows->empty())
      if (auto* row = rows->back().get_if<Value::Array>())
        for (std::size_t i = 1; i < row->size(); ++i) parameters += (i > 1 ? ", " : "") + *(*row)[i].get_if<std::string>();
    std::cout << *name.get_if<std::string>() << "(" << parameters << ")\n    " << *help.get_if<std::string>() << "\n";
  }
}

}  // namespace

int call(const CallOptions& options) {
  Value::Array args;
  try {
    for (const std::string& text : options.args) {
      if (text != "-") {
        args.push_back(argument(text));
        continue;
      }
      const std::string input((std::istreambuf_iterator<char>(std::cin)), {});
      args.push_back(argument(input));
    }
  } catch (const std::exception& error) {
    complain("argument " + std::to_string(args.size() + 1) + ": " + error.what());
    return kUsage;
  }
  const int indent = options.compact || !::isatty(STDOUT_FILENO) ? -1 : 2;
  auto show = [&](const Value& value, int how) { std::cout << to_json(value).dump(how, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl; };
  try {
    auto caller = connect(options.url, static_cast<int>(std::lround(options.timeout_s * 1000)), options.proofs);
    if (options.method.empty()) {
      list_methods(*caller);
      return kWell;
    }
    if (auto result = caller->call(options.method, args, [&](Value&& item) { show(item, -1); })) show(*result, indent);
    return kWell;
  } catch (const CallFailed& failed) {
    std::cerr << failed.what() << "\n";
    return kFailed;
  } catch (const std::invalid_argument& wrong) {
    complain(wrong.what());
    return kUsage;
  } catch (const Fault& fault) {  // an argument that the wire cannot carry
    complain(fault.message());
    return kUsage;
  } catch (const std::exception& nobody) {
    complain(nobody.what());
    return kNoAnswer;
  }
}

}  // namespace sluice::commands
