#include "handlers/sql/classify/postgres_tree.h"

#include <pg_query.h>
/* The server declares it as a plain variable; in libpg_query it belongs to the thread. */
#define PG_exception_stack sluice_not_this_one
#include <postgres.h>
#undef PG_exception_stack
#include <nodes/nodeFuncs.h>
#include <nodes/parsenodes.h>
#include <nodes/value.h>
#include <catalog/pg_class.h>
#include <stdio.h>
#include <strings.h>

/* Exported by libpg_query, declared in none of its public headers (15-4.0.0). */
typedef struct {
  List *tree;
  char *stderr_buffer;
  PgQueryError *error;
} RawResult;
extern RawResult pg_query_raw_parse(const char *input);
extern MemoryContext pg_query_enter_memory_context(void);
extern void pg_query_exit_memory_context(MemoryContext context);

extern __thread sigjmp_buf *PG_exception_stack;
extern void FlushErrorState(void);

/* Expressions nest as deep as their text is long: more than that is not looked into. */
enum { kDeepest = 2000 };

typedef struct {
  sluice_pg_look look;
  void *context;
  struct sluice_pg_verdict *verdict;
  int depth;
  bool planned_only; /* within EXPLAIN: nothing runs but what the planner computes ahead */
} Walk;

static void note(Walk *walk, int kind, const char *what, const char *name) {
  if (kind <= walk->verdict->kind) return;
  walk->verdict->kind = kind;
  snprintf(walk->verdict->why, sizeof walk->verdict->why, what, name);
}

/* Out of line, for its buffers: walk_node's frame is pushed for every node. */
__attribute__((noinline)) static void note_effect(Walk *walk, enum sluice_pg_thing thing, int kind, struct sluice_pg_effect effect, const char *name) {
  if (walk->planned_only && !effect.folded) return;
  const char *form = "%%s %s";
  if (thing == SLUICE_PG_FUNCTION || thing == SLUICE_PG_FIELD) form = "%%s() %s";
  if (thing == SLUICE_PG_OPERATOR) form = "the operator %%s %s";
  if (thing == SLUICE_PG_TYPE) form = "the type %%s %s";
  char what[160];
  snprintf(what, sizeof what, form, effect.why);
  char full[80];
  snprintf(full, sizeof full, "%.60s", name);
  note(walk, kind, what, full);
}

static void look_up(Walk *walk, enum sluice_pg_thing thing, const char *schema, const char *name) {
  struct sluice_pg_effect effect;
  const int kind = walk->look(walk->context, thing, schema, name, &effect);
  if (kind != SLUICE_PG_READ) note_effect(walk, thing, kind, effect, name);
}

/* A name as the grammar gives it: the last of the list, and its schema before it. */
static void look_up_list(Walk *walk, enum sluice_pg_thing thing, const List *names) {
  const char *schema = "", *name = "";
  const ListCell *cell;
  foreach (cell, names) {
    schema = name;
    name = strVal(lfirst(cell));
  }
  look_up(walk, thing, schema, name);
}

/* value.name: a column, or a call. */
static void look_at_field(Walk *walk, const char *name, bool of_value) {
  if (of_value) look_up(walk, SLUICE_PG_FIELD, "", name);
  if (name[0] != 'l' && name[0] != 'i') return;
  if (strcmp(name, "last_value") == 0 || strcmp(name, "log_cnt") == 0 || strcmp(name, "is_called") == 0) look_up(walk, SLUICE_PG_SEQUENCE_COLUMN, "", name);
}

static void look_at_fields(Walk *walk, const A_Indirection *indirection) {
  const ListCell *cell;
  foreach (cell, indirection->indirection)
    if (IsA(lfirst(cell), String)) look_at_field(walk, strVal(lfirst(cell)), true);
}

static void look_at_column(Walk *walk, const ColumnRef *column) {
  const Node *last = llast(column->fields);
  if (IsA(last, String)) look_at_field(walk, strVal(last), list_length(column->fields) > 1);
}

static void look_at_operator(Walk *walk, const List *names) {
  if (names != NIL) look_up_list(walk, SLUICE_PG_OPERATOR, names);
}

/* Those that the server finds by their names where the text has none. */
static void look_at_operators(Walk *walk, const char *a, const char *b, const char *c, const char *d) {
  const char *const names[] = {a, b, c, d};
  for (size_t i = 0; i < lengthof(names) && names[i]; ++i) look_up(walk, SLUICE_PG_OPERATOR, "", names[i]);
}

