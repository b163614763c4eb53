//! The memory that glibc keeps of what was given back to it. Elsewhere all of this does nothing.

/// Blocks of at least so many bytes have pages of their own, which go back to the system with them.
pub(crate) const OWN_PAGES: usize = 32 << 20;

/// Lets all threads of this process take memory from one heap.
///
/// Otherwise threads have heaps of their own, in pieces of 64 MB that a layer's activations do not fill: of
/// a small model's training a fifth of the memory was such gaps, and how many there were differed from run
/// to run. To be called before there are threads.
pub fn share_one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "there is no safe way to set up the allocator")]
        // SAFETY: it changes a number of the allocator's, under its lock.
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

/// Gives the system back what is free of the heap.
///
/// To be called before blocks with pages of their own are asked for, beside which it would lie unused.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "there is no safe way to ask the allocator")]
        // SAFETY: it gives back pages of blocks that nobody has, under the allocator's lock.
        let _ = unsafe { libc::malloc_trim(0) };
    }
}
