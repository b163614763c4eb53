//! An OpenAI-compatible server on loopback that can be told to misbehave.
//!
//! It speaks `/v1/chat/completions`, `/v1/models`, `/health` and `/props` over real HTTP/1.1
//! connections, in a thread of its own, and keeps every chat request it gets. What it answers is a
//! function of the request's body alone (unless scripted), so that a run that was killed and
//! resumed meets the same replies as one that was not.
//!
//! ```ignore
//! let server = FakeOpenAi::start(Options { model: "tuned".into(), ..Options::default() });
//! let url = server.url(); // http://127.0.0.1:PORT/v1
//! // ... run something against it ...
//! assert_eq!(server.requests().len(), 3);
//! ```

mod answer;
mod pick;
mod recorded;
mod replies;
mod routes;
mod schema_filler;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpSocket;

pub(crate) use self::answer::{Answer, Faults};
pub(crate) use self::recorded::Recorded;
use self::routes::State;

/// Computes the content of a reply from the request's body.
pub(crate) type ReplyFn = Arc<dyn Fn(&Value) -> String + Send + Sync>;

/// Computes the answer to a question that is asked before a run from the request's body.
pub(crate) type PreflightFn = Arc<dyn Fn(&Value) -> Answer + Send + Sync>;

/// How the server is to behave; the default behaves well.
#[derive(Clone)]
pub(crate) struct Options {
    /// Id of the model it serves.
    pub(crate) model: String,
    /// Ids it lists besides.
    pub(crate) other_models: Vec<String>,
    /// `meta.n_params` of the model.
    pub(crate) n_params: Option<u64>,
    /// What `/props` answers; `None`: 404, as everywhere but at llama-server.
    pub(crate) props: Option<Value>,
    /// What `/lora-adapters` answers; `None`: 404.
    pub(crate) adapters: Option<Value>,
    /// Answers what is asked before a run; `None`: as it should be.
    pub(crate) preflight: Option<PreflightFn>,
    /// The key it wants (but for `/health`).
    pub(crate) api_key: Option<String>,
    /// How many times `/health` answers 503 "Loading model" before it answers 200.
    pub(crate) loading_probes: usize,
    /// Time before each chat answer.
    pub(crate) latency: Duration,
    /// Failures by chance.
    pub(crate) faults: Faults,
    /// Answers to the first chat calls, in order of arrival.
    pub(crate) script: Vec<Answer>,
    /// Answers to the first calls that carry a `response_format`, in order of arrival.
    pub(crate) judge_script: Vec<Answer>,
    /// Replies to requests in which some message contains the first text; the first match counts.
    pub(crate) canned: Vec<(String, String)>,
    /// Requests whose last message is this text get 500, always.
    pub(crate) poison: Option<String>,
    /// Computes every other reply, instead of the built-in one.
    pub(crate) reply: Option<ReplyFn>,
    /// `finish_reason` of replies that do not bring their own.
    pub(crate) finish_reason: String,
    /// Number of chat calls after which it goes down, as if killed.
    pub(crate) die_after: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model: "fake".to_owned(),
            other_models: Vec::new(),
            n_params: None,
            props: None,
            adapters: None,
            preflight: None,
            api_key: None,
            loading_probes: 0,
            latency: Duration::ZERO,
            faults: Faults::default(),
            script: Vec::new(),
            judge_script: Vec::new(),
            canned: Vec::new(),
            poison: None,
            reply: None,
            finish_reason: "stop".to_owned(),
            die_after: None,
        }
    }
}

/// A running server; it stops when dropped.
pub(crate) struct FakeOpenAi {
    address: SocketAddr,
    /// Keeps the port from everybody else between [`stop`](Self::stop) and
    /// [`restart`](Self::restart): bound, and never listening.
    reservation: Arc<TcpSocket>,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl FakeOpenAi {
    /// Starts a server on a free port.
    pub(crate) fn start(options: Options) -> Self {
        Self::start_on(0, options)
    }

    /// Starts a server on `port`; it accepts connections when this returns.
    pub(crate) fn start_on(port: u16, options: Options) -> Self {
        let reservation = TcpSocket::new_v4().expect("a socket");
        reservation
            .set_reuseaddr(true)
            .and_then(|()| reservation.bind((Ipv4Addr::LOCALHOST, port).into()))
            .expect("a port on loopback");
        Self::start_reserved(Arc::new(reservation), options)
    }

    fn start_reserved(reservation: Arc<TcpSocket>, options: Options) -> Self {
        let address = reservation.local_addr().expect("the address just bound");
        // The standard library sets SO_REUSEADDR, which both sockets need.
        let listener = TcpListener::bind(address).expect("the port reserved");
        listener
            .set_nonblocking(true)
            .expect("a listener for tokio");
        let state = Arc::new(State::new(options));
        let thread = std::thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(routes::serve(listener, state));
                // Dropping the runtime drops every open connection.
            }
        });
        Self {
            address,
            reservation,
            state,
            thread: Some(thread),
        }
    }

    /// Returns the base URL, with `/v1`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns the port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the chat requests so far, in order of arrival.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.state.requests()
    }

    /// Returns the bodies of what was asked before runs; no other method counts them.
    pub(crate) fn preflight(&self) -> Vec<Value> {
        self.state.preflight()
    }

    /// Returns how many chat requests came so far.
    pub(crate) fn calls(&self) -> usize {
        self.state.calls()
    }

    /// Returns the most chat requests that were under way at one time.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.state.most_in_flight()
    }

    /// Returns the digests of bodies that came again after a whole reply to them had been sent.
    pub(crate) fn repeats(&self) -> Vec<String> {
        recorded::repeats(&self.requests())
    }

    /// Stops listening and drops every connection.
    pub(crate) fn stop(&mut self) {
        self.state.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread");
        }
    }

    /// Stops, and starts anew on the same port; the record begins empty.
    pub(crate) fn restart(mut self, options: Options) -> Self {
        self.stop();
        Self::start_reserved(Arc::clone(&self.reservation), options)
    }
}

impl Drop for FakeOpenAi {
    fn drop(&mut self) {
        self.stop();
    }
}
