use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::Value;

use super::job::{Job, JobId};
use crate::hub::{Hub, HubError, Repeat};

/// How long a log may be silent; a comment comes every 30 s.
const SILENCE: Duration = Duration::from_secs(120);

/// How long a log may be silent that is read only so far.
const DRAINED: Duration = Duration::from_secs(3);

/// How long such a log is read: a job may write all the time.
const SO_FAR: Duration = Duration::from_secs(20);

/// How the Hub's own lines in a log begin.
const MARKER: &str = "===== Job started";

/// Longest line kept.
const MAX_LINE: usize = 1 << 20;

/// A line that a job wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When (UTC), as the Hub writes it.
    pub timestamp: String,
    /// The text, from elsewhere and perhaps hostile.
    pub text: String,
}

/// How far a log was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    events: usize,
    /// The latest time seen.
    latest: String,
}

impl LogPosition {
    /// Tells whether the `index`-th event of a reply from the beginning is new, and counts it.
    ///
    /// The log is told from its beginning at every connection. One that is shorter than it was is told
    /// by its times.
    fn takes(&mut self, index: usize, timestamp: &str) -> bool {
        if index < self.events && timestamp <= self.latest.as_str() {
            return false;
        }
        self.events = self.events.max(index + 1);
        if timestamp > self.latest.as_str() {
            timestamp.clone_into(&mut self.latest);
        }
        true
    }
}

/// How a connection to a log ended.
enum End {
    /// As the Hub meant it.
    Clean,
    /// By a fault.
    Lost(HubError),
}

impl Hub {
    /// Follows a job's log to the job's end; each line is told once, and none is left out.
    ///
    /// Connections that are lost, silent or ended early are made again, for as long as the job is not
    /// over. Returns the job as it ended.
    pub async fn follow(
        &self,
        id: &JobId,
        position: &mut LogPosition,
        told: &mut dyn FnMut(&LogLine),
    ) -> Result<Job, HubError> {
        let mut vain = 0;
        let mut is_over = false;
        loop {
            let before = position.events;
            let end = self.read_log(id, position, told, SILENCE).await?;
            let is_new = position.events > before;
            if is_over && !is_new && matches!(end, End::Clean) {
                // Everything was told after the end.
                return self.job(id).await;
            }
            let job = self.job(id).await?;
            vain = if is_new { 0 } else { vain + 1 };
            match end {
                End::Lost(error) if vain >= self.patience.tries => return Err(error),
                // The stage lags behind the log, so that a job may be over a moment later.
                _ if is_over || job.stage.is_end() => is_over = true,
                _ => tokio::time::sleep(self.patience.pause_after(vain)).await,
            }
        }
    }

    /// Tells what is in a job's log by now; of one that is still written, what comes within 20 s.
    pub async fn log_so_far(
        &self,
        id: &JobId,
        told: &mut dyn FnMut(&LogLine),
    ) -> Result<(), HubError> {
        let job = self.job(id).await?;
        let mut position = LogPosition::default();
        if job.stage.is_end() {
            return self.follow(id, &mut position, told).await.map(drop);
        }
        let reading = self.read_log(id, &mut position, told, DRAINED);
        match tokio::time::timeout(SO_FAR, reading).await {
            Ok(read) => read.map(drop),
            Err(_) => Ok(()),
        }
    }

    async fn read_log(
        &self,
        id: &JobId,
        position: &mut LogPosition,
        told: &mut dyn FnMut(&LogLine),
        silence: Duration,
    ) -> Result<End, HubError> {
        let what = &format!("read the log of job `{id}`");
        let url = self.endpoint().join(&format!("{}/logs", id.path()));
        let request = || {
            let request = self.request(Method::GET, &url);
            request.header(ACCEPT, "text/event-stream")
        };
        let mut response = match self.send(what, Repeat::Safely, request).await {
            Ok(response) => response,
            // A job that waits for its machine has no log yet; whether there is a job is asked elsewhere.
            Err(error) if error.is_missing() => return Ok(End::Clean),
            Err(error @ HubError::Unreachable { .. }) => return Ok(End::Lost(error)),
            Err(error) => return Err(error),
        };
        let mut pending = Vec::new();
        let mut index = 0;
        loop {
            let piece = match self.piece(what, &mut response, silence).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(End::Clean),
                Err(error) => return Ok(End::Lost(error)),
            };
            pending.extend_from_slice(piece.as_ref());
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                if let Some(mut line) = event(&line) {
                    // A job has the token too, and may write it.
                    line.text = self.redact(&line.text);
                    if position.takes(index, &line.timestamp) && !line.text.starts_with(MARKER) {
                        told(&line);
                    }
                    index += 1;
                }
            }
            if pending.len() > MAX_LINE {
                return Err(HubError::Malformed {
                    what: what.clone(),
                    detail: format!("a line has more than {MAX_LINE} bytes"),
                });
            }
        }
    }
}

/// Returns what a line of the stream tells; comments and fields other than data tell nothing.
fn event(line: &[u8]) -> Option<LogLine> {
    let line = String::from_utf8_lossy(line);
    let data = line.trim_end().strip_prefix("data:")?.trim_start();
    let value: Value = serde_json::from_str(data).ok()?;
    Some(LogLine {
        timestamp: value["timestamp"].as_str().unwrap_or_default().to_owned(),
        text: value["data"].as_str()?.trim_end_matches('\n').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_counts_once() {
        let mut position = LogPosition::default();
        assert!(position.takes(0, "2026-01-01T00:00:01Z"));
        assert!(position.takes(1, "2026-01-01T00:00:02Z"));
        assert!(!position.takes(0, "2026-01-01T00:00:01Z"));
        assert!(!position.takes(1, "2026-01-01T00:00:02Z"));
        assert!(
            position.takes(2, "2026-01-01T00:00:02Z"),
            "two in one moment"
        );
        // Told again without its beginning.
        assert!(!position.takes(0, "2026-01-01T00:00:02Z"));
        assert!(position.takes(1, "2026-01-01T00:00:03Z"));
    }

    #[test]
    fn only_data_is_an_event() {
        assert_eq!(event(b": keep-alive\n"), None);
        assert_eq!(event(b"event: metric\n"), None);
        assert_eq!(event(b"data: not json\n"), None);
        let line = event(b"data: {\"timestamp\": \"t\", \"data\": \"a\\n\"}\r\n").unwrap();
        assert_eq!((line.timestamp.as_str(), line.text.as_str()), ("t", "a"));
    }
}
