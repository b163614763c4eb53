use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::server::{GROUP_VARIABLE, GROUP_WRAPPER, exit_code};

/// Bytes of a line; what is longer comes as several.
const MAX_LINE: u64 = 64 << 10;

/// A script that runs, as a process group of its own that does not outlive this program.
pub(super) struct Running {
    child: Child,
    /// Closing it ends the group.
    pipe: Option<ChildStdin>,
    lines: Receiver<String>,
    exit_code: Option<i32>,
}

/// What came of waiting for a line.
pub(super) enum Waited {
    /// A line.
    Line(String),
    /// Nothing yet.
    Nothing,
    /// Nothing more: all processes of the group have ended.
    Ended,
}

impl Running {
    /// Starts `command` in `directory`.
    pub(super) fn start(command: &[String], directory: &Path) -> io::Result<Self> {
        let mut wrapper = Command::new("/bin/sh");
        wrapper
            .args(["-c", GROUP_WRAPPER, "shipworthy-trainer"])
            .args(command)
            .current_dir(directory)
            .env("PYTHONUNBUFFERED", "1")
            .env_remove(GROUP_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Ctrl-C in a terminal reaches its whole foreground group; the script is to save first.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut wrapper, 0);
        let mut child = wrapper.spawn()?;
        let pipe = child.stdin.take();
        let written = child.stdout.take();
        let (sender, lines) = mpsc::channel();
        std::thread::Builder::new()
            .name("training script".to_owned())
            .spawn(move || {
                let Some(written) = written else { return };
                read_lines(BufReader::new(written), |line| sender.send(line).is_ok());
            })?;
        Ok(Self {
            child,
            pipe,
            lines,
            exit_code: None,
        })
    }

    /// Waits for a line, for `pause` at most.
    pub(super) fn wait(&mut self, pause: Duration) -> Waited {
        match self.lines.recv_timeout(pause) {
            Ok(line) => {
                if let Some(code) = exit_code(&line) {
                    self.exit_code = Some(code);
                }
                Waited::Line(line)
            }
            Err(RecvTimeoutError::Timeout) => Waited::Nothing,
            Err(RecvTimeoutError::Disconnected) => Waited::Ended,
        }
    }

    /// Asks the group to end by itself.
    pub(super) fn ask_to_stop(&mut self) {
        if let Some(pipe) = &mut self.pipe {
            // Whoever has ended needs not be asked.
            let _ = pipe.write_all(b"stop\n");
        }
    }

    /// Ends the group, ten seconds later by force.
    pub(super) fn end(&mut self) {
        self.pipe = None;
    }

    /// Returns the exit code of the script, if it came to have one.
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.child.wait();
    }
}

/// Gives `take` every line until it wants no more; a carriage return ends a line too, as bars write them.
fn read_lines(mut reader: BufReader<impl io::Read>, mut take: impl FnMut(String) -> bool) {
    use std::io::BufRead as _;
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                for part in text.trim_end().split('\r') {
                    if !take(part.to_owned()) {
                        return;
                    }
                }
            }
        }
    }
}
