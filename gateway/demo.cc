// sluice demo: the whole product in half a minute, on real data: countries, subdivisions and languages of the iso-codes package.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "gateway/caller.h"
#include "gateway/commands.h"
#include "gateway/compose.h"
#include "gateway/json.h"

namespace sluice::commands {
namespace {

using Json = nlohmann::ordered_json;

const bool kTerminal = ::isatty(STDOUT_FILENO);
std::string paint(const char* code, const std::string& text) { return kTerminal ? std::string("\033[") + code + "m" + text + "\033[0m" : text; }
std::string bold(const std::string& text) { return paint("1", text); }
std::string faint(const std::string& text) { return paint("2", text); }
std::string green(const std::string& text) { return paint("32", text); }
std::string red(const std::string& text) { return paint("31", text); }

struct Dataset {
  const char* file;
  const char* list;  // the member of the file that holds the entries
  const char* table;
  std::vector<std::pair<const char*, const char*>> columns;  // column, member of an entry
};

const Dataset kDatasets[] = {
    {"iso_3166-1.json", "3166-1", "country", {{"alpha_2", "alpha_2"}, {"alpha_3", "alpha_3"}, {"name", "name"}, {"flag", "flag"}}},
    {"iso_3166-2.json", "3166-2", "subdivision", {{"code", "code"}, {"name", "name"}, {"type", "type"}}},
    {"iso_639-2.json", "639-2", "language", {{"alpha_3", "alpha_3"}, {"name", "name"}}},
};

void progress(const std::string& what, std::size_t done, std::size_t all) {
  constexpr std::size_t kWidth = 30;
  const std::size_t filled = all ? done * kWidth / all : kWidth;
  std::string bar;
  for (std::size_t i = 0; i < kWidth; ++i) bar += i < filled ? "█" : "░";
  if (kTerminal)
    std::cout << "\r  " << bar << " " << done << "/" << all << " " << what << "\033[K" << std::flush;
  else if (done == all)
    std::cout << "  " << done << " rows of " << what << "\n";
  if (kTerminal && done == all) std::cout << "\n";
}

std::size_t import(Caller& caller, const Dataset& set) {
  const std::string path = std::string("/usr/share/iso-codes/json/") + set.file;
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " is not there; install the package iso-codes (scripts/demo does)");
  const Json entries = Json::parse(file).at(set.list);
  std::string columns, marks;
  for (const auto& [column, member] : set.columns) {
    columns += std::string(columns.empty() ? "" : ", ") + column;
    marks += marks.empty() ? "?" : ", ?";
  }
  const std::string first = set.columns.front().first;
  caller.call("sql.execute", {"CREATE TABLE " + std::string(set.table) + "(" + columns + ", PRIMARY KEY(" + first + "))"});
  const std::string insert = "INSERT INTO " + std::string(set.table) + "(" + columns + ") VALUES (" + marks + ")";
  constexpr std::size_t kAtOnce = 250;
  std::size_t done = 0;
  Value::Array batch;
  for (const Json& entry : entries) {
    Value::Array row;
    for (const auto& [column, member] : set.columns) row.push_back(entry.contains(member) ? Value(entry.at(member).get<std::string>()) : Value());
    batch.push_back(Value::Array{insert, Value(std::move(row))});
    if (batch.size() == kAtOnce || done + batch.size() == entries.size()) {
      done += batch.size();
      caller.call("sql.batch", {Value(std::exchange(batch, {}))});
      progress(set.table, done, entries.size());
    }
  }
  return done;
}

// One call, shown as it went: the request, the answer, its route, and whether it was what it should be.
class Show {
 public:
  void operator()(const char* wire, Caller& caller, const std::string& method, const Value::Array& args, const std::function<bool(const Value&)>& right) {
    std::string shown;
    for (const Value& arg : args) shown += (shown.empty() ? "" : ", ") + text(arg);
    std::cout << "\n" << faint(std::string(wire) + "  ") << bold(method) << "(" << shown << ")\n";
    try {
      const Value answer = caller.call(method, args);
      const Value* rows = answer.find("rows");
      const Value* route = answer.find("route");
      std::cout << "    → " << text(rows ? *rows : answer) << "\n";
      if (route)
        std::cout << faint("    route: " + *route->find("role")->get_if<std::string>() + ", " + *route->find("class")->get_if<std::string>() + ", because " +
                           *route->find("why")->get_if<std::string>())
                  << "\n";
      verdict(right(answer), "");
    } catch (const std::exception& error) {
      verdict(false, error.what());
    }
  }
  // A call that must fail, and how.
  void fails(const char* wire, Caller& caller, const std::string& method, const Value::Array& args, const std::string& with) {
    std::string shown;
    for (const Value& arg : args) shown += (shown.empty() ? "" : ", ") + text(arg);
    std::cout << "\n" << faint(std::string(wire) + "  ") << bold(method) << "(" << shown << ")\n";
    try {
      caller.call(method, args);
      verdict(false, "it should have failed");
    } catch (const CallFailed& failed) {
      std::cout << "    ✗ " << failed.what() << "\n";
      verdict(std::string(failed.what()).find(with) != std::string::npos, "expected '" + with + "'");
    }
  }
  bool all_right() const { return wrong_ == 0; }
  int count() const { return count_; }