static void look_at_type(Walk *walk, const TypeName *type) {
  if (type != NULL && type->names != NIL) look_up_list(walk, SLUICE_PG_TYPE, type->names);
}

/* A method is a function of C that the planner, too, asks. */
__attribute__((noinline)) static void look_at_sampling(Walk *walk, const RangeTableSample *sample) {
  static const char *const known[] = {"bernoulli", "system", "system_rows", "system_time"};
  const char *method = strVal(llast(sample->method));
  for (size_t i = 0; i < lengthof(known); ++i)
    if (strcmp(method, known[i]) == 0) return;
  char full[80];
  snprintf(full, sizeof full, "%.60s", method);
  note(walk, SLUICE_PG_PRIMARY, "TABLESAMPLE %s is not known, and may do anything", full);
}

static bool walk_node(Node *node, Walk *walk);

static bool walk_children(Node *node, Walk *walk) {
  if (walk->depth >= kDeepest) {
    walk->verdict->broken = 1;
    snprintf(walk->verdict->why, sizeof walk->verdict->why, "it nests deeper than is looked into");
    return true;
  }
  ++walk->depth;
  const bool stop = raw_expression_tree_walker(node, walk_node, walk);
  --walk->depth;
  return stop;
}

static bool is_temporary(const RangeVar *relation) {
  return relation && (relation->relpersistence == RELPERSISTENCE_TEMP || (relation->schemaname && strcmp(relation->schemaname, "pg_temp") == 0));
}

static const char *locking_words(const LockingClause *clause) {
  switch (clause->strength) {
    case LCS_FORKEYSHARE: return "FOR KEY SHARE";
    case LCS_FORSHARE: return "FOR SHARE";
    case LCS_FORNOKEYUPDATE: return "FOR NO KEY UPDATE";
    default: return "FOR UPDATE";
  }
}

__attribute__((noinline)) static void look_at_node(Node *node, Walk *walk) {
  switch (nodeTag(node)) {
    case T_FuncCall: look_up_list(walk, SLUICE_PG_FUNCTION, ((FuncCall *)node)->funcname); break;
    case T_A_Indirection: look_at_fields(walk, (A_Indirection *)node); break;
    case T_A_Expr:
      /* BETWEEN stands there by its own name. */
      if (((A_Expr *)node)->kind < AEXPR_BETWEEN) look_at_operator(walk, ((A_Expr *)node)->name);
      else look_at_operators(walk, "<", "<=", ">", ">=");
      break;
    case T_SubLink:
      look_at_operator(walk, ((SubLink *)node)->operName);
      if (((SubLink *)node)->testexpr && ((SubLink *)node)->operName == NIL) look_at_operators(walk, "=", NULL, NULL, NULL); /* IN */
      break;
    case T_CaseExpr: if (((CaseExpr *)node)->arg) look_at_operators(walk, "=", NULL, NULL, NULL); break;
    case T_JoinExpr: if (((JoinExpr *)node)->isNatural || ((JoinExpr *)node)->usingClause != NIL) look_at_operators(walk, "=", NULL, NULL, NULL); break;
    case T_SortBy: look_at_operator(walk, ((SortBy *)node)->useOp); break;
    case T_TypeName: look_at_type(walk, (TypeName *)node); break;
    /* The walker passes its type over. */
    case T_RangeTableFuncCol: look_at_type(walk, ((RangeTableFuncCol *)node)->typeName); break;
    case T_RangeTableSample: look_at_sampling(walk, (RangeTableSample *)node); break;
    case T_InsertStmt: if (!walk->planned_only) note(walk, SLUICE_PG_WRITE, "INSERT changes data%s", ""); break;
    case T_UpdateStmt: if (!walk->planned_only) note(walk, SLUICE_PG_WRITE, "UPDATE changes data%s", ""); break;
    case T_DeleteStmt: if (!walk->planned_only) note(walk, SLUICE_PG_WRITE, "DELETE changes data%s", ""); break;
    case T_MergeStmt: if (!walk->planned_only) note(walk, SLUICE_PG_WRITE, "MERGE changes data%s", ""); break;
    case T_SelectStmt: {
      SelectStmt *select = (SelectStmt *)node;
      if (select->intoClause && !walk->planned_only) {
        if (is_temporary(select->intoClause->rel))
          note(walk, SLUICE_PG_SESSION, "SELECT INTO TEMP makes a table that lives in the connection%s", "");
        else
          note(walk, SLUICE_PG_WRITE, "SELECT INTO makes a table%s", "");
      }
      if (select->lockingClause != NIL && !walk->planned_only)
        note(walk, SLUICE_PG_PRIMARY, "SELECT ... %s locks rows", locking_words(linitial(select->lockingClause)));
      break;
    }
    default: break;
  }
}

