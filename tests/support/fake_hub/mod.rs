//! A Hugging Face Hub with Jobs on loopback that can be told to misbehave.
//!
//! It speaks what a client of either needs — repositories with commits, uploads (regular, LFS in one
//! part and in many), downloads by range behind a redirect to another host, and jobs with logs as
//! server-sent events — closely enough that the `hf` command of Python works against it
//! (`make interop` shows that). A job's command is run on this machine, or a [`Step`] list is
//! played instead.

mod catalogue;
mod clock;
mod faults;
mod jobs;
mod process;
mod repositories;
mod routes;
mod transfers;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

pub(crate) use self::faults::{Fault, Misbehaviour};
pub(crate) use self::jobs::Step;
use self::routes::State;

/// Who may do what.
#[derive(Clone)]
pub(crate) struct Token {
    /// What is sent as `Authorization: Bearer`.
    pub(crate) value: String,
    /// Whose it is.
    pub(crate) user: String,
    /// Whether it may change repositories.
    pub(crate) may_write: bool,
    /// Whether it may start and manage jobs.
    pub(crate) may_run_jobs: bool,
}

impl Token {
    /// Returns a token that may do everything.
    pub(crate) fn of_owner() -> Self {
        Self {
            value: "hf_fakeOwnerToken0123456789".to_owned(),
            user: "ada".to_owned(),
            may_write: true,
            may_run_jobs: true,
        }
    }
}

/// How the server is to behave; the default behaves well.
#[derive(Clone)]
pub(crate) struct Options {
    /// The tokens it knows.
    pub(crate) tokens: Vec<Token>,
    /// What goes wrong.
    pub(crate) faults: Vec<Fault>,
    /// What jobs do, in order of their creation; later ones have their command run here.
    pub(crate) scripts: Vec<Vec<Step>>,
    /// How long a job's stage lags behind the end of its log.
    pub(crate) stage_lag: Duration,
    /// Bytes from which files are uploaded as LFS objects; some kinds always are.
    pub(crate) lfs_from: usize,
    /// Bytes from which an LFS object is uploaded in parts of this size.
    pub(crate) part: usize,
    /// Items on a page of a listing.
    pub(crate) page: usize,
    /// Directory in front of `PATH` where commands are run.
    pub(crate) programs: Option<std::path::PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tokens: vec![Token::of_owner()],
            faults: Vec::new(),
            scripts: Vec::new(),
            stage_lag: Duration::from_millis(50),
            lfs_from: 64 << 10,
            part: 256 << 10,
            page: 100,
            programs: None,
        }
    }
}

/// What came to the server.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and path with query.
    pub(crate) line: String,
    /// `Authorization`, as it came.
    pub(crate) authorization: Option<String>,
    /// `Range`, as it came.
    pub(crate) range: Option<String>,
    /// The host that was asked for.
    pub(crate) host: String,
    /// The body, where it is JSON.
    pub(crate) body: Value,
}

/// A running server; it stops when dropped.
pub(crate) struct FakeHub {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl FakeHub {
    /// Starts a server on a free port.
    pub(crate) fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on loopback");
        listener
            .set_nonblocking(true)
            .expect("a listener for tokio");
        let address = listener.local_addr().expect("the address just bound");
        let state = Arc::new(State::new(options, address.port()));
        let thread = std::thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(routes::serve(listener, state));
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    /// Returns what `HF_ENDPOINT` is to be.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all that came so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// Returns how many requests came whose line holds `part`.
    pub(crate) fn count(&self, part: &str) -> usize {
        let seen = self.seen();
        seen.iter().filter(|seen| seen.line.contains(part)).count()
    }

    /// Returns the files at the head of a repository, e.g. `models/ada/tuned`.
    pub(crate) fn files(&self, repository: &str) -> BTreeMap<String, Vec<u8>> {
        let mut inner = self.state.lock();
        let repository = inner.repository(repository);
        repository.files()
    }

    /// Returns the titles of a repository's commits, the latest first.
    pub(crate) fn titles(&self, repository: &str) -> Vec<String> {
        let mut inner = self.state.lock();
        let commits = inner.repository(repository).commits.iter().rev();
        commits.map(|commit| commit.title.clone()).collect()
    }

    /// Commits files to a repository, which is made if it is not there.
    pub(crate) fn push(&self, repository: &str, title: &str, files: &[(&str, &[u8])]) {
        self.state.push(repository, title, files);
    }

    /// Returns a job as the server describes it.
    pub(crate) fn job(&self, id: &str) -> Value {
        let mut inner = self.state.lock();
        let owner = inner.jobs[id].owner.clone();
        inner.jobs.get_mut(id).expect("a job").value(&owner)
    }

    /// Returns the secrets that came with a job.
    pub(crate) fn secrets(&self, id: &str) -> BTreeMap<String, String> {
        self.state.lock().jobs[id].secrets.clone()
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.state.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread");
        }
    }
}
