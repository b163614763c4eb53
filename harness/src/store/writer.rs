use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;

/// Writes taken together in one transaction at most.
const GROUP: usize = 256;

/// How long the first of them waits for others: far less than any model takes for a reply, and one
/// transaction costs as much as many writes.
const GATHER: Duration = Duration::from_millis(1);

type Statement = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

struct Write {
    statement: Statement,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// One thread that writes; what waits together is committed together.
///
/// After a failed write nothing more is taken: a store with a gap must not look complete.
pub(super) struct Writer {
    path: PathBuf,
    queue: Option<Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(path: PathBuf, connection: Connection) -> Self {
        let (queue, writes) = channel();
        let store = path.clone();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_all(&store, &connection, &writes))
            .expect("the system can start one more thread");
        Self {
            path,
            queue: Some(queue),
            thread: Some(thread),
        }
    }

    /// Commits `statement`'s changes; returns when they are on their way to the disk for good.
    pub(super) async fn write(
        &self,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (done, committed) = oneshot::channel();
        let write = Write {
            statement: Box::new(statement),
            done,
        };
        let stopped = || StoreError::Stopped {
            path: self.path.clone(),
            detail: "its thread ended".to_owned(),
        };
        let queue = self
            .queue
            .as_ref()
            .expect("the queue lives as long as the writer");
        queue.send(write).map_err(|_| stopped())?;
        committed.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was already answered with `Stopped`.
            let _ = thread.join();
        }
    }
}

fn write_all(path: &std::path::Path, connection: &Connection, writes: &Receiver<Write>) {
    let mut failure: Option<String> = None;
    while let Ok(first) = writes.recv() {
        let mut group = vec![first];
        // Asleep, not waiting for the next write, which would wake this thread for each.
        std::thread::sleep(GATHER);
        while group.len() < GROUP {
            match writes.try_recv() {
                Ok(write) => group.push(write),
                Err(_) => break,
            }
        }
        if let Some(detail) = &failure {
            for write in group {
                let stopped = StoreError::Stopped {
                    path: path.to_owned(),
                    detail: detail.clone(),
                };
                let _ = write.done.send(Err(stopped));
            }
            continue;
        }
        let (statements, waiting): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|write| (write.statement, write.done))
            .unzip();
        match commit(connection, statements) {
            Ok(()) => waiting.into_iter().for_each(|done| drop(done.send(Ok(())))),
            Err(source) => {
                let detail = source.to_string();
                let mut waiting = waiting.into_iter();
                if let Some(done) = waiting.next() {
                    let _ = done.send(Err(StoreError::Sqlite {
                        path: path.to_owned(),
                        source,
                    }));
                }
                for done in waiting {
                    let stopped = StoreError::Stopped {
                        path: path.to_owned(),
                        detail: detail.clone(),
                    };
                    let _ = done.send(Err(stopped));
                }
                failure = Some(detail);
            }
        }
    }
}

fn commit(connection: &Connection, statements: Vec<Statement>) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for statement in statements {
        statement(&transaction)?;
    }
    transaction.commit()
}