static bool walk_node(Node *node, Walk *walk) {
  if (node == NULL) return false;
  switch (nodeTag(node)) {
    /* Leaves and lists are most nodes. */
    case T_A_Const:
    case T_ParamRef: return false;
    case T_ColumnRef: look_at_column(walk, (ColumnRef *)node); return false;
    case T_RangeVar: look_up(walk, SLUICE_PG_RELATION, ((RangeVar *)node)->schemaname ? ((RangeVar *)node)->schemaname : "", ((RangeVar *)node)->relname); return false;
    case T_List:
    case T_ResTarget: break;
    default: look_at_node(node, walk);
  }
  return walk_children(node, walk);
}

/* The last of several ANALYZE options counts, as in the server. */
static bool explain_runs(const ExplainStmt *explain) {
  bool runs = false;
  const ListCell *cell;
  foreach (cell, explain->options) {
    const DefElem *option = lfirst(cell);
    if (strcmp(option->defname, "analyze") != 0) continue;
    if (option->arg == NULL) {
      runs = true;
    } else if (IsA(option->arg, Integer)) {
      runs = intVal(option->arg) != 0;
    } else if (IsA(option->arg, Boolean)) {
      runs = boolVal(option->arg);
    } else if (IsA(option->arg, String)) {
      const char *word = strVal(option->arg);
      runs = !(strcasecmp(word, "off") == 0 || strcasecmp(word, "false") == 0 || strcmp(word, "0") == 0);
    } else {
      runs = true;
    }
  }
  return runs;
}

