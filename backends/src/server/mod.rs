//! Model servers that this program starts, watches, starts again and stops.
//!
//! A server is a process group behind a small shell script that holds a pipe from here: whatever
//! becomes of this program, even SIGKILL, closes the pipe, and the script ends the group. What the
//! server writes comes here first, is stripped of secrets and goes to a log.

mod log;
mod supervisor;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

pub(crate) use self::log::Log;
use self::supervisor::{State, Supervisor};
use crate::Secret;

/// The script that stands between this program and what it starts.
pub(crate) const GROUP_WRAPPER: &str = include_str!("wrapper.sh");

/// The variable by which the script knows what it started. What the script is started with must not have it: a script within
/// another one's group ends its own.
pub(crate) const GROUP_VARIABLE: &str = "SHIPWORTHY_GROUP";

/// What the script says last, before the exit code.
const EXIT_CODE: &str = "shipworthy: the process ended with exit code ";

/// Returns the exit code that a line of the script tells, if it tells one.
pub(crate) fn exit_code(line: &str) -> Option<i32> {
    line.strip_prefix(EXIT_CODE)?.trim().parse().ok()
}

/// Time between two questions whether a server is ready.
const PAUSE: Duration = Duration::from_millis(100);

/// What stands for the port in a command.
const PORT: &str = "{port}";

/// A server to be started.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Its name in the project.
    pub name: String,
    /// Program and arguments; `{port}` in them becomes the port that was chosen.
    pub command: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Variables it gets besides this program's own.
    pub environment: Vec<(String, Secret)>,
    /// Where what it writes goes.
    pub log: PathBuf,
    /// How long it may take until it answers.
    pub ready: Duration,
    /// How often it is started again after it died.
    pub restarts: u32,
    /// What no log may hold.
    pub secrets: Vec<Secret>,
}

/// Says why a server does not serve.
#[derive(Debug, Error)]
pub enum ServerError {
    /// It could not be started.
    #[error("server `{name}` could not be started: {source}")]
    Start {
        /// The server.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its log cannot be written.
    #[error("server `{name}`: failed to write its log `{path}`: {source}")]
    Log {
        /// The server.
        name: String,
        /// The log.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended instead of serving.
    #[error("server `{name}` ended before it was ready; its log is `{log}`")]
    Ended {
        /// The server.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        last_lines: Vec<String>,
    },
    /// It did not answer in time.
    #[error("server `{name}` was not ready within {seconds} s; its log is `{log}`")]
    NotReady {
        /// The server.
        name: String,
        /// The time it had.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        last_lines: Vec<String>,
    },
}

impl ServerError {
    /// Returns the last lines that the server wrote, secrets struck out.
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::Start { .. } | Self::Log { .. } => &[],
            Self::Ended { last_lines, .. } | Self::NotReady { last_lines, .. } => last_lines,
        }
    }
}

/// A running server; it is stopped when this is dropped.
pub struct Server {
    spec: ServerSpec,
    port: u16,
    log: Arc<Log>,
    supervisor: Supervisor,
}

impl Server {
    /// Starts a server on a free port of the loopback interface; it is not ready yet.
    pub fn start(spec: ServerSpec) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Start {
            name: spec.name.clone(),
            source,
        };
        let port = free_port().map_err(failed)?;
        let log =
            Log::open(&spec.log, spec.secrets.clone()).map_err(|source| ServerError::Log {
                name: spec.name.clone(),
                path: spec.log.clone(),
                source,
            })?;
        let log = Arc::new(log);
        let replaced = |text: &String| text.replace(PORT, &port.to_string());
        let command = spec.command.iter().map(replaced).collect();
        let supervisor = Supervisor::start(&spec, command, Arc::clone(&log)).map_err(failed)?;
        Ok(Self {
            spec,
            port,
            log,
            supervisor,
        })
    }

    /// Returns its base URL, up to and including `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}:{}/v1", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Waits until the server answers and has its model loaded.
    pub async fn ready(&self) -> Result<(), ServerError> {
        let url = format!("http://{}:{}/health", Ipv4Addr::LOCALHOST, self.port);
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| ServerError::Start {
                name: self.spec.name.clone(),
                source: std::io::Error::other(error),
            })?;
        let start = Instant::now();
        loop {
            // A server without this path, which answers otherwise, is asked further by `open`.
            if let Ok(answer) = client.get(&url).send().await
                && !answer.status().is_server_error()
            {
                self.supervisor.was_ready();
                return Ok(());
            }
            let (name, log) = (self.spec.name.clone(), self.spec.log.clone());
            if self.supervisor.state() == State::Ended {
                let last_lines = self.log.last_lines();
                return Err(ServerError::Ended {
                    name,
                    log,
                    last_lines,
                });
            }
            if start.elapsed() > self.spec.ready {
                return Err(ServerError::NotReady {
                    name,
                    seconds: self.spec.ready.as_secs(),
                    log,
                    last_lines: self.log.last_lines(),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns where its log is and the last lines of it, if it died for good.
    pub fn obituary(&self) -> Option<(PathBuf, Vec<String>)> {
        let ended = self.supervisor.state() == State::Ended;
        ended.then(|| (self.spec.log.clone(), self.log.last_lines()))
    }
}

/// Returns a port that nobody listens on; somebody else may take it before the server does, which
/// the server's log will then say.
fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
