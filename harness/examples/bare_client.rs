//! The least that conversations over HTTP can cost, for `scripts/bench`: reqwest alone.
//!
//! `bare_client URL CONVERSATIONS TURNS CONCURRENCY` holds conversations of the size the engine holds,
//! reads every reply as JSON for its text, and keeps nothing: no plan, no retry, no store, no report.
//! All conversations are held at once, CONCURRENCY calls of theirs are under way at a time: nothing
//! waits for a conversation to end.

use std::sync::Arc;

use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// About as long as what the engine tells a judge about a rubric of two criteria.
const RUBRIC: &str =
    "For each criterion give a short reason and say whether it is met, or its level. ";

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, conversations, turns, concurrency] = arguments.as_slice() else {
        return Err("usage: bare_client URL CONVERSATIONS TURNS CONCURRENCY".into());
    };
    let (conversations, turns) = (conversations.parse()?, turns.parse()?);
    let client = Arc::new(Client {
        http: reqwest::Client::builder().no_proxy().build()?,
        url: url.clone(),
        calls: Semaphore::new(concurrency.parse()?),
    });
    let held = (0..conversations).map(|number| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.hold(number, turns).await })
    });
    for conversation in try_join_all(held).await? {
        conversation?;
    }
    Ok(())
}

struct Client {
    http: reqwest::Client,
    url: String,
    calls: Semaphore,
}

impl Client {
    /// Holds one conversation: the person and the model in turn, then a judge.
    async fn hold(&self, number: usize, turns: usize) -> Result<(), Failure> {
        let mut said =
            vec![json!({"role": "system", "content": format!("Conversation {number}.")})];
        for _ in 0..turns {
            for (model, role) in [("person", "user"), ("base", "assistant")] {
                let text = self.ask(json!({"model": model, "messages": said})).await?;
                said.push(json!({"role": role, "content": text}));
            }
        }
        let transcript = serde_json::to_string(&said)?;
        let asked = json!([{"role": "user", "content": RUBRIC.repeat(8) + &transcript}]);
        let format = json!({"type": "json_object"});
        let body = json!({"model": "judge", "messages": asked, "response_format": format});
        self.ask(body).await?;
        Ok(())
    }

    async fn ask(&self, body: Value) -> Result<String, Failure> {
        let _place = self.calls.acquire().await?;
        let url = format!("{}/chat/completions", self.url);
        let reply = self.http.post(url).json(&body).send().await?;
        let reply: Value = reply.error_for_status()?.json().await?;
        let text = reply["choices"][0]["message"]["content"].as_str();
        Ok(text.ok_or("a reply without text")?.to_owned())
    }
}
