#include "handlers/sql/named.h"

#include <algorithm>
#include <array>
#include <map>

#include "handlers/sql/dialects.h"
#include "handlers/sql/options.h"
#include "rpc/nearest.h"
#include "rpc/read_file.h"

namespace sluice::sql {
namespace {

// What a parameter may be called in a file, and the type that callers see.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kTypes{
    {{"any", "any"}, {"int", "int"}, {"double", "double"}, {"text", "string"}, {"bool", "boolean"}, {"bytes", "base64"}, {"time", "dateTime.iso8601"}}};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_name(std::string_view name, bool dotted) {
  return !name.empty() && name.front() != '.' && name.back() != '.' && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (dotted && c == '.');
  });
}

// Has the text a :name in it? A cast's `::` is none.
bool calls_by_name(std::string_view text, const std::string& name) {
  const std::string wanted = ":" + name;
  for (auto at = text.find(wanted); at != text.npos; at = text.find(wanted, at + 1)) {
    const auto end = at + wanted.size();
    const bool whole = end == text.size() || (!is_name(text.substr(end, 1), false) && text[end] != '$');
    if (whole && (at == 0 || text[at - 1] != ':')) return true;
  }
  return false;
}

class Parser {
 public:
  Parser(const std::string& file, std::string_view content) : file_(file), content_(content) {}

  std::vector<NamedStatement> parse() {
    while (!content_.empty()) {
      const auto end = std::min(content_.find('\n'), content_.size());
      line_ = content_.substr(0, end);
      content_.remove_prefix(std::min(end + 1, content_.size()));
      ++number_;
      take();
    }
    finish();
    if (statements_.empty()) {
      number_ = 1;
      fail(line_, "the file has no statement; one begins with '-- name: handler.method'");
    }
    return std::move(statements_);
  }

 private:
  void take() {
    std::string_view rest = trimmed(line_);
    if (!rest.starts_with("--")) {
      if (rest.empty()) return;
      if (statements_.empty()) fail(rest, "a statement needs a name first: '-- name: handler.method'");
      in_text_ = true;
      statements_.back().text.append(line_).append("\n");
      return;
    }
    rest = trimmed(rest.substr(2));
    const auto colon = rest.find(':');
    const std::string_view key = trimmed(rest.substr(0, std::min(colon, rest.size())));
    const std::string_view value = colon == rest.npos ? std::string_view() : trimmed(rest.substr(colon + 1));
    if (colon != rest.npos && key == "name") return begin(value);
    if (in_text_ || statements_.empty()) return;  // a comment like any other
    if (rest == "read" || rest == "write") {
      if (kind_given_) fail(rest, "'read' or 'write' stands once");
      kind_given_ = true;
      statements_.back().writes = rest == "write";
    } else if (colon == rest.npos) {
      return;
    } else if (key == "doc") {
      auto& help = statements_.back().help;
      help += (help.empty() ? "" : " ") + std::string(value);
    } else if (key == "db") {
      if (!is_name(value, false)) fail(value, "expected the name of a database, of letters, digits and '_'");
      statements_.back().db = value;
    } else if (key == "param") {
      parameter(value);
    } else {
      constexpr std::array<std::string_view, 4> kKeys{"name", "param", "doc", "db"};
      if (auto close = nearest(key, kKeys); !close.empty()) fail(key, "'" + std::string(key) + "' is no header; did you mean '" + std::string(close) + "'?");
    }
  }

  void begin(std::string_view name) {
    finish();
    if (!is_name(name, true) || name.find('.') == name.npos) fail(name, "expected a name such as city.by_country, of letters, digits, '_' and a dot");
    NamedStatement statement;
    statement.name = name;
    statement.file = file_;
    statement.line = number_;
    statements_.push_back(std::move(statement));
    in_text_ = kind_given_ = false;
  }

  void parameter(std::string_view value) {
    const auto space = value.find_first_of(" \t");
    const std::string_view name = value.substr(0, std::min(space, value.size()));
    const std::string_view type = space == value.npos ? std::string_view() : trimmed(value.substr(space));
    const auto known = std::ranges::find(kTypes, type, [](auto& t) { return t.first; });
    if (!is_name(name, false)) fail(value, "expected a parameter's name and type, such as: -- param: country text");
    if (known == kTypes.end()) {
      std::array<std::string_view, kTypes.size()> names;
      std::ranges::transform(kTypes, names.begin(), [](auto& t) { return t.first; });
      const auto close = nearest(type, names);
      fail(type.empty() ? value : type, "'" + std::string(type) + "' is no type; " + (close.empty() ? "expected any, int, double, text, bool, bytes or time" : "did you mean '" + std::string(close) + "'?"));
    }
    statements_.back().parameters.push_back({std::string(known->second), std::string(name), false});
  }

  void finish() {
    if (statements_.empty()) return;
    NamedStatement& last = statements_.back();
    const auto kept = number_;
    number_ = last.line;
    if (trimmed(last.text).empty()) fail({}, last.name + " has no statement");
    if (!kind_given_) fail({}, last.name + " does not say '-- read' or '-- write'");
    number_ = kept;
    last.text = trimmed(last.text);
    while (last.text.ends_with(';')) last.text = trimmed(std::string_view(last.text).substr(0, last.text.size() - 1));
  }

