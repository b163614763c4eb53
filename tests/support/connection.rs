use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Returns the header called `name` (in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// An HTTP/1.1 connection that is kept between requests.
///
/// Written by hand because a library for servers takes care never to send what a broken server
/// sends, and because its features would change how the client under test is built.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Reads the next request; `None` when the client has closed the connection.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Request>> {
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
        let body_start = head_end + 4;
        if request.header("transfer-encoding") == Some("chunked") {
            self.buffer.drain(..body_start);
            let Some(body) = self.chunks().await? else {
                return Ok(None);
            };
            request.body = body;
            return Ok(Some(request));
        }
        let length = request
            .header("content-length")
            .map_or(Ok(0), str::parse::<usize>)
            .map_err(io::Error::other)?;
        while self.buffer.len() < body_start + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        request.body = self.buffer[body_start..body_start + length].to_vec();
        self.buffer.drain(..body_start + length);
        Ok(Some(request))
    }

    /// Reads a body of chunks without trailers.
    async fn chunks(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        loop {
            let Some(line_end) = self.buffer.windows(2).position(|bytes| bytes == b"\r\n") else {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Ok(None);
                }
                continue;
            };
            let size = String::from_utf8_lossy(&self.buffer[..line_end]).into_owned();
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let chunk = line_end + 2;
            while self.buffer.len() < chunk + size + 2 {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Ok(None);
                }
            }
            body.extend_from_slice(&self.buffer[chunk..chunk + size]);
            self.buffer.drain(..chunk + size + 2);
            if size == 0 {
                return Ok(Some(body));
            }
        }
    }

    /// Writes a whole response.
    pub(crate) async fn write(
        &mut self,
        status: u16,
        headers: &[(String, String)],
        body: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        let body = body.as_ref();
        let mut bytes = head(status, headers, body.len()).into_bytes();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Writes a response as to a HEAD request: `length` is that of the body that is not sent.
    pub(crate) async fn write_head(
        &mut self,
        status: u16,
        headers: &[(String, String)],
        length: usize,
    ) -> io::Result<()> {
        let bytes = head(status, headers, length);
        self.stream.write_all(bytes.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Announces a whole response, writes half of its body and closes the connection.
    pub(crate) async fn write_half(self, body: &str) -> io::Result<()> {
        self.write_part(200, &[], body, body.len() / 2).await
    }

    /// Announces a whole response, writes `sent` bytes of its body and closes the connection.
    pub(crate) async fn write_part(
        mut self,
        status: u16,
        headers: &[(String, String)],
        body: impl AsRef<[u8]>,
        sent: usize,
    ) -> io::Result<()> {
        let body = body.as_ref();
        let mut bytes = head(status, headers, body.len()).into_bytes();
        bytes.extend_from_slice(&body[..sent.min(body.len())]);
        self.stream.write_all(&bytes).await?;
        self.stream.shutdown().await
    }

    /// Begins a response of server-sent events; only [`Self::end_events`] ends it cleanly.
    pub(crate) async fn begin_events(&mut self) -> io::Result<()> {
        let head = "HTTP/1.1 200 -\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await
    }

    /// Writes lines of such a response.
    pub(crate) async fn write_event(&mut self, text: &str) -> io::Result<()> {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.stream.write_all(chunk.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Ends such a response.
    pub(crate) async fn end_events(&mut self) -> io::Result<()> {
        self.stream.write_all(b"0\r\n\r\n").await?;
        self.stream.flush().await
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
