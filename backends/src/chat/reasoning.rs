//! Telling a model's reasoning from its answer where both come in one text.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A text told apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// The reasoning, trimmed; `None` where there is none.
    pub(crate) reasoning: Option<String>,
    /// The answer; empty where the model was cut off before it began one.
    pub(crate) content: String,
}

/// Splits `text` at its think tags.
///
/// `opened_by_prompt`: the prompt itself ended inside a think block, as some chat templates do, so
/// that a text without any tag is reasoning that was cut off. Without that knowledge (a server's
/// reply) a lone `</think>` still says that the prompt opened the block. Only a block at the very
/// start counts: an answer may speak of think tags further on.
pub(crate) fn split(text: &str, opened_by_prompt: bool) -> Split {
    let start = text.trim_start();
    let (inside, opened) = match start.strip_prefix(OPEN) {
        Some(rest) => (rest, true),
        None => (start, opened_by_prompt),
    };
    let closed = inside
        .split_once(CLOSE)
        .filter(|(reasoning, _)| opened || !reasoning.contains(OPEN));
    match closed {
        Some((reasoning, answer)) => Split {
            reasoning: kept(reasoning),
            content: answer.trim_start().to_owned(),
        },
        None if opened => Split {
            reasoning: kept(inside),
            content: String::new(),
        },
        None => Split {
            reasoning: None,
            content: text.to_owned(),
        },
    }
}

fn kept(reasoning: &str) -> Option<String> {
    let reasoning = reasoning.trim();
    (!reasoning.is_empty()).then(|| reasoning.to_owned())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::split;

    #[test_case(" plain answer ", false, None, " plain answer "; "no tags leave the text alone")]
    #[test_case("<think>why</think>\n\nso", false, Some("why"), "so"; "a leading block")]
    #[test_case("\n<think>\nwhy\n</think>so", false, Some("why"), "so"; "a block after blank space")]
    #[test_case("<think>\n\n</think>\n\nso", false, None, "so"; "an empty block is no reasoning")]
    #[test_case("why</think>so", false, Some("why"), "so"; "the template opened the block")]
    #[test_case("why</think>so", true, Some("why"), "so"; "the template is known to have opened it")]
    #[test_case("<think>why it was cut", false, Some("why it was cut"), ""; "an unclosed block")]
    #[test_case("why it was cut", true, Some("why it was cut"), ""; "unclosed, opened by the prompt")]
    #[test_case("", true, None, ""; "nothing said")]
    #[test_case("a <think>b</think> c", false, None, "a <think>b</think> c"; "tags inside an answer")]
    #[test_case("<think>a</think>b</think>c", false, Some("a"), "b</think>c"; "the first end counts")]
    fn tells_reasoning_from_answer(
        text: &str,
        opened: bool,
        reasoning: Option<&str>,
        content: &str,
    ) {
        let split = split(text, opened);
        assert_eq!(split.reasoning.as_deref(), reasoning);
        assert_eq!(split.content, content);
    }
}
