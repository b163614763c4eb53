//! One SQLite file per project: runs, calls, conversations and scores.
//!
//! A reply is committed before anybody uses it, so killing the process at any instant loses at most
//! the calls in flight. A machine that loses its power loses those of a quarter of a second besides.

mod additions;
mod behaviour;
mod call;
mod candidates;
mod jobs;
mod known_replies;
mod labels;
mod ledger;
mod lock;
mod pairs;
mod preflight;
mod prices;
mod reuse;
mod run;
mod shard;
mod syncing;
mod usage;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

pub use call::{CallKey, Origin, StoredCall};
pub use candidates::{Look, Spent};
pub use known_replies::KnownReply;
pub use lock::RunLock;
pub use reuse::{Known, Reused};
pub use run::{NewRun, Run, RunState};
pub use shard::ShardRun;
use syncing::Syncing;
pub use usage::{CountedCalls, RoleUsage};
use writer::Writer;

/// Version of the tables, kept in `PRAGMA user_version`.
const FORMAT: i64 = 1;

/// Says why the store could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite failed: the disk is full, the file is locked, unwritable or damaged.
    #[error("store `{path}`: {source}")]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The directory of the store could not be made.
    #[error("failed to create `{path}`: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lock of a run cannot be taken.
    #[error("failed to lock `{path}`: {source}")]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no store yet.
    #[error("no store at `{path}`: nothing was evaluated here yet")]
    Missing {
        /// The store.
        path: PathBuf,
    },
    /// Another version of shipworthy made the file.
    #[error("store `{path}` has format {got}, this version reads format {FORMAT}")]
    Format {
        /// The store.
        path: PathBuf,
        /// Its format.
        got: i64,
    },
    /// A row is not what was written.
    #[error("store `{path}`: {what} is damaged: {detail}")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// Which row.
        what: String,
        /// What is wrong.
        detail: String,
    },
    /// An earlier write failed, so nothing more is taken.
    #[error("store `{path}`: an earlier write failed: {detail}")]
    Stopped {
        /// The store.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

impl StoreError {
    /// Tells whether the file is no store, or no whole one: nothing brings back what it held.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Damaged { .. } => true,
            Self::Sqlite { source, .. } => {
                matches!(
                    source.sqlite_error_code(),
                    Some(DatabaseCorrupt | NotADatabase)
                )
            }
            _ => false,
        }
    }
}

/// An open store.
pub struct Store {
    path: PathBuf,
    reader: std::sync::Mutex<Connection>,
    // In this order: who closes the file last copies the log into it.
    syncing: Syncing,
    writer: Writer,
}

impl Store {
    /// Opens the store at `path`, making it if there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|source| StoreError::Directory {
                path: directory.to_owned(),
                source,
            })?;
        }
        let flags = OpenFlags::default();
        let writing = connect(path, flags)?;
        migrate(path, &writing)?;
        // With 3 MB of pages at hand a call's page is not read again while its conversation goes on.
        writing
            .pragma_update(None, "cache_size", -3072)
            .map_err(|source| StoreError::Sqlite {
                path: path.to_owned(),
                source,
            })?;
        let reading = connect(path, flags)?;
        let writer = Writer::start(path.to_owned(), writing);
        Ok(Self {
            path: path.to_owned(),
            reader: reading.into(),
            syncing: Syncing::start(path.to_owned()),
            writer,
        })
    }

    /// Opens the store at `path`, which must exist.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            Self::open(path)
        } else {
            Err(StoreError::Missing {
                path: path.to_owned(),
            })
        }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that for a while nothing more will be written: the log is copied into the file meanwhile.
    pub(crate) fn rest(&self) {
        self.syncing.gather();
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self
            .reader
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        query(&connection).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        json: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(json).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
            detail: error.to_string(),
        })
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // Calls of many conversations touch a page each: with a log of 48 MB (12,000 pages) most of them are
    // written to the file once.
    let setting = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                   PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; \
                   PRAGMA wal_autocheckpoint = 12000;";
    connection.execute_batch(setting).map_err(failed)?;
    Ok(connection)
}

fn migrate(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let failed = |source| StoreError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let version = || connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    if version().map_err(failed)? == 0 {
        // Two processes may start at once: the second waits for the lock and then finds the tables.
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(failed)?;
        if version().map_err(failed)? == 0 {
            connection
                .execute_batch(include_str!("schema.sql"))
                .map_err(failed)?;
            connection
                .pragma_update(None, "user_version", FORMAT)
                .map_err(failed)?;
        }
        connection.execute_batch("COMMIT").map_err(failed)?;
    }
    match version().map_err(failed)? {
        FORMAT => additions::add(connection).map_err(failed),
        got => Err(StoreError::Format {
            path: path.to_owned(),
            got,
        }),
    }
}
