#ifndef SLUICE_POSTGRES_TREE_H
#define SLUICE_POSTGRES_TREE_H
/* PostgreSQL's own raw parse tree, walked where libpg_query leaves it. The server's headers and C++ do not mix: this is the seam. */

#ifdef __cplusplus
extern "C" {
#endif

/* What a statement, or something within it, is. The order is that of weight: a whole is what its heaviest part is. */
enum sluice_pg_class { SLUICE_PG_READ = 0, SLUICE_PG_PRIMARY = 1, SLUICE_PG_WRITE = 2, SLUICE_PG_SESSION = 3 };

struct sluice_pg_verdict {
  int kind;            /* of sluice_pg_class */
  char why[200];       /* for people; what made it that */
  int statements;      /* 0: nothing but white space and comments */
  int broken;          /* the parser would not take it: `why` says what it said */
  int defines;         /* functions, views and the like may be others after it */
  int may_commit;      /* where no BEGIN came before it, it may commit by itself */
};

/* What a name in a statement stands for. A field is what follows a dot: a column, or else the call of a function of that name. */
enum sluice_pg_thing { SLUICE_PG_FUNCTION, SLUICE_PG_FIELD, SLUICE_PG_SEQUENCE_COLUMN, SLUICE_PG_RELATION, SLUICE_PG_OPERATOR, SLUICE_PG_TYPE };

/* What using a thing does; of what only reads nothing is told. */
struct sluice_pg_effect {
  int folded;       /* may run while a statement is only planned */
  const char *why;  /* a literal */
};
/* Returns one of sluice_pg_class, and fills `effect` in unless it is SLUICE_PG_READ. `schema` is "" when the text names none. */
typedef int (*sluice_pg_look)(void *context, enum sluice_pg_thing thing, const char *schema, const char *name, struct sluice_pg_effect *effect);

/* `text` ends with a NUL. From any thread. */
void sluice_pg_classify(const char *text, sluice_pg_look look, void *context, struct sluice_pg_verdict *verdict);

#ifdef __cplusplus
}
#endif
#endif