  [[noreturn]] void fail(std::string_view at, const std::string& what) const {
    const bool inside = at.data() >= line_.data() && at.data() <= line_.data() + line_.size();
    const auto column = inside ? at.data() - line_.data() + 1 : 1;
    throw Fault(Fault::Kind::bad_arguments, file_ + ":" + std::to_string(number_) + ":" + std::to_string(column) + ": " + what);
  }

  const std::string& file_;
  std::string_view content_, line_;
  int number_ = 0;
  bool in_text_ = false, kind_given_ = false;
  std::vector<NamedStatement> statements_;
};

}  // namespace

std::vector<NamedStatement> parse_named(const std::string& file, std::string_view content) { return Parser(file, content).parse(); }

std::vector<NamedStatement> load_named(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".sql") files.push_back(entry.path());
  if (error) throw Fault(Fault::Kind::bad_arguments, "the folder of named statements '" + folder.string() + "' cannot be read: " + error.message());
  std::ranges::sort(files);
  std::vector<NamedStatement> all;
  std::map<std::string, std::string> seen;
  for (const auto& file : files) {
    const std::string content = read_file(file.string());
    for (NamedStatement& statement : parse_named(file.string(), content)) {
      const std::string place = statement.file + ":" + std::to_string(statement.line);
      if (auto [at, fresh] = seen.emplace(statement.name, place); !fresh)
        throw Fault(Fault::Kind::bad_arguments, place + ":1: the name " + statement.name + " stands already at " + at->second);
      all.push_back(std::move(statement));
    }
  }
  return all;
}

void check_named(const std::vector<NamedStatement>& statements, const std::function<std::string(const std::string& db)>& dialect_of) {
  for (const NamedStatement& statement : statements) {
    auto fail = [&](const std::string& what) { throw Fault(Fault::Kind::bad_arguments, statement.file + ":" + std::to_string(statement.line) + ":1: " + statement.name + " " + what); };
    const std::string dialect = dialect_of(statement.db);
    if (dialect.empty()) fail("is for the database '" + statement.db + "', which is not configured: there is no [database." + statement.db + "]");
    const auto verdict = classify(dialect, statement.text);
    if (!verdict) continue;
    if (verdict->kind == Class::session) fail("cannot be served: " + verdict->why);
    if (verdict->kind == Class::write && !statement.writes) fail("is called a read, and is a write: " + verdict->why + "; say '-- write'");
  }
}

std::vector<Method> Named::methods() {
  std::vector<Method> methods;
  for (const NamedStatement& statement : statements_) {
    Method m;
    m.name = statement.name;
    m.help = statement.help;
    m.effect = statement.writes ? Effect::write : Effect::read;
    m.waits = true;
    m.signature.result = "struct";
    m.signature.parameters = statement.parameters;
    m.signature.parameters.push_back({"struct", "options", true});
    const auto described = std::make_shared<const Method>(m);
    // Parameters are passed by place, unless the statement calls the first of them by its name.
    const bool by_name = !statement.parameters.empty() && calls_by_name(statement.text, statement.parameters.front().name);
    m.body = [this, described, text = statement.text, db = statement.db, writes = statement.writes, by_name](Call& call, Reply&& reply) {
      const auto& parameters = described->signature.parameters;
      const std::size_t count = parameters.size() - 1;
      if (call.args.size() < count || call.args.size() > count + 1) throw wrong_count(*described, call.args.size());
      Options options;
      if (call.args.size() > count && !call.args.back().is_nil()) {
        auto* given = call.args.back().get_if<Value::Struct>();
        if (!given) throw wrong_type(*described, count, call.args.back());
        options = read_options(described->name, *given);
      }
      // What it may do was decided for its own database.
      const auto at = options.tx.find('@');
      if ((!options.db.empty() && options.db != db) || (at != options.tx.npos && options.tx.substr(at + 1) != db))
        throw Fault(Fault::Kind::bad_arguments, described->name + "() is a statement of " + (db.empty() ? "the default database" : "the database '" + db + "'") + "; leave the option 'db' out");
      options.db = db;
      if (!writes) refuse_guards(described->name, options);
      for (std::size_t i = 0; i < count; ++i)
        if (const Value& came = call.args[i]; !came.is_nil() && parameters[i].type != "any" && kind_name(came.kind()) != parameters[i].type &&
                                               !(parameters[i].type == "double" && came.kind() == Value::Kind::integer))
          throw wrong_type(*described, i, came);
      call.args.resize(count);
      Value params(std::move(call.args));
      if (by_name) {
        Value::Struct named;
        for (std::size_t i = 0; i < count; ++i) named.emplace_back(parameters[i].name, std::move((*params.get_if<Value::Array>())[i]));
        params = std::move(named);
      }
      sql_.run(std::move(reply), {text, std::move(params)}, std::move(options), writes);
    };
    methods.push_back(std::move(m));
  }
  return methods;
}

}  // namespace sluice::sql
