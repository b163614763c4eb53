use super::{Store, StoreError};
use crate::file_lock::FileLock;

/// Held by the process that evaluates a run; given back when dropped, also by a process that dies.
#[derive(Debug)]
pub struct RunLock {
    _lock: FileLock,
}

impl Store {
    /// Takes the lock of `run`, or returns `None` if another process evaluates it.
    pub fn lock_run(&self, run: &str) -> Result<Option<RunLock>, StoreError> {
        let directory = self.path.with_file_name("locks");
        let path = directory.join(run);
        let failed = |source| StoreError::Lock {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let lock = FileLock::take(&path).map_err(failed)?;
        Ok(lock.map(|lock| RunLock { _lock: lock }))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Store;

    #[test]
    fn one_process_at_a_time_evaluates_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).unwrap();
        let held = store.lock_run("plan-1").unwrap();
        assert!(held.is_some());
        assert!(store.lock_run("plan-1").unwrap().is_none());
        assert!(store.lock_run("plan-2").unwrap().is_some());
        drop(held);
        assert!(store.lock_run("plan-1").unwrap().is_some());
    }
}
