#pragma once
#include <sqlite3.h>

// Swift calls no function with a variable number of arguments.

// Settings of the library itself, before it is first used.
// It counts its memory under one lock for all threads unless it is told not to. What a savepoint may have to put back, it keeps in one piece of
// 64 KiB unless that may never go to a file; then in pieces of one KiB, which the heap has at hand.
static inline void bourse_sqlite_configure(void) {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
}
