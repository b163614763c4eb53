use std::fmt;
use std::num::NonZeroU32;

use serde::Deserialize;
use shipworthy_schema::{ChatRequest, FinishReason, Message, Role};

use super::glob;

/// What a call asks for, as far as lines can tell calls apart.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    thread: &'a str,
    /// Persona and repeat, where the thread ends in `persona/repeat`.
    conversation: Option<(&'a str, u32)>,
    turn: usize,
    /// The user's first and last messages, in lower case.
    opening: String,
    said: String,
}

impl<'a> Asked<'a> {
    /// Reads a request; the thread of a conversation ends in `model/persona/repeat`.
    pub(super) fn of(request: &'a ChatRequest) -> Self {
        let thread = request.thread.as_str();
        let by = |role| request.messages.iter().filter(move |it| it.role == role);
        let lower = |message: Option<&Message>| message.map(|it| it.content.to_lowercase());
        let mut parts = thread.rsplit('/');
        let repeat = parts.next().and_then(|part| part.parse().ok());
        let persona = parts.next();
        Self {
            thread,
            conversation: persona.zip(repeat),
            turn: by(Role::Assistant).count() + 1,
            opening: lower(by(Role::User).next()).unwrap_or_default(),
            said: lower(by(Role::User).next_back()).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread `{}`, turn {}", self.thread, self.turn)
    }
}

/// One line of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenLine")]
pub(super) struct Line {
    thread: Option<String>,
    persona: Option<String>,
    turn: Option<NonZeroU32>,
    repeat: Option<NonZeroU32>,
    /// Patterns in lower case, of which one has to fit.
    opening: Option<Vec<String>>,
    said: Option<Vec<String>>,
    /// At least one.
    replies: Vec<String>,
    finish_reason: FinishReason,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLine {
    thread: Option<String>,
    persona: Option<String>,
    turn: Option<NonZeroU32>,
    repeat: Option<NonZeroU32>,
    opening: Option<String>,
    said: Option<String>,
    reply: Option<String>,
    replies: Option<Vec<String>>,
    finish_reason: Option<FinishReason>,
}

impl TryFrom<WrittenLine> for Line {
    type Error = &'static str;

    fn try_from(line: WrittenLine) -> Result<Self, Self::Error> {
        let replies = match (line.reply, line.replies) {
            (Some(reply), None) => vec![reply],
            (None, Some(replies)) if replies.is_empty() => return Err("`replies` is empty"),
            (None, Some(replies)) => replies,
            (Some(_), Some(_)) => return Err("both `reply` and `replies` are given, expected one"),
            (None, None) => return Err("missing field `reply` (or `replies`)"),
        };
        Ok(Self {
            thread: line.thread,
            persona: line.persona,
            turn: line.turn,
            repeat: line.repeat,
            opening: line.opening.map(|text| alternatives(&text)),
            said: line.said.map(|text| alternatives(&text)),
            replies,
            finish_reason: line.finish_reason.unwrap_or(FinishReason::Stop),
        })
    }
}

impl Line {
    /// Tells whether everything this line names is what is asked.
    pub(super) fn fits(&self, asked: &Asked<'_>) -> bool {
        let persona = asked.conversation.map(|(persona, _)| persona);
        let repeat = asked.conversation.map(|(_, repeat)| repeat);
        let thread_fits = |pattern: &String| glob::fits(pattern, asked.thread);
        let persona_fits = |pattern: &String| persona.is_some_and(|it| glob::fits(pattern, it));
        self.thread.as_ref().is_none_or(thread_fits)
            && self.persona.as_ref().is_none_or(persona_fits)
            && self.repeat.is_none_or(|it| repeat == Some(it.get()))
            && one_fits(self.opening.as_ref(), &asked.opening)
            && one_fits(self.said.as_ref(), &asked.said)
            && self
                .turn
                .is_none_or(|it| u32::try_from(asked.turn) == Ok(it.get()))
    }

    /// Returns the reply that `seed` picks.
    pub(super) fn reply(&self, seed: u64) -> &str {
        let n_replies = self.replies.len() as u64;
        let picked = usize::try_from(mix(seed) % n_replies).expect("an index fits into usize");
        &self.replies[picked]
    }

    /// Returns why the reply ended.
    pub(super) fn finish_reason(&self) -> FinishReason {
        self.finish_reason.clone()
    }
}

/// Divides `a|b` into its patterns.
fn alternatives(text: &str) -> Vec<String> {
    text.to_lowercase().split('|').map(str::to_owned).collect()
}

/// Tells whether one of the patterns fits, or there are none.
fn one_fits(patterns: Option<&Vec<String>>, text: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| glob::fits(pattern, text)))
}

/// Spreads seeds that differ in few bits: the finaliser of `SplitMix64` (Steele, Lea
/// and Flood 2014).
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Reads all lines, skipping blank ones; an error says line and field.
pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Line>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line}: it is not UTF-8")
    })?;
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate() {
        if !text.trim().is_empty() {
            lines.push(read(text).map_err(|what| format!("line {}: {what}", number + 1))?);
        }
    }
    if lines.is_empty() {
        return Err("it holds no replies".to_owned());
    }
    Ok(lines)
}

fn read(text: &str) -> Result<Line, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let line = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let mut words = inner.to_string();
        if let Some(end) = words.rfind(" at line ") {
            words.truncate(end);
        }
        let column = inner.column();
        // `.` is the line itself; then the words say what is missing.
        if path == "." {
            format!("column {column}: {words}")
        } else {
            format!("column {column}: field `{path}`: {words}")
        }
    })?;
    deserializer
        .end()
        .map_err(|_| "more than one value on the line".to_owned())?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::read_all;

    #[test_case("", "it holds no replies"; "nothing")]
    #[test_case("{\"reply\": \"a\"}\n\n{\"reply\": 3}", "line 3: column 11: field `reply`: invalid type: integer `3`, expected a string"; "a wrong type")]
    #[test_case("{\"reply\": \"a\", \"trun\": 1}", "line 1: column 21: field `trun`: unknown field `trun`"; "a misspelt field")]
    #[test_case("{\"turn\": 0, \"reply\": \"a\"}", "field `turn`: invalid value: integer `0`"; "turns count from 1")]
    #[test_case("{\"turn\": 1}", "missing field `reply`"; "no reply")]
    #[test_case("{\"reply\": \"a\", \"replies\": [\"b\"]}", "both `reply` and `replies`"; "both")]
    #[test_case("{\"replies\": []}", "`replies` is empty"; "an empty list")]
    #[test_case("{\"reply\": \"a\"} {}", "line 1: more than one value"; "two on a line")]
    #[test_case("{\"reply\": \"a", "line 1: column"; "cut off")]
    fn errors_name_line_and_field(text: &str, expected: &str) {
        let error = read_all(text.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_line() {
        let error = read_all(b"{\"reply\": \"a\"}\n\xff").unwrap_err();
        assert_eq!(error, "line 2: it is not UTF-8");
    }
}
