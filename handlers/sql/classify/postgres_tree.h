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
};

/* What calling a function does. `schema` is "" when the text names none. The answer's `why` is a literal, or NULL for a read. */
struct sluice_pg_effect {
  int kind;
  int folded;       /* may run while a statement is only planned */
  const char *why;
};
typedef struct sluice_pg_effect (*sluice_pg_function)(void *context, const char *schema, const char *name);

/* `text` ends with a NUL. From any thread. */
void sluice_pg_classify(const char *text, sluice_pg_function function, void *context, struct sluice_pg_verdict *verdict);

#ifdef __cplusplus
}
#endif
#endif
