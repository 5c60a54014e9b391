#include "handlers/sql/postgres/catalogue.h"

#include "handlers/sql/classify/postgres_names.h"

namespace sluice::sql::postgres {
namespace {

// Everything of users' has an oid of 16384 or more. A materialized view calls nothing when it is read; a function of triggers is never
// called by name; a table's own expressions are computed when it is written.
constexpr char kQuestion[] = R"(WITH RECURSIVE
-- Changes with every change of a definition, and is had for little.
mark(of_all) AS (
  SELECT concat_ws(' ', count(*), sum(changed::text::int8), max(changed::text::int8)) FROM (
    SELECT xmin FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT xmin FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't' AND relkind IN ('r', 'p', 'v', 'f', 'S', 'c')
    UNION ALL SELECT xmin FROM pg_rewrite WHERE oid >= 16384
    UNION ALL SELECT xmin FROM pg_type WHERE oid >= 16384 AND typtype IN ('b', 'd', 'r') AND typelem = 0
    UNION ALL SELECT xmin FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT xmin FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT xmin FROM pg_constraint WHERE contypid <> 0
    UNION ALL SELECT xmin FROM pg_policy
    UNION ALL SELECT xmin FROM pg_inherits
    UNION ALL SELECT xmin FROM pg_namespace) AS a(changed)),
-- PostgreSQL's own functions and relations are in no pg_depend: what stands in an expression's tree tells of them.
effects(id) AS MATERIALIZED (SELECT oid FROM pg_proc WHERE proname LIKE ANY ($1::text[])),
named(pattern) AS (
  SELECT format(':(?:funcid|opfuncid|aggfnoid|winfnoid) (?:%s) |:relid (?:%s) ', (SELECT string_agg(id::text, '|') FROM effects WHERE id < 16384),
    (SELECT string_agg(oid::text, '|') FROM pg_class WHERE oid < 16384 AND relname IN ('pg_sequences', 'pg_cursors', 'pg_prepared_statements')))),
views(rule, id, tree) AS MATERIALIZED (
  SELECT r.oid, r.ev_class, r.ev_action FROM pg_rewrite AS r JOIN pg_class AS v ON v.oid = r.ev_class WHERE r.oid >= 16384 AND r.ev_type = '1' AND v.relkind = 'v'),
trees(class, id, tree) AS (
  SELECT 'pg_class'::regclass, id, tree::text FROM views
  UNION ALL SELECT 'pg_class'::regclass, polrelid, polqual::text FROM pg_policy
  UNION ALL SELECT 'pg_type'::regclass, contypid, conbin::text FROM pg_constraint WHERE contypid <> 0
  UNION ALL SELECT 'pg_proc'::regclass, oid, concat(prosqlbody::text, proargdefaults::text) FROM pg_proc
    WHERE oid >= 16384 AND (prosqlbody IS NOT NULL OR proargdefaults IS NOT NULL)),
-- A body is a text: each name in it may be that of what it calls.
words(id, word) AS MATERIALIZED (
  SELECT DISTINCT p.oid, w.found[1] FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang,
    regexp_matches(lower(p.prosrc), '[[:alpha:]_][[:alnum:]_$]*', 'g') AS w(found)
    WHERE p.oid >= 16384 AND p.provolatile <> 'v' AND p.prosqlbody IS NULL AND l.lanname NOT IN ('c', 'internal')),
uses(class, id, of_class, of_id) AS (
  SELECT 'pg_class'::regclass::oid, v.id, d.refclassid, d.refobjid FROM views AS v JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = v.rule
  UNION ALL SELECT 'pg_class'::regclass, p.polrelid, d.refclassid, d.refobjid FROM pg_policy AS p JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
  UNION ALL SELECT 'pg_class'::regclass, inhparent, 'pg_class'::regclass, inhrelid FROM pg_inherits
  UNION ALL SELECT 'pg_type'::regclass, k.contypid, d.refclassid, d.refobjid FROM pg_constraint AS k
    JOIN pg_depend AS d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid WHERE k.contypid <> 0
  UNION ALL SELECT 'pg_type'::regclass, oid, 'pg_type'::regclass, unnest(ARRAY[typbasetype, typelem]) FROM pg_type WHERE oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, t.oid, 'pg_type'::regclass, a.atttypid FROM pg_type AS t JOIN pg_attribute AS a ON a.attrelid = t.typrelid
    WHERE t.oid >= 16384 AND a.atttypid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, rngtypid, 'pg_type'::regclass, rngsubtype FROM pg_range WHERE rngtypid >= 16384
  UNION ALL SELECT 'pg_operator'::regclass, oid, 'pg_proc'::regclass, oprcode FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, aggfnoid, 'pg_proc'::regclass,
    unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]) FROM pg_aggregate WHERE aggfnoid >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, objid, refclassid, refobjid FROM pg_depend WHERE classid = 'pg_proc'::regclass
  UNION ALL SELECT 'pg_proc'::regclass, w.id, 'pg_proc'::regclass, p.oid FROM words AS w JOIN pg_proc AS p ON lower(p.proname) = w.word
    WHERE p.oid >= 16384 OR p.oid IN (SELECT id FROM effects)
  UNION ALL SELECT 'pg_proc'::regclass, w.id, 'pg_class'::regclass, c.oid FROM words AS w JOIN pg_class AS c ON lower(c.relname) = w.word
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'f')
  UNION ALL SELECT 'pg_proc'::regclass, w.id, 'pg_type'::regclass, t.oid FROM words AS w JOIN pg_type AS t ON lower(t.typname) = w.word WHERE t.oid >= 16384
  -- A cast may be called wherever there is a value of one of its two types, without a word. A type as such a value's stands as pg_cast.
  UNION ALL SELECT 'pg_cast'::regclass, unnest(ARRAY[castsource, casttarget]), 'pg_proc'::regclass, castfunc FROM pg_cast WHERE oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, unnest(ARRAY[castsource, casttarget]), 'pg_proc'::regclass, castfunc FROM pg_cast WHERE oid >= 16384
  UNION ALL SELECT 'pg_class'::regclass, attrelid, 'pg_cast'::regclass, atttypid FROM pg_attribute WHERE attrelid >= 16384 AND atttypid >= 16384),
