//! A run whose conversations are labelled, and the page on which that is done.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::fake_openai::{FakeOpenAi, Options};
use super::project::Project;

/// One criterion that is met or not, one with levels, and one that no person is asked about.
const RUBRIC: &str = "\
name: judged
version: 1
pass_threshold: 0.5
categories:
  - name: All
    criteria:
      - {id: kind, text: The assistant is kind.}
      - id: useful
        text: The assistant is useful.
        scale: {levels: {1: Useless., 2: Hardly useful., 3: Somewhat useful., 4: Useful., 5: Very useful.}}
      - {id: says-yes, text: Says yes., check: {contains: [yes]}}
";

/// A run of `people` whose judge likes what the candidate says.
pub(crate) fn judged_run(people: usize, extra: &str) -> Project {
    let server = FakeOpenAi::start(Options {
        model: "judge".into(),
        reply: Some(std::sync::Arc::new(|body| {
            let is_good = body.to_string().contains("Gladly");
            let level = if is_good { 5 } else { 2 };
            json!({
                "kind": {"reason": "So it is.", "met": is_good},
                "useful": {"reason": "So it is.", "level": level},
            })
            .to_string()
        })),
        ..Options::default()
    });
    let project = Project::with_config(&format!(
        "project: judged\n\
         personas: {{spec: coaching, count: {people}, repeats: 1, max_turns: 1}}\n\
         rubric: ./judged.yaml\n\
         baseline: secret-base\n\
         models: {{secret-base: {{scripted: base.jsonl}}, secret-tuned: {{scripted: tuned.jsonl}}}}\n\
         judge: {{url: \"{}\"}}\n{extra}",
        server.url()
    ));
    project.write("judged.yaml", RUBRIC);
    let odd = "{\"persona\": \"*1\", \"reply\": \"Gladly <b>no</b>.\"}\n";
    project.write(
        "base.jsonl",
        &format!("{odd}{{\"reply\": \"No <img src=x onerror=alert(1)>\"}}\n"),
    );
    let weak = "{\"persona\": \"*2\", \"reply\": \"No.\"}\n";
    project.write(
        "tuned.jsonl",
        &format!("{weak}{{\"reply\": \"Gladly, yes </script>.\"}}\n"),
    );
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    project
}

/// `shipworthy label`, serving its page until dropped.
pub(crate) struct Page {
    child: Child,
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Page {
    /// Starts it with these arguments and waits until the page can be asked for.
    pub(crate) fn open(project: &Project, arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = ["label"].iter().chain(arguments).copied().collect();
        let mut command = project.command(&arguments);
        let mut child = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the address is told").unwrap();
            if let Some(address) = line.trim().strip_prefix("http://") {
                break format!("http://{address}");
            }
        };
        // What is still written there must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            client: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    /// Returns the answer to a request.
    pub(crate) fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> (StatusCode, reqwest::header::HeaderMap, String) {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            (status, headers, response.text().await.unwrap())
        })
    }

    /// Returns what is at an address beside the page.
    pub(crate) fn get(&self, path: &str) -> String {
        let (status, _, text) = self.send(self.client.get(format!("{}{path}", self.address)));
        assert_eq!(status, StatusCode::OK, "{text}");
        text
    }

    /// Returns what a rater is shown.
    pub(crate) fn items(&self, rater: &str) -> Value {
        serde_json::from_str(&self.get(&format!("items?rater={rater}"))).unwrap()
    }

    /// Sends answers of a rater.
    pub(crate) fn label(&self, rater: &str, key: &Value, answers: &Value) -> (StatusCode, Value) {
        let body = json!({ "rater": rater, "key": key, "answers": answers, "note": "" });
        let request = self.client.post(format!("{}labels", self.address));
        let (status, _, text) = self.send(request.json(&body));
        (status, serde_json::from_str(&text).unwrap())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a careful person says: as the judge, but for the one conversation in `against`.
pub(crate) fn answers(item: &Value, against: Option<&Value>) -> Value {
    let is_good = item["turns"].to_string().contains("Gladly");
    let is_good = is_good != (against == Some(&item["key"]));
    if is_good {
        json!({ "kind": "met", "useful": "5" })
    } else {
        json!({ "kind": "not_met", "useful": "2" })
    }
}

/// Returns the keys of what is shown, in its order.
pub(crate) fn keys(shown: &Value) -> Vec<&str> {
    let items = shown["items"].as_array().unwrap().iter();
    items.map(|item| item["key"].as_str().unwrap()).collect()
}
