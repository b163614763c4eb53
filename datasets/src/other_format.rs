use serde_json::{Map, Value};

use crate::fault::Problem;

/// Fields by which other formats are known, with what a user calls the format and the way over.
const FORMATS: [(&[&str], &str, &str); 7] = [
    (
        &["conversations"],
        "`conversations` looks like ShareGPT",
        "`from` becomes `role` (`human` → `user`, `gpt` → `assistant`), `value` becomes `content`",
    ),
    (
        &["instruction"],
        "`instruction` looks like Alpaca",
        "`instruction` (and `input` below it) becomes the user's content, `output` the assistant's",
    ),
    (
        &["chosen", "rejected"],
        "`chosen` and `rejected` look like preference data",
        "the prompt and the `chosen` reply become the messages; `rejected` is left out",
    ),
    (
        &["prompt", "completion"],
        "`prompt` and `completion` look like prompt-completion data",
        "`prompt` becomes the user's content, `completion` the assistant's",
    ),
    (
        &["prompt", "response"],
        "`prompt` and `response` look like prompt-completion data",
        "`prompt` becomes the user's content, `response` the assistant's",
    ),
    (
        &["question", "answer"],
        "`question` and `answer` look like question-answer data",
        "`question` becomes the user's content, `answer` the assistant's",
    ),
    (
        &["text"],
        "`text` looks like plain text",
        "without roles it is not known what is to be learnt, so split it by who speaks",
    ),
];

/// Tells which other format a line's fields are, if a known one.
pub(crate) fn recognised(fields: &Map<String, Value>) -> Option<Problem> {
    let (_, format, rule) = FORMATS
        .iter()
        .find(|(names, ..)| names.iter().all(|name| fields.contains_key(*name)))?;
    Some(Problem::OtherFormat { format, rule })
}
