#pragma once
// Named: statements from .sql files, served as methods with true signatures. docs/named-statements.md has the format.

#include <filesystem>
#include <functional>

#include "handlers/sql/sql.h"

namespace sluice::sql {

struct NamedStatement {
  std::string name;  // "city.by_country", the method's name
  bool writes = false;
  std::string help;
  std::vector<Parameter> parameters;
  std::string db;  // "": the default one
  std::string text;
  std::string file;
  int line = 0;  // of its "-- name:"
};

// One file's statements. Throws Fault (bad_arguments) whose message begins with file:line:column.
std::vector<NamedStatement> parse_named(const std::string& file, std::string_view content);

// Every *.sql file of a folder, in the order of their names. Throws as parse_named() does, and for a name that stands twice.
std::vector<NamedStatement> load_named(const std::filesystem::path& folder);

// Holds each statement to what it says of itself, by the grammar of its database: a read must not write, and nothing may change a
// connection. `dialect_of` knows the databases by name ("": the default one) and answers "" for one that is not there. Throws as
// parse_named() does.
void check_named(const std::vector<NamedStatement>&, const std::function<std::string(const std::string& db)>& dialect_of);

class Named final : public Handler {
 public:
  Named(Sql& sql, std::vector<NamedStatement> statements) : sql_(sql), statements_(std::move(statements)) {}
  std::string_view name() const override { return ""; }  // each statement brings its whole name
  std::vector<Method> methods() override;

 private:
  Sql& sql_;
  std::vector<NamedStatement> statements_;
};

}  // namespace sluice::sql