static void look_at_statement(Walk *walk, Node *statement) {
  switch (nodeTag(statement)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt: walk_node(statement, walk); return;
    case T_ExplainStmt: {
      ExplainStmt *explain = (ExplainStmt *)statement;
      if (explain_runs(explain)) {
        look_at_statement(walk, explain->query);
        return;
      }
      switch (nodeTag(explain->query)) {
        case T_ExecuteStmt: note(walk, SLUICE_PG_SESSION, "EXPLAIN EXECUTE is of a statement that the connection has prepared%s", ""); return;
        case T_CreateTableAsStmt: statement = ((CreateTableAsStmt *)explain->query)->query; break;
        case T_DeclareCursorStmt: statement = ((DeclareCursorStmt *)explain->query)->query; break;
        default: statement = explain->query;
      }
      if (IsA(statement, ExecuteStmt)) {
        note(walk, SLUICE_PG_SESSION, "EXPLAIN EXECUTE is of a statement that the connection has prepared%s", "");
        return;
      }
      walk->planned_only = true;
      walk_node(statement, walk);
      walk->planned_only = false;
      return;
    }
    case T_VariableShowStmt: return;
    case T_VariableSetStmt: note(walk, SLUICE_PG_SESSION, "%s changes a setting of the connection", ((VariableSetStmt *)statement)->kind == VAR_RESET || ((VariableSetStmt *)statement)->kind == VAR_RESET_ALL ? "RESET" : "SET"); return;
    case T_TransactionStmt: note(walk, SLUICE_PG_SESSION, "it begins or ends a transaction of the connection%s", ""); return;
    case T_PrepareStmt: note(walk, SLUICE_PG_SESSION, "PREPARE keeps a statement in the connection; the gateway prepares by itself%s", ""); return;
    case T_ExecuteStmt: note(walk, SLUICE_PG_SESSION, "EXECUTE runs what the connection has prepared%s", ""); return;
    case T_DeallocateStmt: note(walk, SLUICE_PG_SESSION, "DEALLOCATE is of what the connection has prepared%s", ""); return;
    case T_DeclareCursorStmt: note(walk, SLUICE_PG_SESSION, "DECLARE opens a cursor in the connection%s", ""); return;
    case T_FetchStmt: note(walk, SLUICE_PG_SESSION, "it reads a cursor of the connection%s", ""); return;
    case T_ClosePortalStmt: note(walk, SLUICE_PG_SESSION, "CLOSE is of a cursor of the connection%s", ""); return;
    case T_ListenStmt: note(walk, SLUICE_PG_SESSION, "LISTEN makes the connection a listener%s", ""); return;
    case T_UnlistenStmt: note(walk, SLUICE_PG_SESSION, "UNLISTEN is of what the connection listens to%s", ""); return;
    case T_DiscardStmt: note(walk, SLUICE_PG_SESSION, "DISCARD throws the connection's state away%s", ""); return;
    case T_LoadStmt: note(walk, SLUICE_PG_SESSION, "LOAD brings a library into the connection%s", ""); return;
    case T_ConstraintsSetStmt: note(walk, SLUICE_PG_SESSION, "SET CONSTRAINTS is of the connection's transaction%s", ""); return;
    case T_LockStmt: note(walk, SLUICE_PG_PRIMARY, "LOCK TABLE holds a lock in a transaction%s", ""); return;
    case T_CopyStmt: {
      CopyStmt *copy = (CopyStmt *)statement;
      if (copy->filename == NULL) note(walk, SLUICE_PG_SESSION, "COPY %s takes over the connection; use SELECT or INSERT", copy->is_from ? "FROM STDIN" : "TO STDOUT");
      else note(walk, SLUICE_PG_WRITE, "COPY %s", copy->is_program ? "runs a program on the server" : copy->is_from ? "FROM changes data" : "TO writes a file on the server");
      return;
    }
    case T_CreateStmt: if (is_temporary(((CreateStmt *)statement)->relation)) { note(walk, SLUICE_PG_SESSION, "a temporary table lives in the connection%s", ""); return; } break;
    case T_CreateTableAsStmt: if (is_temporary(((CreateTableAsStmt *)statement)->into->rel)) { note(walk, SLUICE_PG_SESSION, "a temporary table lives in the connection%s", ""); return; } break;
    case T_ViewStmt: if (is_temporary(((ViewStmt *)statement)->view)) { note(walk, SLUICE_PG_SESSION, "a temporary view lives in the connection%s", ""); return; } break;
    case T_CreateSeqStmt: if (is_temporary(((CreateSeqStmt *)statement)->sequence)) { note(walk, SLUICE_PG_SESSION, "a temporary sequence lives in the connection%s", ""); return; } break;
    case T_CallStmt:
      walk->verdict->may_commit = 1;
      note(walk, SLUICE_PG_WRITE, "CALL runs a procedure, which may do anything%s", "");
      return;
    case T_DoStmt:
      walk->verdict->defines = 1;
      walk->verdict->may_commit = 1;
      note(walk, SLUICE_PG_WRITE, "DO runs code, which may do anything%s", "");
      return;
    case T_NotifyStmt: note(walk, SLUICE_PG_WRITE, "NOTIFY tells listeners%s", ""); return;
    default: break;
  }
  walk->verdict->defines = 1;
  walk->verdict->may_commit = 1;
  note(walk, SLUICE_PG_WRITE, "it is no query, and such statements change something%s", "");
}

void sluice_pg_classify(const char *text, sluice_pg_look look, void *context, struct sluice_pg_verdict *verdict) {
  verdict->kind = SLUICE_PG_READ;
  verdict->why[0] = '\0';
  verdict->statements = 0;
  verdict->broken = 0;
  verdict->defines = 0;
  verdict->may_commit = 0;
  MemoryContext memory = pg_query_enter_memory_context();
  RawResult parsed = pg_query_raw_parse(text);
  if (parsed.error) {
    verdict->kind = SLUICE_PG_PRIMARY;
    verdict->broken = 1;
    snprintf(verdict->why, sizeof verdict->why, "PostgreSQL's grammar does not take it: %s at character %d", parsed.error->message, parsed.error->cursorpos);
  } else {
    Walk walk = {look, context, verdict, 0, false};
    const ListCell *cell;
    /* The server's walker raises its errors by a jump. */
    sigjmp_buf *outer = PG_exception_stack;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
      PG_exception_stack = &here;
      foreach (cell, parsed.tree) {
        ++verdict->statements;
        look_at_statement(&walk, ((RawStmt *)lfirst(cell))->stmt);
      }
    } else {
      FlushErrorState();
      note(&walk, SLUICE_PG_PRIMARY, "it holds something that is not looked into%s", "");
    }
    PG_exception_stack = outer;
  }
  /* The error and the buffer come from malloc and strdup, not from the context. */
  if (parsed.error) {
    free(parsed.error->message);
    free(parsed.error->funcname);
    free(parsed.error->filename);
    free(parsed.error->context);
    free(parsed.error);
  }
  free(parsed.stderr_buffer);
  pg_query_exit_memory_context(memory);
}
