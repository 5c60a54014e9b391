#pragma once
// The statements by which a SQL database keeps what a Store keeps. Databases differ in a few words.

#include <string>
#include <string_view>
#include <vector>

namespace sluice::id {

// Texts with :names. Where there are several, they are one transaction. A database that counts its changes answers their number in a
// field more of the last statement's row.
struct Statements {
  std::vector<std::string> setup;     // :boot :identity; the last answers the identity that the database has, and how often it changed
  std::vector<std::string> adopt;     // :identity :mark :changes; before the last of the setup
  std::vector<std::string> claim;     // :space :layout :gateway :instance :workers :floor :span :lease; the last answers one row: layout, worker, epoch, mark, ms until the first lease ends
  std::vector<std::string> extend;    // :space :gateway :instance :worker :epoch :mark :lease; the last answers 1 when it was kept
  std::vector<std::string> release;   // the same
  std::vector<std::string> create;    // :tag :first :step :delta; the first changes, the last answers (step, delta, next)
  std::vector<std::string> reserve;   // :tag :count; the first changes, the last answers (next, step, delta)
  std::string make_sequence;          // {name} is an identifier
  std::vector<std::string> sequence;  // {name}
  bool sequence_by_insert = false;    // the number is the first statement's last_insert_id, not in the last one's row
};

// "sqlite", "postgresql" or "mariadb". Throws Fault (bad_arguments) for another.
Statements statements_of(std::string_view dialect);

}  // namespace sluice::id
