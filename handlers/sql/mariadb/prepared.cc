// MariaLink: statements at the server, and what is bound to them.

#include "handlers/sql/mariadb/link.h"

namespace sluice::sql::mariadb {

const Marked& MariaLink::marked(const Statement& statement) {
  Known& known = statements_.look(statement.text);
  if (!statement.params.get_if<Value::Struct>()) return known.marked;
  if (!known.named) known.named = std::make_unique<Marked>(mark_placeholders(statement.text, true));
  return *known.named;
}

// Its values live in the trip until the end.
std::optional<Fault> MariaLink::prepare_parameters(const Statement& statement) {
  try {
    running_ = marked(statement);
    parameters_.emplace(in_order(running_, statement.params));
  } catch (const Fault& fault) {
    return fault;
  }
  return std::nullopt;
}

bool MariaLink::bind(MYSQL_STMT* statement) { return parameters_->count() == 0 || mysql_stmt_bind_param(statement, parameters_->binds()) == 0; }

MYSQL_STMT* MariaLink::find_prepared(const std::string& text) {
  const auto found = by_text_.find(text);
  if (found == by_text_.end()) return nullptr;
  prepared_.splice(prepared_.begin(), prepared_, found->second);
  return prepared_.front().statement;
}

void MariaLink::keep(const std::string& text, MYSQL_STMT* statement) {
  prepared_.push_front({text, statement});
  by_text_.emplace(prepared_.front().text, prepared_.begin());
}

void MariaLink::forget(MYSQL_STMT* statement) {
  for (auto at = prepared_.begin(); at != prepared_.end(); ++at) {
    if (at->statement != statement) continue;
    by_text_.erase(at->text);
    prepared_.erase(at);
    return;
  }
}

}  // namespace sluice::sql::mariadb
