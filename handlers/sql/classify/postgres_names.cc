#include "handlers/sql/classify/postgres_names.h"

#include <algorithm>
#include <cstdint>

namespace sluice::sql {
namespace {

struct Known {
  std::string_view name;  // a `*` at the end: whatever begins so
  Class kind;
  const char* why;
};

// Functions of PostgreSQL and its contributed modules that are no plain reads. Sending one of these to a replica would be wrong although
// many of them are accepted there.
constexpr Known kEffects[] = {
    {"nextval", Class::write, "moves a sequence"},
    {"setval", Class::write, "moves a sequence"},
    {"lo_creat", Class::write, "makes a large object"},
    {"lo_create", Class::write, "makes a large object"},
    {"lo_from_bytea", Class::write, "makes a large object"},
    {"lo_import", Class::write, "makes a large object"},
    {"lo_export", Class::write, "writes a file on the server"},
    {"lo_put", Class::write, "changes a large object"},
    {"lo_unlink", Class::write, "removes a large object"},
    {"lo_truncate", Class::write, "changes a large object"},
    {"lo_truncate64", Class::write, "changes a large object"},
    {"lowrite", Class::write, "changes a large object"},
    {"lo_open", Class::primary, "works on a large object that the transaction has open"},
    {"lo_close", Class::primary, "works on a large object that the transaction has open"},
    {"lo_lseek", Class::primary, "works on a large object that the transaction has open"},
    {"lo_lseek64", Class::primary, "works on a large object that the transaction has open"},
    {"lo_tell", Class::primary, "works on a large object that the transaction has open"},
    {"lo_tell64", Class::primary, "works on a large object that the transaction has open"},
    {"loread", Class::primary, "works on a large object that the transaction has open"},
    {"pg_notify", Class::write, "tells listeners"},
    {"dblink*", Class::write, "runs statements on another connection"},
    {"postgres_fdw_*", Class::write, "works on other connections"},
    {"pg_advisory_xact_*", Class::primary, "holds a lock in a transaction"},
    {"pg_try_advisory_xact_*", Class::primary, "holds a lock in a transaction"},
    {"pg_advisory_*", Class::session, "is of locks that the connection holds; lock.acquire holds one for you"},
    {"pg_try_advisory_*", Class::session, "is of locks that the connection holds; lock.acquire holds one for you"},
    {"set_config", Class::session, "changes a setting of the connection"},
    {"setseed", Class::session, "changes the connection's random numbers"},
    {"currval", Class::primary, "tells what the connection itself did before; use RETURNING"},
    {"lastval", Class::primary, "tells what the connection itself did before; use RETURNING"},
    {"pg_sequence_last_value", Class::primary, "tells of a counter that runs ahead on a replica"},
    {"pg_backend_pid", Class::primary, "tells of the connection, which is the gateway's"},
    {"pg_my_temp_schema", Class::primary, "tells of the connection, which is the gateway's"},
    {"pg_listening_channels", Class::primary, "tells of the connection, which is the gateway's"},
    {"pg_cursor", Class::primary, "tells of the connection, which is the gateway's"},
    {"pg_prepared_statement", Class::primary, "tells of the connection, which is the gateway's"},
    {"pg_export_snapshot", Class::session, "shares the connection's snapshot"},
    {"txid_current", Class::primary, "gives the transaction a number"},
    {"pg_current_xact_id", Class::primary, "gives the transaction a number"},
    {"pg_current_wal_*", Class::primary, "is answered by a primary alone"},
    {"pg_walfile_name*", Class::primary, "is answered by a primary alone"},
    {"txid_status", Class::primary, "is answered by a primary alone"},
    {"pg_xact_status", Class::primary, "is answered by a primary alone"},
    {"pg_logical_slot_peek_*", Class::primary, "reads a slot of the primary"},
    {"pg_read_*", Class::primary, "reads a file of the server that runs it"},
    {"pg_stat_file", Class::primary, "looks at a file of the server that runs it"},
    {"pg_ls_*", Class::primary, "lists files of the server that runs it"},
    {"pg_current_logfile", Class::primary, "is of the server that runs it"},
    {"query_to_xml*", Class::write, "runs a text as a statement"},
    {"cursor_to_xml*", Class::session, "reads a cursor of the connection"},
    {"table_to_xml*", Class::primary, "runs statements of its own"},
    {"schema_to_xml*", Class::primary, "runs statements of its own"},
    {"database_to_xml*", Class::primary, "runs statements of its own"},
    {"ts_stat", Class::write, "runs a text as a statement"},
    {"ts_rewrite", Class::primary, "may run a text as a statement"},
    {"crosstab*", Class::write, "runs a text as a statement"},
    {"connectby", Class::write, "runs a text as a statement"},
    {"xpath_table", Class::write, "runs a text as a statement"},
    {"pg_create_*", Class::write, "changes the server"},
    {"pg_drop_*", Class::write, "changes the server"},
    {"pg_copy_*", Class::write, "changes the server"},
    {"pg_logical_*", Class::write, "changes the server"},
    {"pg_replication_*", Class::write, "changes the server"},
    {"pg_switch_wal", Class::write, "changes the server"},
    {"pg_backup_*", Class::write, "changes the server"},
    {"pg_promote", Class::write, "changes the server"},
    {"pg_wal_replay_*", Class::write, "changes the server"},
    {"pg_reload_conf", Class::write, "changes the server"},
    {"pg_rotate_logfile*", Class::write, "changes the server"},
    {"pg_log_*", Class::write, "changes the server"},
    {"pg_terminate_backend", Class::write, "ends another connection"},
    {"pg_cancel_backend", Class::write, "ends another connection's statement"},
    {"pg_stat_reset*", Class::write, "forgets statistics"},
    {"pg_stat_statements_reset", Class::write, "forgets statistics"},
    {"pg_stat_clear_snapshot", Class::session, "changes what the connection sees"},
    {"pg_stat_force_next_flush", Class::session, "changes what the connection does next"},
    {"pg_import_system_collations", Class::write, "changes data"},
    {"brin_*", Class::write, "changes an index"},
    {"gin_clean_pending_list", Class::write, "changes an index"},
    {"pg_prewarm", Class::primary, "loads the cache of the server that runs it"},
    {"pg_nextoid", Class::primary, "moves a counter of the server"},
};

bool matches(const Known& known, std::string_view name) {
  return known.name.ends_with('*') ? name.starts_with(known.name.substr(0, known.name.size() - 1)) : name == known.name;
}

constexpr std::size_t beginning(std::string_view name) {
  return name.size() < 3 ? 0 : static_cast<std::size_t>((name[0] & 31) << 10 | (name[1] & 31) << 5 | (name[2] & 31));
}

// By the first three letters: columns are many, and hardly any begins as these do.
constexpr auto kBeginnings = [] {
  std::array<std::uint32_t, 1024> out{};
  for (const Known& known : kEffects) out[beginning(known.name) / 32] |= 1u << beginning(known.name) % 32;
  return out;
}();

const Known* known_effect(std::string_view name) {
  if (const auto at = beginning(name); (kBeginnings[at / 32] >> at % 32 & 1) == 0) return nullptr;
  const auto known = std::ranges::find_if(kEffects, [&](const Known& one) { return matches(one, name); });
  return known == std::end(kEffects) ? nullptr : known;
}

using Thing = Catalogue::Thing;
using Volatility = Catalogue::Volatility;

Volatility learned(const Catalogue* catalogue, Thing thing, std::string_view schema, std::string_view name) {
  return catalogue ? catalogue->volatility(thing, schema, name) : Volatility::unknown;
}

// The default when a function is made: most that have it only read. Those that do not are refused by a replica, but for what it lets pass:
// locks, say.
constexpr NameEffect kVolatile{Class::primary, false, "is VOLATILE, so it may change something; declare it STABLE if it only reads"};
constexpr NameEffect kCallsVolatile{Class::primary, false, "calls a VOLATILE function, or another that is no plain read"};
constexpr NameEffect kLying{Class::primary, true, "is not declared VOLATILE, yet names what is, or what is no plain read"};

bool of_postgres(std::string_view schema) { return schema.empty() || schema == "pg_catalog"; }

// Of what is not called by name, but calls. A bare name may be that of PostgreSQL's own and of a user's at once.
NameEffect caller(bool ours, Thing thing, std::string_view schema, std::string_view name, const Catalogue* catalogue) {
  const Volatility is = learned(catalogue, thing, schema, name);
  if (is == Volatility::mutating) return kCallsVolatile;
  if (ours || is != Volatility::unknown) return {};
  return {Class::primary, true, "is none of PostgreSQL's own, and may call anything"};
}

}  // namespace

std::vector<std::string> postgres_effects() {
  std::vector<std::string> out;
  for (const Known& known : kEffects) {
    std::string& pattern = out.emplace_back();
    for (const char c : known.name)
      if (c == '*')
        pattern += '%';
      else
        pattern += c == '_' ? std::string("\\_") : std::string(1, c);
  }
  return out;
}

NameEffect postgres_function(std::string_view schema, std::string_view name, const Catalogue* catalogue) {
  const bool reader = of_postgres(schema) && std::ranges::binary_search(kPostgresReaders, name);
  if (reader && !schema.empty()) return {};
  if (!reader)
    if (const Known* known = known_effect(name)) return {known->kind, false, known->why};
  switch (learned(catalogue, Thing::function, schema, name)) {
    case Volatility::immutable:
    case Volatility::stable: return {};
    case Volatility::mutating: return kVolatile;
    case Volatility::lying: return kLying;
    case Volatility::unknown: break;
  }
  if (reader) return {};
  return {Class::primary, true, "is none of PostgreSQL's own functions, and may change something"};
}

NameEffect postgres_field(std::string_view name, const Catalogue* catalogue) {
  if (const Known* known = known_effect(name)) return {known->kind, false, known->why};
  switch (learned(catalogue, Thing::function, "", name)) {
    case Volatility::mutating: return kVolatile;
    case Volatility::lying: return kLying;
    default: break;
  }
  // (5).name may be a cast, too.
  return learned(catalogue, Thing::type, "", name) == Volatility::mutating ? kCallsVolatile : NameEffect{};
}

NameEffect postgres_relation(std::string_view schema, std::string_view name, const Catalogue* catalogue) {
  if (of_postgres(schema) && name == "pg_sequences") return {Class::primary, false, "tells of counters that run ahead on a replica"};
  if (of_postgres(schema) && (name == "pg_cursors" || name == "pg_prepared_statements")) return {Class::primary, false, "tells of the connection, which is the gateway's"};
  switch (learned(catalogue, Thing::relation, schema, name)) {
    case Volatility::mutating:
      return {Class::primary, true, "is a sequence, a foreign table, or calls what is no plain read: a replica may know it wrong, or change something"};
    case Volatility::unknown:
      if (catalogue && !name.starts_with("pg_") && schema != "information_schema") return {Class::primary, true, "may be a view that calls anything: the catalogue is not known"};
      return {};
    default: return {};
  }
}

NameEffect postgres_sequence_column(const Catalogue* catalogue) {
  // Who knows the relations has seen the sequence itself.
  if (learned(catalogue, Thing::relation, "", "") != Volatility::unknown) return {};
  return {Class::primary, false, "may be a sequence's, whose counter runs ahead on a replica"};
}

NameEffect postgres_operator(std::string_view schema, std::string_view name, const Catalogue* catalogue) {
  const bool ours = of_postgres(schema) && (name.size() == 1 ? name != "!" && name != "`" : std::ranges::binary_search(kPostgresOperators, name));
  return caller(ours, Thing::operation, schema, name, catalogue);
}

NameEffect postgres_type(std::string_view schema, std::string_view name, const Catalogue* catalogue) {
  const bool ours = of_postgres(schema) && std::ranges::binary_search(kPostgresTypes, name);
  return caller(ours, Thing::type, schema, name, catalogue);
}

}  // namespace sluice::sql
