use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rusqlite::OpenFlags;

use super::connect;

/// How long what was committed waits for the disk at most: a machine that loses its power loses the
/// replies of that time, and the writer never waits for a log of many megabytes.
const EVERY: Duration = Duration::from_millis(250);

/// One thread that brings what was committed onto the disk, beside the writer.
pub(super) struct Syncing {
    asked: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncing {
    /// Begins for the store at `path`.
    pub(super) fn start(path: PathBuf) -> Self {
        let (asked, requests) = channel();
        let thread = std::thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || sync(&path, &requests))
            .expect("the system can start one more thread");
        Self {
            asked: Some(asked),
            thread: Some(thread),
        }
    }

    /// Has the log copied into the file and emptied while something else is done.
    pub(super) fn gather(&self) {
        if let Some(asked) = &self.asked {
            // Without its thread the writer copies it in the end.
            let _ = asked.send(());
        }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.asked = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Does what nobody waits for: where it fails, the writer meets the same and says so.
fn sync(path: &Path, requests: &Receiver<()>) {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let mut synced: Option<SystemTime> = None;
    loop {
        match requests.recv_timeout(EVERY) {
            Err(RecvTimeoutError::Timeout) => {
                let Ok(file) = File::open(&log) else { continue };
                let written = file.metadata().and_then(|log| log.modified()).ok();
                if written != synced && file.sync_data().is_ok() {
                    synced = written;
                }
            }
            Ok(()) => {
                if let Ok(connection) = connect(path, OpenFlags::default()) {
                    // Nobody waits for the first, which takes longer: the second finds it done.
                    let _ = connection.execute_batch(
                        "PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(TRUNCATE)",
                    );
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
