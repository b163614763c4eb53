use std::io::{self, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::log::Log;
use super::{GROUP_VARIABLE, GROUP_WRAPPER, ServerSpec};

/// The wait before a server is started again; it doubles from time to time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its process runs, or will again.
    Running,
    /// It died and is not started again.
    Ended,
}

/// A thread that watches one server.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    inner: Mutex<Inner>,
    stopped: Condvar,
}

struct Inner {
    state: State,
    is_stopping: bool,
    /// Only a server that once served is started again: one that never did would not now either.
    was_ready: bool,
    /// Held open while the server is to run.
    pipe: Option<ChildStdin>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervisor {
    /// Starts `command` and watches it.
    pub(super) fn start(
        spec: &ServerSpec,
        command: Vec<String>,
        log: Arc<Log>,
    ) -> io::Result<Self> {
        let inner = Inner {
            state: State::Running,
            is_stopping: false,
            was_ready: false,
            pipe: None,
        };
        let shared = Arc::new(Shared {
            inner: inner.into(),
            stopped: Condvar::new(),
        });
        let mut watched = Watched {
            spec: spec.clone(),
            command,
            log,
            shared: Arc::clone(&shared),
        };
        let child = watched.spawn()?;
        let thread = std::thread::Builder::new()
            .name(format!("server {}", spec.name))
            .spawn(move || watched.watch(child))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Returns how the server stands.
    pub(super) fn state(&self) -> State {
        self.shared.lock().state
    }

    /// Says that the server has served.
    pub(super) fn was_ready(&self) {
        self.shared.lock().was_ready = true;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.is_stopping = true;
        inner.pipe = None;
        drop(inner);
        self.shared.stopped.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watched {
    spec: ServerSpec,
    command: Vec<String>,
    log: Arc<Log>,
    shared: Arc<Shared>,
}

impl Watched {
    /// Starts the process; the pipe that keeps it alive is in `shared`.
    fn spawn(&mut self) -> io::Result<Child> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GROUP_WRAPPER, "shipworthy-server"])
            .args(&self.command)
            .current_dir(match self.spec.directory.as_os_str() {
                here if here.is_empty() => ".".as_ref(),
                _ => self.spec.directory.as_path(),
            })
            .env_remove(GROUP_VARIABLE)
            .envs(
                (self.spec.environment.iter()).map(|(name, value)| (name.as_str(), value.expose())),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Ctrl-C in a terminal reaches its whole foreground group: the server must outlive the calls
        // that are still under way.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.log
            .line(&format!("shipworthy: starts {}", self.command.join(" ")));
        let mut child = command.spawn()?;
        let mut inner = self.shared.lock();
        if !inner.is_stopping {
            inner.pipe = child.stdin.take();
        }
        drop(inner);
        // Without a place in `shared` the pipe closes here, and the process ends at once.
        drop(child.stdin.take());
        Ok(child)
    }

    /// Keeps the log and starts the server again when it dies.
    fn watch(mut self, mut child: Child) {
        let mut wait = FIRST_WAIT;
        for left in (0..=self.spec.restarts).rev() {
            if let Some(written) = child.stdout.take() {
                self.log.take(BufReader::new(written));
            }
            let _ = child.wait();
            if left == 0 || !self.may_start_again(wait) {
                break;
            }
            wait *= 2;
            child = match self.spawn() {
                Ok(child) => child,
                Err(error) => {
                    self.log
                        .line(&format!("shipworthy: could not be started again: {error}"));
                    break;
                }
            };
        }
        let mut inner = self.shared.lock();
        inner.state = State::Ended;
        inner.pipe = None;
    }

    /// Waits, and tells whether the server is to be started again.
    fn may_start_again(&self, wait: Duration) -> bool {
        let mut inner = self.shared.lock();
        inner.pipe = None;
        if !inner.was_ready || inner.is_stopping {
            return false;
        }
        let is_wanted = |inner: &mut Inner| !inner.is_stopping;
        let (inner, _) = (self.shared.stopped)
            .wait_timeout_while(inner, wait, is_wanted)
            .unwrap_or_else(PoisonError::into_inner);
        !inner.is_stopping
    }
}
