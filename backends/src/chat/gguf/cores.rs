//! The processor's cores, lent to whichever model decodes.

use std::num::NonZero;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

/// All cores of this machine. Models opened side by side take turns on them: two models that each
/// start a thread per core would spend their time waiting for threads that are not scheduled.
pub(super) static CORES: LazyLock<Cores> = LazyLock::new(|| Cores::new(available()));

/// Returns how many cores there are.
pub(super) fn available() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// A number of cores that can be borrowed, first come, first served.
pub(super) struct Cores {
    state: Mutex<State>,
    changed: Condvar,
    total: u32,
}

struct State {
    free: u32,
    next_ticket: u64,
    now_serving: u64,
}

/// Cores on loan; they go back when this is dropped.
pub(super) struct Loan<'a> {
    cores: &'a Cores,
    count: u32,
}

impl Cores {
    pub(super) fn new(total: u32) -> Self {
        Self {
            state: Mutex::new(State {
                free: total,
                next_ticket: 0,
                now_serving: 0,
            }),
            changed: Condvar::new(),
            total,
        }
    }

    /// Waits for `count` cores, or for all where there are fewer.
    ///
    /// Whoever came first is served first, also when fewer cores would do for somebody else.
    pub(super) fn borrow(&self, count: u32) -> Loan<'_> {
        let count = count.min(self.total);
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        while state.now_serving != ticket || state.free < count {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.now_serving += 1;
        state.free -= count;
        drop(state);
        self.changed.notify_all();
        Loan { cores: self, count }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code between lock and unlock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.cores.lock().free += self.count;
        self.cores.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::Cores;

    #[test]
    fn no_more_cores_are_lent_than_there_are() {
        let cores = Cores::new(3);
        let lent = AtomicU32::new(0);
        thread::scope(|scope| {
            for count in [1, 2, 3, 4, 1, 2] {
                let (cores, lent) = (&cores, &lent);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let loan = cores.borrow(count);
                        let now = lent.fetch_add(loan.count, Ordering::SeqCst) + loan.count;
                        assert!(now <= 3, "{now} cores are lent");
                        lent.fetch_sub(loan.count, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
