import CMalloc

/// Settings of the C library's allocator (mallopt(3)).
public enum HeapSettings {
    /// For a program that holds thousands of TLS connections. To be called before threads are started.
    ///
    /// Each connection has buffers of 32 and 16 KiB of which mostly a page each is ever written. As a mapping of its own the larger one
    /// costs the pages that were written; cut from the heap, it would soon consist of pages others have written. What is smaller stays
    /// in the heap: SQLite takes 25 KiB for a moment whenever it splits a page, and mapping those took an eighth of all processor time.
    /// Fewer arenas than the usual eight for each processor keep what one thread frees within reach of the others.
    public static func manyConnections() {
        mallopt(M_MMAP_THRESHOLD, 32_768)
        mallopt(M_MMAP_MAX, 1 << 20)
        mallopt(M_TRIM_THRESHOLD, 1 << 20)
        mallopt(M_ARENA_MAX, 4)
    }
}
