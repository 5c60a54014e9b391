#pragma once
// The statements by which a SQL database keeps leases. Databases differ in a few words, which stand in a Dialect.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "handlers/sql/backend.h"

namespace sluice::lock {

// A text with :names, and which names those are.
class Template {
 public:
  explicit Template(std::string text);
  sql::Statement with(const Value::Struct& all) const;  // picks its own parameters out of all of them
  bool changes() const noexcept { return !text_.starts_with("SELECT"); }

 private:
  std::string text_;
  std::vector<std::string> names_;
};

// What a server that tells of releases by itself sends them on; the text is the name.
inline constexpr std::string_view kChannel = "sluice_locks";

struct Statements {
  std::vector<Template> setup;    // :boot
  std::vector<Template> acquire;  // :names :owner :nonce :ttl :slots :reentry :epoch; the last one answers holders
  Template intent;                // as acquire, and :intent; goes before the last
  std::vector<Template> undo;     // :names :owner :nonce
  std::vector<Template> release;  // :name :owner :token; the last answers (count, newest), and a change before it says that it was held
  std::vector<Template> renew;    // :name :owner :token :ttl; the same
  std::vector<Template> force;    // :name :epoch :most; the first answers the holders, the last the newest token
  Template inspect;               // :name :most; answers (name, newest) and a holder in each row, nils for no holder
  Template list;                  // :from :to :most; the same
  std::vector<Template> purge;    // :age
  std::optional<Template> mark;   // :name :span; a release of that name within the span is told on kChannel. None: nothing is told
};

// Of the rows that tell of holders, in this order: name, owner, token, slots, count, ms left, ms held; acquire adds its nonce.

// Most acquires are of one name: theirs take :names as that name itself, which spares the database the JSON.
enum class Names : std::uint8_t { one, json };
Statements sqlite_statements(Names);
Statements postgresql_statements(Names);
Statements mariadb_statements(Names);

}  // namespace sluice::lock
