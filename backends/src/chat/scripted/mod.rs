//! Replies read from a JSONL file, for tests, CI and demonstrations without a model.
//!
//! Each line is one object (`docs/formats.md`, "Scripted replies"):
//!
//! ```json
//! {"persona": "coaching-9003", "turn": 1, "reply": "What would a good week look like?"}
//! {"persona": "coaching-*", "repeat": 2, "replies": ["Tell me more.", "What have you tried?"]}
//! {"thread": "judge/*", "reply": "{\"met\": true}"}
//! {"said": "*tired*|*sleep*", "reply": "How did you sleep last night?"}
//! {"reply": "Go on.", "finish_reason": "length"}
//! ```
//!
//! The first line that fits answers. A line fits when everything it names does: `thread`,
//! `persona` and `repeat` look at [`ChatRequest::thread`], `turn` counts the assistant's messages
//! so far, from 1. `opening` and `said` look at the user's first and last message, whatever their
//! case, and may give several patterns with `|` between them. A line that names nothing fits always. `replies` gives one of several, picked
//! by the request's seed alone, so that repeats differ and reruns do not.

mod glob;
mod line;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use shipworthy_schema::{ChatReply, ChatRequest, Digest, ModelSource, Usage};

use self::line::{Asked, Line};
use super::reasoning;
use crate::{ChatError, ChatModel, OpenError, OpenedModel};

/// A reply takes no time; more at once than this gains nothing.
const CONCURRENCY: usize = 64;

struct ScriptedModel {
    path: PathBuf,
    shown: String,
    lines: Vec<Line>,
}

/// Opens the file at `path`, which the configuration wrote as `shown`.
pub(crate) fn open(path: &Path, shown: &str) -> Result<OpenedModel, OpenError> {
    let bytes = std::fs::read(path).map_err(|source| OpenError::File {
        path: path.to_owned(),
        source,
    })?;
    let lines = line::read_all(&bytes).map_err(|detail| OpenError::Format {
        path: path.to_owned(),
        detail,
    })?;
    Ok(OpenedModel {
        source: source(shown, Digest::of(&bytes)),
        model: Arc::new(ScriptedModel {
            path: path.to_owned(),
            shown: shown.to_owned(),
            lines,
        }),
    })
}

