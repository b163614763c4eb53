//! A headless Chromium, driven over its own pipe: what a person does with a page, and what the page did.
//!
//! Its `DevTools` protocol goes through two pipes (`--remote-debugging-pipe`), each message ended by a
//! zero byte, so that neither a port nor a crate for web sockets is needed. The browser is given no
//! network but this machine: whatever a page asks for beside itself or its site fails or is recorded.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Names under which distributions install it; the first found is taken.
const NAMES: [&str; 5] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
];

/// Longest wait for an answer; these machines may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page open; it ends when dropped.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    events: Vec<Value>,
    n_calls: u64,
    session: Option<String>,
    profile: PathBuf,
    /// The pages that were opened, without their fragments.
    pages: Vec<String>,
    /// The beginnings of addresses that may be asked for.
    sites: Vec<String>,
}

impl Browser {
    /// Starts one; `None`, with a message, where none is installed. `profile`: a directory for its files.
    ///
    /// `SHIPWORTHY_BROWSER` names another program; then it must start.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn start(profile: PathBuf) -> Option<Self> {
        let named = std::env::var_os("SHIPWORTHY_BROWSER").map(PathBuf::from);
        let Some(program) = named.or_else(installed) else {
            eprintln!("skipped: no Chromium is installed; `scripts/browser` does it");
            return None;
        };
        std::fs::create_dir_all(&profile).unwrap();
        // The shell moves our pipes to where the browser looks for them: 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(n) if n > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).unwrap();
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            events: Vec::new(),
            n_calls: 0,
            session: None,
            profile,
            pages: Vec::new(),
            sites: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.window(1280, 900);
        browser.dark(false);
        Some(browser)
    }

    /// Calls a method of the protocol and returns its result.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "parameters are written where they are passed"
    )]
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, &parameters)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method of the protocol and returns its result or its error.
    fn try_call(&mut self, method: &str, parameters: &Value) -> Result<Value, Value> {
        self.n_calls += 1;
        let mut message = json!({"id": self.n_calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = self
                .messages
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == self.n_calls {
                return match &answer["error"] {
                    Value::Null => Ok(answer["result"].clone()),
                    error => Err(error.clone()),
                };
            }
            self.events.push(answer);
        }
    }

    /// Opens a file, with a fragment if need be, and waits until its script has read its data.
    pub(crate) fn open(&mut self, file: &Path, fragment: &str) {
        let page = format!("file://{}", file.display());
        // Another fragment alone would not load the page again.
        self.call("Page.navigate", json!({"url": "about:blank"}));
        let url = format!("{page}{fragment}");
        self.pages.push(page);
        self.call("Page.navigate", json!({"url": url}));
        self.wait_for("document.documentElement?.dataset.ready === 'true'");
    }

    /// Opens a page of this machine; whatever is at an address below its own may be asked for.
    pub(crate) fn visit(&mut self, address: &str) {
        self.sites.push(address.to_owned());
        self.call("Page.navigate", json!({"url": address}));
    }

    /// Returns what an expression comes to in the page.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        self.try_ask(expression)
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Returns what an expression comes to, or why there was no page to ask.
    fn try_ask(&mut self, expression: &str) -> Result<Value, Value> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.try_call("Runtime.evaluate", &parameters)?;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        Ok(answer["result"]["value"].clone())
    }

    /// Returns the text that an expression comes to.
    pub(crate) fn text(&mut self, expression: &str) -> String {
        let value = self.ask(expression);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{expression}: {value}"))
            .to_owned()
    }

    /// Waits until an expression is true, if need be in a page that takes this one's place.
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        while self.try_ask(expression) != Ok(json!(true)) {
            assert!(Instant::now() < until, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks with the mouse in the middle of the first element that `selector` finds.
    pub(crate) fn click(&mut self, selector: &str) {
        let place = self.ask(&format!(
            "(() => {{ const node = document.querySelector({selector:?}); \
             node.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const box = node.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let parameters = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", parameters);
        }
    }

    /// Types into what has the focus.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses a key: `Tab`, `Enter`, an arrow or a digit.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match (key, key.as_bytes()) {
            ("Tab", _) => (9, ""),
            ("Enter", _) => (13, "\r"),
            ("ArrowUp", _) => (38, ""),
            ("ArrowDown", _) => (40, ""),
            (_, &[digit @ b'0'..=b'9']) => (digit, key),
            _ => panic!("unknown key {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let parameters = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Sets the window's size.
    pub(crate) fn window(&mut self, width: u32, height: u32) {
        let parameters = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", parameters);
    }

    /// Says whether the reader likes dark pages.
    pub(crate) fn dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": value},
            // What is clicked at must not move.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Takes a picture of the window, or of the whole page, at most `most` points of it, into `file`.
    pub(crate) fn screenshot(&mut self, file: &Path, most: Option<u32>) {
        let mut parameters = json!({"format": "png"});
        if let Some(most) = most {
            let [width, height] = ["clientWidth", "scrollHeight"].map(|side| {
                self.ask(&format!("document.documentElement.{side}"))
                    .as_f64()
            });
            let height = height.unwrap().min(most.into());
            parameters["captureBeyondViewport"] = json!(true);
            parameters["clip"] =
                json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        }
        let picture = self.call("Page.captureScreenshot", parameters);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, from_base64(picture["data"].as_str().unwrap())).unwrap();
    }

    /// Returns what a reader or a careful person would not want: errors, warnings, and whatever was
    /// asked for beside the page.
    pub(crate) fn problems(&mut self) -> Vec<String> {
        // What happened before is heard of before the answer.
        self.ask("1");
        let (pages, sites) = (self.pages.clone(), self.sites.clone());
        let problem = |event: &Value| {
            let parameters = &event["params"];
            let is_bad = match event["method"].as_str()? {
                "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => true,
                "Runtime.consoleAPICalled" => {
                    matches!(
                        parameters["type"].as_str(),
                        Some("error" | "warning" | "assert")
                    )
                }
                "Log.entryAdded" => {
                    matches!(
                        parameters["entry"]["level"].as_str(),
                        Some("error" | "warning")
                    )
                }
                "Network.requestWillBeSent" => {
                    let url = parameters["request"]["url"].as_str()?;
                    let is_page = pages.iter().any(|page| page == url);
                    let is_of_site = sites.iter().any(|site| url.starts_with(site));
                    !is_page && !is_of_site && !matches!(url, "about:blank" | "data:,")
                }
                _ => false,
            };
            is_bad.then(|| parameters.to_string())
        };
        self.events.iter().filter_map(problem).collect()
    }

    /// Forgets what happened so far.
    pub(crate) fn forget(&mut self) {
        self.ask("1");
        self.events.clear();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, it ends its own processes, which would go on writing into the profile.
        let close = b"{\"id\": 0, \"method\": \"Browser.close\"}\0";
        if self.input.write_all(close).is_ok() {
            while self.messages.recv_timeout(Duration::from_secs(5)).is_ok() {}
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| {
            directories
                .iter()
                .map(move |directory| directory.join(name))
        })
        .find(|program| program.is_file())
}

/// Reads base 64 as the browser writes it.
fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let group = |group: &[u8]| {
        let bits = group.iter().enumerate().fold(0u32, |bits, (idx, digit)| {
            bits | u32::from(*digit) << (18 - 6 * idx)
        });
        let [_, bytes @ ..] = bits.to_be_bytes();
        bytes[..group.len() - 1].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
