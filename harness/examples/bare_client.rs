//! The least that conversations over HTTP can cost, for `scripts/bench`: reqwest alone.
//!
//! `bare_client URL CONVERSATIONS TURNS CONCURRENCY` holds conversations of the size the engine holds,
//! reads every reply as JSON for its text, and keeps nothing: no plan, no retry, no store, no report.

use futures::StreamExt as _;
use futures::stream;
use serde_json::{Value, json};

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
    let http = reqwest::Client::builder().no_proxy().build()?;
    let held = stream::iter(0..conversations).map(|number| {
        let (http, url) = (http.clone(), url.clone());
        tokio::spawn(async move { hold(&http, &url, number, turns).await })
    });
    let mut held = held.buffer_unordered(concurrency.parse()?);
    while let Some(conversation) = held.next().await {
        conversation??;
    }
    Ok(())
}

/// Holds one conversation: the person and the model in turn, then a judge.
async fn hold(
    http: &reqwest::Client,
    url: &str,
    number: usize,
    turns: usize,
) -> Result<(), Failure> {
    let mut said = vec![json!({"role": "system", "content": format!("Conversation {number}.")})];
    for _ in 0..turns {
        for (model, role) in [("person", "user"), ("base", "assistant")] {
            let text = ask(http, url, json!({"model": model, "messages": said})).await?;
            said.push(json!({"role": role, "content": text}));
        }
    }
    let transcript = serde_json::to_string(&said)?;
    let asked = json!([{"role": "user", "content": RUBRIC.repeat(8) + &transcript}]);
    let body =
        json!({"model": "judge", "messages": asked, "response_format": {"type": "json_object"}});
    ask(http, url, body).await?;
    Ok(())
}

async fn ask(http: &reqwest::Client, url: &str, body: Value) -> Result<String, Failure> {
    let reply = http.post(format!("{url}/chat/completions")).json(&body);
    let reply: Value = reply.send().await?.error_for_status()?.json().await?;
    let text = reply["choices"][0]["message"]["content"].as_str();
    Ok(text.ok_or("a reply without text")?.to_owned())
}
