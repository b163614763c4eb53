use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Returns the header called `name` (in lower case).
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// An HTTP/1.1 connection that is kept between requests.
///
/// Written by hand because a library for servers takes care never to send what a broken server
/// sends, and because its features would change how the client under test is built.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Reads the next request; `None` when the client has closed the connection.
    pub(super) async fn read(&mut self) -> io::Result<Option<Request>> {
        let head_end = loop {
            if let Some(at) = self
                .buffer
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break at;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let mut request = Request {
            method: first.next().unwrap_or_default().to_owned(),
            path: first.next().unwrap_or_default().to_owned(),
            headers: lines
                .filter_map(|line| line.split_once(':'))
                .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
        };
        let length = request
            .header("content-length")
            .map_or(Ok(0), str::parse::<usize>)
            .map_err(io::Error::other)?;
        let body_start = head_end + 4;
        while self.buffer.len() < body_start + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        request.body = self.buffer[body_start..body_start + length].to_vec();
        self.buffer.drain(..body_start + length);
        Ok(Some(request))
    }

    /// Writes a whole response.
    pub(super) async fn write(
        &mut self,
        status: u16,
        headers: &[(String, String)],
        body: &str,
    ) -> io::Result<()> {
        let mut bytes = head(status, headers, body.len());
        bytes.push_str(body);
        self.stream.write_all(bytes.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Announces a whole response, writes half of its body and closes the connection.
    pub(super) async fn write_half(mut self, body: &str) -> io::Result<()> {
        let mut bytes = head(200, &[], body.len()).into_bytes();
        bytes.extend_from_slice(&body.as_bytes()[..body.len() / 2]);
        self.stream.write_all(&bytes).await?;
        self.stream.shutdown().await
    }
}

fn head(status: u16, headers: &[(String, String)], length: usize) -> String {
    use std::fmt::Write as _;
    let mut head = format!("HTTP/1.1 {status} -\r\nContent-Length: {length}\r\n");
    if !headers
        .iter()
        .any(|(key, _)| key.eq_ignore_ascii_case("content-type"))
    {
        head.push_str("Content-Type: application/json\r\n");
    }
    for (key, value) in headers {
        let _ = write!(head, "{key}: {value}\r\n");
    }
    head.push_str("\r\n");
    head
}