fn source(shown: &str, digest: Digest) -> ModelSource {
    ModelSource::Scripted {
        path: shown.to_owned(),
        digest,
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    async fn chat(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let asked = Asked::of(request);
        let Some(line) = self.lines.iter().find(|line| line.fits(&asked)) else {
            return Err(ChatError::Refused {
                model: self.shown.clone(),
                detail: format!("no line fits {asked}"),
            });
        };
        let split = reasoning::split(line.reply(request.sampling.seed), false);
        Ok(ChatReply {
            content: split.content,
            reasoning: split.reasoning,
            finish_reason: line.finish_reason(),
            // Nobody counted tokens.
            usage: Usage::default(),
        })
    }

    async fn identify(&self) -> Result<ModelSource, ChatError> {
        // The file is small and local; waiting for it here holds nobody up.
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(source(&self.shown, Digest::of(&bytes))),
            Err(error) => Err(ChatError::Unavailable {
                model: self.shown.clone(),
                detail: error.to_string(),
            }),
        }
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use shipworthy_schema::{ChatRequest, FinishReason, Message, ModelSource, Role, Sampling};

    use super::open;
    use crate::{ChatError, OpenedModel};

    fn opened(text: &str) -> (tempfile::NamedTempFile, OpenedModel) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let model = open(file.path(), "replies.jsonl").unwrap();
        (file, model)
    }

    fn request(thread: &str, replies_so_far: usize, seed: u64) -> ChatRequest {
        let mut messages = vec![Message::new(Role::User, "hello")];
        for _ in 0..replies_so_far {
            messages.push(Message::new(Role::Assistant, "a"));
            messages.push(Message::new(Role::User, "u"));
        }
        ChatRequest {
            thread: thread.to_owned(),
            messages,
            sampling: Sampling {
                seed,
                ..Sampling::default()
            },
            response_schema: None,
        }
    }

    const SCRIPT: &str = r#"
{"thread": "judge/*", "reply": "{\"met\": true}"}
{"persona": "coaching-9001", "turn": 1, "repeat": 2, "reply": "second try"}
{"persona": "coaching-9001", "turn": 1, "reply": "<think>hm</think>first"}
{"persona": "coaching-*", "turn": 2, "reply": "cut", "finish_reason": "length"}
{"persona": "coaching-*", "replies": ["a", "b", "c"]}
"#;

    #[tokio::test]
    async fn what_was_said_picks_the_line() {
        let (_file, opened) = opened(
            r#"
{"opening": "*phone*", "said": "*NEWS*|*bored*", "reply": "phone, again"}
{"opening": "*phone*", "turn": 1, "reply": "phone"}
{"said": "*news*", "reply": "news"}
{"reply": "else"}
"#,
        );
        for (said, reply) in [
            (&["My PHONE"][..], "phone"),
            (&["my phone", "I read the News."], "phone, again"),
            (&["my phone", "bored"], "phone, again"),
            (&["my phone", "hm"], "else"),
            (&["my sleep", "the news"], "news"),
            (&[], "else"),
        ] {
            let mut asked = request("m/a-1/1", 0, 0);
            asked.messages.clear();
            for (turn, text) in said.iter().enumerate() {
                if turn > 0 {
                    asked.messages.push(Message::new(Role::Assistant, "a"));
                }
                asked.messages.push(Message::new(Role::User, *text));
            }
            let answer = opened.model.chat(&asked).await.unwrap();
            assert_eq!(answer.content, reply, "{said:?}");
        }
    }

    #[tokio::test]
    async fn the_first_line_that_fits_answers() {
        let (_file, opened) = opened(SCRIPT);
        for (thread, so_far, reply) in [
            ("judge/tuned/coaching-9001/1/empathy", 0, "{\"met\": true}"),
            ("tuned/coaching-9001/2", 0, "second try"),
            ("tuned/coaching-9001/1", 0, "first"),
            ("tuned/coaching-9002/1", 1, "cut"),
        ] {
            let answer = opened
                .model
                .chat(&request(thread, so_far, 0))
                .await
                .unwrap();
            assert_eq!(answer.content, reply, "{thread} {so_far}");
        }
        let first = opened
            .model
            .chat(&request("m/coaching-9001/1", 0, 0))
            .await
            .unwrap();
        assert_eq!(first.reasoning.as_deref(), Some("hm"));
        let cut = opened
            .model
            .chat(&request("m/coaching-9001/1", 1, 0))
            .await
            .unwrap();
        assert_eq!(cut.finish_reason, FinishReason::Length);
    }

    #[tokio::test]
    async fn the_seed_alone_picks_among_replies() {
        let (_file, opened) = opened(SCRIPT);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..30 {
            let one = opened
                .model
                .chat(&request("m/coaching-1/1", 4, seed))
                .await
                .unwrap();
            let again = opened
                .model
                .chat(&request("m/coaching-2/3", 7, seed))
                .await
                .unwrap();
            assert_eq!(one, again);
            seen.insert(one.content);
        }
        assert_eq!(seen.into_iter().collect::<String>(), "abc");
    }

    #[tokio::test]
    async fn a_missing_reply_names_file_and_question() {
        let (_file, opened) = opened(SCRIPT);
        let error = opened
            .model
            .chat(&request("m/support-1/3", 1, 0))
            .await
            .unwrap_err();
        assert!(matches!(error, ChatError::Refused { .. }));
        assert_eq!(
            error.to_string(),
            "replies.jsonl refuses the request: no line fits thread `m/support-1/3`, turn 2"
        );
    }

    #[tokio::test]
    async fn identity_follows_the_file() {
        let (mut file, opened) = opened(SCRIPT);
        assert_eq!(opened.model.identify().await.unwrap(), opened.source);
        assert!(
            matches!(&opened.source, ModelSource::Scripted { path, .. } if path == "replies.jsonl")
        );
        file.write_all(b"{\"reply\": \"new\"}\n").unwrap();
        assert_ne!(opened.model.identify().await.unwrap(), opened.source);
        file.close().unwrap();
        let error = opened.model.identify().await.unwrap_err();
        assert!(matches!(error, ChatError::Unavailable { .. }));
    }
}
