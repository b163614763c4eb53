//! A collector that takes OTLP over HTTP and keeps what it gets, as it came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// One post.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// The request line and the headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A running collector; its threads end with the tests.
pub(crate) struct OtlpCollector {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl OtlpCollector {
    /// Starts one on a free port that answers with `status`, or never where that is `None`.
    pub(crate) fn start(status: Option<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::<Mutex<Vec<Post>>>::default();
        let kept = Arc::clone(&posts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), Arc::clone(&kept));
                std::thread::spawn(move || serve(&stream, &kept, status));
            }
        });
        Self { address, posts }
    }

    /// Returns the base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what came.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// Returns the spans that came, as the published messages decode them.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let posts = self.posts();
        let requests = posts
            .iter()
            .map(|post| ExportTraceServiceRequest::decode(post.body.as_slice()).unwrap());
        requests
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

fn serve(stream: &TcpStream, posts: &Mutex<Vec<Post>>, status: Option<u16>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        posts.lock().unwrap().push(Post { head, body });
        let Some(status) = status else {
            std::thread::sleep(Duration::from_secs(60));
            return;
        };
        let reply = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
        if (&mut &*stream).write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}
