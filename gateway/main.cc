// sluice: the command line.

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>

#include "gateway/commands.h"
#include "gateway/compose.h"
#include "gateway/user_command.h"

namespace {

// Not CLI::Range, which lets "nan" pass and shows its limits to the last digit.
std::string seconds_problem(const std::string& text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds >= 0.001 && seconds <= 86'400) return {};
  return "expected a number of seconds from 0.001 to 86400, not '" + text + "'";
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sluice;
  CLI::App app("A gateway that RPC clients reach their data through: XML-RPC and zerorpc in front of a database.");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("sluice ") + kVersion);
  app.get_formatter()->column_width(34);
  int result = 0;

  commands::ServeOptions serve;
  auto* serve_command = app.add_subcommand("serve", "Serve until SIGTERM or Ctrl-C");
  serve_command->add_option("-c,--config", serve.file, "Configuration file (TOML)")->type_name("FILE");
  serve_command->add_option("--xmlrpc", serve.xmlrpc, "Listen for XML-RPC here (127.0.0.1:4242)")->type_name("HOST:PORT");
  serve_command->add_option("--zerorpc", serve.zerorpc, "Listen for zerorpc here, tcp:// or ipc:// (tcp://127.0.0.1:4243)")->type_name("ENDPOINT");
  serve_command->add_option("--data", serve.data, "The database: a file (./sluice.db), or postgresql://USER@HOST:PORT,HOST:PORT/NAME")->type_name("FILE|URL");
  serve_command->add_flag("--probe", serve.probe, "Serve the probe methods, to try clients with");
  serve_command->add_flag("--listen-without-authentication", serve.exposed, "Allow addresses that other machines can reach");
  serve_command->add_flag("--print-config", serve.print, "Print the configuration in force and its origins, then stop");
  serve_command->footer("Prints one line when it is ready. Each configuration key can be set as SLUICE_SECTION_KEY.\nExample: sluice serve --xmlrpc 127.0.0.1:8080 --data /var/lib/sluice/data.db");
  serve_command->callback([&] { result = commands::serve(serve); });

  commands::CheckOptions check;
  auto* check_command = app.add_subcommand("check", "Check a configuration file: every error with its line and a caret");
  check_command->add_option("FILE", check.file, "Configuration file (TOML)")->required();
  check_command->add_flag("--print-config", check.print, "Print the configuration in force and its origins");
  check_command->callback([&] { result = commands::check(check); });

  commands::CallOptions call;
  auto* call_command = app.add_subcommand("call", "Call a method; without one, list those that are served");
  call_command->add_option("URL", call.url, "http://[NAME[:PASSWORD]@]HOST:PORT, https:// likewise, tcp://HOST:PORT or ipc://FILE;\na PASSWORD here stands in `ps` too: use --password-file")->required();
  call_command->add_option("METHOD", call.method, "Name of the method, followed by its arguments as JSON;\nwhat is no JSON is a string; - reads standard input");
  call_command->add_option("--timeout", call.timeout_s, "Seconds to wait for the answer, 0.001 to 86400 (30)")->check(CLI::Validator(seconds_problem, ""))->type_name("SECONDS");
  call_command->add_option("--password-file", call.proofs.password_file, "http, https: its first line is the password of NAME in the URL")->type_name("FILE");
  call_command->add_option("--ca", call.proofs.ca, "https: certificates that vouch for the server's, in place of the system's")->type_name("FILE");
  call_command->add_option("--cert", call.proofs.certificate, "https: a certificate of one's own")->type_name("FILE");
  call_command->add_option("--key", call.proofs.key, "https: its key, when it is not in the same file")->type_name("FILE");
  call_command->add_option("--server-key", call.proofs.server_key, "zerorpc: the server's CURVE public key")->type_name("KEY");
  call_command->add_option("--curve-keys", call.proofs.keys, "zerorpc: a file of `sluice keygen`; without one, a key for this call alone")->type_name("FILE");
  call_command->add_flag("--compact", call.compact, "Answers on one line, on a terminal too");
  // Not an option of several values: CLI11 would take a JSON array apart at its commas.
  call_command->prefix_command();
  call_command->footer(
      "Options stand before the URL. Answers are JSON; the items of a stream come line by line. Bytes are {\"$base64\": \"aGk=\"}, times {\"$datetime\": \"20261123T14:05:00\"}, both ways.\n"
      "Exit codes: 0 answered, 1 the server answered with a fault or refused the login, 2 wrong usage, 3 no answer.\n"
      "Examples:\n"
      "  sluice call http://127.0.0.1:4242 add 3 4\n"
      "  sluice call tcp://127.0.0.1:4243 sql.query 'SELECT name FROM city WHERE country = ?' '[\"NO\"]'\n"
      "  echo '[1, 2]' | sluice call tcp://127.0.0.1:4243 echo -");
  call_command->callback([&] {
    call.args = call_command->remaining();
    result = commands::call(call);
  });

  commands::DemoOptions demo;
  auto* demo_command = app.add_subcommand("demo", "Fill a database with real data, show calls over both wires, serve");
  demo_command->add_flag("--once", demo.once, "Stop after the examples; exit code 0 only when every one was right");
  demo_command->add_option("--data", demo.data, "The database file, made anew (./demo.db)")->type_name("FILE");
  demo_command->add_option("--xmlrpc", demo.xmlrpc, "Listen for XML-RPC here (127.0.0.1:4242)")->type_name("HOST:PORT");
  demo_command->add_option("--zerorpc", demo.zerorpc, "Listen for zerorpc here (tcp://127.0.0.1:4243)")->type_name("ENDPOINT");
  demo_command->callback([&] { result = commands::demo(demo); });

  commands::UserOptions user;
  auto* user_command = app.add_subcommand("user", "Who may log in: add, list, remove. A running gateway learns of it by SIGHUP");
  user_command->require_subcommand(1);
  auto user_action = [&](const char* name, const char* help, int (*run)(const commands::UserOptions&)) {
    auto* action = user_command->add_subcommand(name, help);
    action->add_option("--users", user.file, "The file of users")->type_name("FILE");
    action->add_option("-c,--config", user.config, "A configuration whose access.users names the file; add gives roles of it alone")->type_name("FILE");
    action->callback([&user, &result, run] { result = run(user); });
    return action;
  };
  auto* user_add = user_action("add", "Add a way to log in; a password is asked for, or is the first line of standard input", commands::user_add);
  user_add->add_option("NAME", user.name)->required();
  user_add->add_option("--role", user.roles, "A role of the configuration; several times for several")->required()->type_name("ROLE");
  auto* kinds = user_add->add_option_group("in place of a password");
  kinds->add_flag("--token", user.token, "Make a bearer token and print it, this once");
  kinds->add_option("--certificate", user.certificate, "The common name of a client's certificate")->type_name("NAME");
  kinds->add_option("--key", user.key, "A CURVE public key")->type_name("KEY");
  kinds->require_option(0, 1);
  user_action("list", "List the users with their kinds of login and their roles", commands::user_list);
  user_action("remove", "Remove a user with all of his logins", commands::user_remove)->add_option("NAME", user.name)->required();

  std::string key_file;
  auto* keygen_command = app.add_subcommand("keygen", "Make a CURVE key pair for zerorpc, and print its public key");
  keygen_command->add_option("FILE", key_file, "Where the pair goes, readable by its owner alone")->required();
  keygen_command->callback([&] { result = commands::keygen(key_file); });

  app.add_subcommand("version", "Print the version")->callback([] { std::cout << "sluice " << kVersion << "\n"; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? commands::kWell : commands::kUsage;
  }
  return result;
}
