use serde::Serialize;

use crate::example::TokenisedExample;
use crate::visible_text::visible_lines;

/// Characters of a run that are shown.
const SHOWN: usize = 2000;

/// One example's text with what of it is learnt, for a person to check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MaskPreview {
    /// Which example.
    pub id: String,
    /// Its text in order, in runs that are learnt or not.
    pub runs: Vec<MaskedText>,
}

/// A run of text whose tokens all carry a label, or none of them does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MaskedText {
    /// The text, safe for a terminal: line breaks are shown as `⏎` and made, other control characters
    /// and invisible ones shown, as `<U+001B>`; the middle of a long run is left out.
    pub text: String,
    /// Whether the model learns to write it.
    pub labelled: bool,
    /// How many tokens it has.
    pub tokens: usize,
}

impl MaskPreview {
    /// Shows an example; `offsets` are its tokens' ranges of bytes in `text`.
    ///
    /// Text between two tokens, which the tokenizer dropped, is shown with the second.
    pub(crate) fn new(example: &TokenisedExample, text: &str, offsets: &[(usize, usize)]) -> Self {
        let mut runs: Vec<(bool, usize, String)> = Vec::new();
        let mut shown = 0;
        for (&labelled, &(_, end)) in example.labelled.iter().zip(offsets) {
            // A piece of a character is shown with its first token.
            let mut end = end.clamp(shown, text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            let piece = &text[shown..end];
            shown = end;
            match runs.last_mut() {
                Some((same, tokens, run)) if *same == labelled => {
                    *tokens += 1;
                    run.push_str(piece);
                }
                _ => runs.push((labelled, 1, piece.to_owned())),
            }
        }
        let runs = runs.into_iter().map(|(labelled, tokens, run)| MaskedText {
            text: shortened(&run),
            labelled,
            tokens,
        });
        Self {
            id: example.id.clone(),
            runs: runs.collect(),
        }
    }
}

/// Leaves the middle of a long run out.
fn shortened(run: &str) -> String {
    let count = run.chars().count();
    if count <= SHOWN {
        return visible_lines(run);
    }
    let half = SHOWN / 2;
    let head: String = run.chars().take(half).collect();
    let tail: String = run.chars().skip(count - half).collect();
    let left_out = count - 2 * half;
    format!(
        "{}… ({left_out} characters) …{}",
        visible_lines(&head),
        visible_lines(&tail)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_whole_visible_and_safe() {
        let text = "ab\u{1b}[2J é\nend";
        let example = TokenisedExample {
            id: "x".to_owned(),
            tokens: vec![0; 6],
            labelled: vec![false, false, true, true, true, false],
        };
        // The fourth and the fifth token are pieces of one character.
        let offsets = [(0, 2), (2, 3), (3, 6), (7, 8), (8, 9), (9, 13)];
        let preview = MaskPreview::new(&example, text, &offsets);
        let runs: Vec<_> = preview
            .runs
            .iter()
            .map(|run| (run.text.as_str(), run.labelled, run.tokens))
            .collect();
        assert_eq!(
            runs,
            [
                ("ab<U+001B>", false, 2),
                ("[2J é", true, 3),
                ("⏎\nend", false, 1)
            ]
        );
    }

    #[test]
    fn a_long_run_is_shortened() {
        let text = "é".repeat(5000);
        let example = TokenisedExample {
            id: String::new(),
            tokens: vec![0],
            labelled: vec![true],
        };
        let preview = MaskPreview::new(&example, &text, &[(0, text.len())]);
        assert!(preview.runs[0].text.contains("… (3000 characters) …"));
        assert_eq!(preview.runs[0].text.matches('é').count(), SHOWN);
    }
}