-- What has effects, and then whatever uses it.
moving(class, id) AS (
  SELECT 'pg_proc'::regclass::oid, id FROM effects
  UNION SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE oid >= 16384 AND provolatile = 'v'
  UNION SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relkind IN ('S', 'f')
  UNION SELECT class, id FROM trees, named WHERE tree ~ pattern
  UNION SELECT u.class, u.id FROM moving AS m JOIN uses AS u ON u.of_class = m.class AND u.of_id = m.id)
SELECT 'mark', '', of_all, '' FROM mark
UNION ALL SELECT t.thing, n.nspname, t.name, t.volatility FROM (
  SELECT 'relation', relnamespace, relname, 'v' FROM moving JOIN pg_class AS c ON class = 'pg_class'::regclass AND c.oid = id
  UNION ALL SELECT 'type', typnamespace, typname, 'v' FROM moving JOIN pg_type AS t ON class = 'pg_type'::regclass AND t.oid = id
  UNION ALL SELECT 'operator', oprnamespace, oprname, 'v' FROM moving JOIN pg_operator AS o ON class = 'pg_operator'::regclass AND o.oid = id
  UNION ALL SELECT 'operator', oprnamespace, oprname, 'i' FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'function', pronamespace, proname, CASE WHEN provolatile <> 'v' AND oid IN (SELECT id FROM moving WHERE class = 'pg_proc'::regclass) THEN 'l' ELSE provolatile::text END
    FROM pg_proc WHERE oid >= 16384 AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)) AS t(thing, namespace, name, volatility)
  JOIN pg_namespace AS n ON n.oid = t.namespace, mark WHERE of_all <> $2
LIMIT 50000)";
constexpr std::size_t kMost = 50'000;  // rows, as above

Catalogue::Thing thing(std::string_view name) {
  return name == "function" ? Catalogue::Thing::function
         : name == "operator" ? Catalogue::Thing::operation
         : name == "type"     ? Catalogue::Thing::type
                              : Catalogue::Thing::relation;
}

std::string text_of(const Value& value) {
  const auto* text = value.get_if<std::string>();
  return text ? *text : std::string();
}

}  // namespace

Statement catalogue_question(const std::string& mark) {
  static const Value::Array effects = [] {
    Value::Array out;
    for (std::string& pattern : postgres_effects()) out.emplace_back(std::move(pattern));
    return out;
  }();
  Value::Array params;
  params.emplace_back(effects);
  params.emplace_back(mark);
  return {kQuestion, std::move(params)};
}

std::optional<Learned> read_catalogue(const Value::Array& rows, std::string& mark) {
  Learned learned;
  bool changed = false;
  for (const Value& row : rows) {
    const auto* column = row.get_if<Value::Array>();
    if (!column || column->size() != 4) continue;
    if (text_of((*column)[0]) == "mark") {
      const std::string now = text_of((*column)[2]);
      changed = now != mark;
      mark = now;
      continue;
    }
    const std::string letter = text_of((*column)[3]);
    learned.add(thing(text_of((*column)[0])), text_of((*column)[1]), text_of((*column)[2]), letter.empty() ? 'v' : letter[0]);
  }
  if (!changed) return std::nullopt;
  if (rows.size() < kMost) learned.complete();
  return learned;
}

}  // namespace sluice::sql::postgres
