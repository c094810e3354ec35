#pragma once
#include <sqlite3.h>

// Swift does not import macros that cast: this gives SQLITE_TRANSIENT a name it can call.
static inline sqlite3_destructor_type bourse_sqlite_transient(void) { return SQLITE_TRANSIENT; }
