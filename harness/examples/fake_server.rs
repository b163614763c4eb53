//! An OpenAI-compatible server that answers at once, or after a fixed time, for `scripts/bench`.
//!
//! `fake_server [LATENCY_MS]` prints its port and serves until killed. What it answers follows from
//! the request's body. `GET /stats` tells what it has seen since the last `GET /stats`.

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads the port there"
)]

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Words a reply is drawn from; sixty of them are about what a chat model says in a turn.
const WORDS: [&str; 16] = [
    "perhaps", "begin", "small", "steps", "morning", "evening", "together", "listen", "tell",
    "again", "because", "strength", "plan", "friend", "quiet", "enough",
];
const WORDS_IN_A_REPLY: u64 = 60;

#[derive(Default)]
struct Stats {
    calls: AtomicU64,
    request_bytes: AtomicU64,
    reply_bytes: AtomicU64,
    text_bytes: AtomicU64,
    /// From a request's arrival to its reply, in microseconds, of all calls together.
    took_us: AtomicU64,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    /// Unix time of the first call, in seconds.
    first_call: Mutex<Option<f64>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let latency = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let latency = Duration::from_millis(latency.unwrap_or(0));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    let stats = Arc::new(Stats::default());
    let clock = Clock::start(latency);
    loop {
        let (stream, _) = listener.accept().await?;
        let (stats, clock) = (Arc::clone(&stats), clock.clone());
        tokio::spawn(async move {
            // A client that goes away is none of the server's business.
            let _ = serve(stream, &clock, &stats).await;
        });
    }
}

/// Wakes calls when their time is over: a thread of its own, for tokio counts whole milliseconds and
/// rounds them up, so that replies would come 1 to 2 ms late.
#[derive(Clone)]
struct Clock {
    latency: Duration,
    waiting: Sender<(Instant, oneshot::Sender<()>)>,
}

impl Clock {
    fn start(latency: Duration) -> Self {
        let (waiting, calls): (_, Receiver<(Instant, oneshot::Sender<()>)>) = channel();
        std::thread::spawn(move || {
            // All wait for the same time: the first to come is the first to go.
            for (due, call) in calls {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let _ = call.send(());
            }
        });
        Self { latency, waiting }
    }

    async fn wait(&self, since: Instant) {
        if self.latency.is_zero() {
            return;
        }
        let (call, over) = oneshot::channel();
        let _ = self.waiting.send((since + self.latency, call));
        let _ = over.await;
    }
}

async fn serve(mut stream: TcpStream, clock: &Clock, stats: &Stats) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap_or(0));
        while buffer.len() < head_end + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let (status, body) = if head.starts_with("post ") {
            (
                200,
                chat(&buffer[head_end..head_end + length], clock, stats).await,
            )
        } else if head.starts_with("get /v1/models ") {
            let model = |id| format!(r#"{{"id":"{id}","object":"model"}}"#);
            let models = ["base", "tuned", "person", "judge"].map(model).join(",");
            (200, format!(r#"{{"object":"list","data":[{models}]}}"#))
        } else if head.starts_with("get /stats ") {
            (200, stats.take())
        } else if head.starts_with("get /health ") {
            (200, "{}".to_owned())
        } else {
            (404, "{}".to_owned())
        };
        buffer.drain(..head_end + length);
        let length = body.len();
        let whole = format!(
            "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(whole.as_bytes()).await?;
    }
}

async fn chat(request: &[u8], clock: &Clock, stats: &Stats) -> String {
    let arrived = Instant::now();
    let in_flight = stats.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
    stats.most_in_flight.fetch_max(in_flight, Ordering::Relaxed);
    stats
        .first_call
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_with(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0.0, |since| since.as_secs_f64())
        });
    let hash = request
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let is_judge = request
        .windows(17)
        .any(|bytes| bytes == b"\"response_format\"");
    let text = if is_judge { grades(hash) } else { said(hash) };
    let content = serde_json::to_string(&text).expect("a text is JSON");
    let body = format!(
        r#"{{"id":"chatcmpl-{hash:016x}","object":"chat.completion","created":0,"model":"fake","choices":[{{"index":0,"message":{{"role":"assistant","content":{content}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{},"completion_tokens":{WORDS_IN_A_REPLY},"total_tokens":{}}}}}"#,
        request.len() / 5,
        request.len() / 5 + 60,
    );
    clock.wait(arrived).await;
    stats.calls.fetch_add(1, Ordering::Relaxed);
    let add = |counter: &AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
    add(&stats.request_bytes, request.len());
    add(&stats.reply_bytes, body.len());
    add(&stats.text_bytes, text.len());
    stats.in_flight.fetch_sub(1, Ordering::Relaxed);
    let took = u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
    stats.took_us.fetch_add(took, Ordering::Relaxed);
    body
}

fn said(hash: u64) -> String {
    let mut state = hash;
    let words = (0..WORDS_IN_A_REPLY).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        WORDS[usize::try_from(state >> 60).expect("four bits")]
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Answers the bench project's rubric.
fn grades(hash: u64) -> String {
    let spread = hash ^ (hash >> 32);
    let reason = said(hash).chars().take(80).collect::<String>();
    serde_json::json!({
        "kind": {"reason": reason, "met": spread.is_multiple_of(2)},
        "useful": {"reason": reason, "level": 1 + (spread >> 8) % 5},
    })
    .to_string()
}

impl Stats {
    /// Returns what was seen and begins anew.
    fn take(&self) -> String {
        let first = self
            .first_call
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        serde_json::json!({
            "calls": take(&self.calls),
            "request_bytes": take(&self.request_bytes),
            "reply_bytes": take(&self.reply_bytes),
            "text_bytes": take(&self.text_bytes),
            "took_us": take(&self.took_us),
            "most_in_flight": self.most_in_flight.swap(0, Ordering::Relaxed),
            "first_call": first,
        })
        .to_string()
    }
}