 private:
  static std::string text(const Value& value) {
    std::string out = to_json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
    return out.size() > 300 ? out.substr(0, 297) + "..." : out;
  }
  void verdict(bool right, const std::string& why) {
    ++count_;
    if (right) return;
    ++wrong_;
    std::cout << red("    wrong") << (why.empty() ? "" : ": " + why) << "\n";
  }
  int count_ = 0, wrong_ = 0;
};

bool examples(Caller& xmlrpc, Caller& zerorpc) {
  Show show;
  auto is = [](Value expected) { return [expected](const Value& answer) { return answer == expected; }; };
  auto rows = [](Value::Array expected) {
    return [expected](const Value& answer) {
      const Value* rows = answer.find("rows");
      return rows && *rows == Value(expected);
    };
  };
  show("xmlrpc ", xmlrpc, "add", {3, 4}, is(7));
  show("zerorpc", zerorpc, "add", {88, 77}, is(165));
  show("xmlrpc ", xmlrpc, "sql.query", {"SELECT name, flag FROM country WHERE alpha_2 = ?", Value::Array{"NO"}}, rows({Value::Array{"Norway", "🇳🇴"}}));
  show("zerorpc", zerorpc, "sql.query", {"SELECT count(*) FROM subdivision WHERE code LIKE $1", Value::Array{"CH-%"}}, rows({Value::Array{26}}));
  Value token;
  show("xmlrpc ", xmlrpc, "sql.execute", {"CREATE TABLE IF NOT EXISTS visit(country TEXT REFERENCES country(alpha_2), at TEXT DEFAULT CURRENT_TIMESTAMP)"},
       [](const Value& answer) { return answer.find("token") != nullptr; });
  show("xmlrpc ", xmlrpc, "sql.execute", {"INSERT INTO visit(country) VALUES (?)", Value::Array{"IS"}}, [&](const Value& answer) {
    if (auto* given = answer.find("token")) token = *given;
    return *answer.find("affected") == Value(1);
  });
  show("zerorpc", zerorpc, "sql.query", {"SELECT name FROM visit JOIN country ON alpha_2 = country", Value(), Value::Struct{{"after", token}}},
       rows({Value::Array{"Iceland"}}));
  show("zerorpc", zerorpc, "sql.stream", {"SELECT name FROM language WHERE name LIKE '%, Old%' ORDER BY name LIMIT 3"}, [](const Value& answer) {
    auto* items = answer.get_if<Value::Array>();
    return items && items->size() == 3;
  });
  show("xmlrpc ", xmlrpc, "sql.explain", {"UPDATE country SET name = 'x'"}, [](const Value& answer) { return *answer.find("class") == Value("write"); });
  show.fails("xmlrpc ", xmlrpc, "divide", {1, 0}, "ZeroDivisionError");
  show.fails("zerorpc", zerorpc, "sql.qurey", {"SELECT 1"}, "NameError");
  show.fails("xmlrpc ", xmlrpc, "sql.query", {"SELECT nmae FROM country"}, "no such column");
  if (show.all_right()) std::cout << "\n" << green("all " + std::to_string(show.count()) + " examples were right") << "\n";
  return show.all_right();
}

}  // namespace

int demo(const DemoOptions& options) {
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(options.data + suffix);
  config::Loaded loaded;
  if (!load("", loaded)) return kFailed;
  loaded.settings.sqlite.file = options.data;
  loaded.settings.xmlrpc_listen = {options.xmlrpc};
  loaded.settings.zerorpc_listen = {options.zerorpc};
  config::settle(loaded.settings);
  try {
    Gateway gateway(loaded.settings);
    bool right = false;
    std::thread shower([&] {
      try {
        auto xmlrpc = connect(gateway.endpoints("xmlrpc").front(), 30'000);
        auto zerorpc = connect(gateway.endpoints("zerorpc").front(), 30'000);
        std::cout << bold("importing through the gateway, by sql.batch over zerorpc") << "\n";
        for (const Dataset& set : kDatasets) import(*zerorpc, set);
        right = examples(*xmlrpc, *zerorpc);
      } catch (const std::exception& error) {
        std::cerr << "sluice: demo: " << error.what() << "\n";
      }
      if (options.once || !right) return gateway.stop();
      std::cout << "\n" << gateway.ready_line() << "\nTry:  python3 -c 'import xmlrpc.client as x; print(x.ServerProxy(\"" << gateway.endpoints("xmlrpc").front()
                << "\").add(3, 4))'\nCtrl-C ends it." << std::endl;
    });
    gateway.run();
    shower.join();
    return right ? kWell : kFailed;
  } catch (const std::exception& error) {
    std::cerr << "sluice: " << error.what() << "\n";
    return kFailed;
  }
}

}  // namespace sluice::commands
