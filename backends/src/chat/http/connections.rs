use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::redirect;

use super::base_url::BaseUrl;
use super::failure::Failure;

/// Time for a connection to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// llama-server and uvicorn (vLLM) close a connection that was idle for 5 s; leaving it a little
/// earlier avoids sending a request into one that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections to servers: models at one server share them, whoever made one and whatever their keys.
///
/// With connections of their own, each model would keep as many as it ever had calls under way, idle
/// while another one's turn comes.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<BTreeMap<String, Pool>>>);

impl Connections {
    /// Returns the connections to the server at `base`; connects to nothing yet.
    pub(super) fn to(&self, base: &BaseUrl) -> Result<Pool, Failure> {
        // A pool is entered whole or not at all.
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(base.origin()) {
            return Ok(pool.clone());
        }
        let pool = Pool::open(base)?;
        pools.insert(base.origin().to_owned(), pool.clone());
        Ok(pool)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

/// The connections to one server.
#[derive(Clone)]
pub(super) struct Pool {
    /// For calls.
    pub(super) calls: reqwest::Client,
    /// For questions about the server, whose connections tell nothing.
    pub(super) questions: reqwest::Client,
    watchers: Arc<Mutex<Vec<Weak<AtomicBool>>>>,
}

impl Pool {
    fn open(base: &BaseUrl) -> Result<Self, Failure> {
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("shipworthy/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                // A redirected POST would arrive as a GET without its body.
                .redirect(redirect::Policy::none());
            if !base.is_loopback() {
                return builder;
            }
            // A proxy set for the outside world cannot reach this machine's own ports.
            let builder = builder.no_proxy();
            if base.is_https() {
                builder
            } else {
                // Reading the system's certificates takes longer than all else before a first call.
                builder.tls_certs_only([])
            }
        };
        let watchers: Arc<Mutex<Vec<Weak<AtomicBool>>>> = Arc::default();
        let told = Arc::clone(&watchers);
        let notes_connections = tower::util::MapResponseLayer::new(move |connection| {
            let watchers = told.lock().unwrap_or_else(PoisonError::into_inner);
            for watcher in watchers.iter().filter_map(Weak::upgrade) {
                watcher.store(true, Ordering::Release);
            }
            connection
        });
        let calls = builder().connector_layer(notes_connections);
        Ok(Self {
            calls: calls.build().map_err(Failure::from_reqwest)?,
            questions: builder().build().map_err(Failure::from_reqwest)?,
            watchers,
        })
    }

    /// Returns what is set whenever a connection for calls is made: another server may be at its end.
    pub(super) fn watch(&self) -> Arc<AtomicBool> {
        let is_newly_connected = Arc::default();
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&is_newly_connected));
        is_newly_connected
    }
}
