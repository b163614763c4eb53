//! GitHub's workflow commands: the verdict beside a pull request's checks.

use shipworthy_schema::{Evaluation, Verdict};

use crate::inert_text::{cut, one_line};
use crate::notices::notices;
use crate::verdict_text::VerdictText;

/// Annotations of one kind that GitHub shows of a step; more are dropped without a word.
const MOST: usize = 10;

/// Most characters of one message: what a check's panel shows without unfolding.
const MESSAGE: usize = 1000;

/// Returns workflow commands, one a line: the recommended candidate's verdict first, as an error
/// where the exit code is not 0, then the other candidates' as notices, then what a reader must
/// know as warnings. Where there are more than GitHub shows, the last one says how many are left
/// out.
pub fn github_annotations(evaluation: &Evaluation) -> String {
    let of = |recommended: bool| {
        let decisions = evaluation.decisions.iter();
        decisions.filter(move |d| (d.model == evaluation.recommended) == recommended)
    };
    let mut lines = String::new();
    for decision in of(true) {
        let words = VerdictText::new(evaluation, decision);
        let kind = match decision.verdict {
            Verdict::Ship => "notice",
            _ => "error",
        };
        let message = format!("{} {}", words.headline, words.reasons.join(" "));
        lines.push_str(&command(kind, decision.verdict.label(), &message));
    }
    let others = of(false).map(|decision| {
        let words = VerdictText::new(evaluation, decision);
        (decision.verdict.label().to_owned(), words.headline)
    });
    // The verdict itself may be a notice.
    lines.push_str(&commands("notice", &others.collect::<Vec<_>>(), MOST - 1));
    let warnings = notices(evaluation);
    let warnings = warnings
        .iter()
        .map(|text| ("evaluation".to_owned(), (*text).to_owned()));
    lines.push_str(&commands("warning", &warnings.collect::<Vec<_>>(), MOST));
    lines
}

fn commands(kind: &str, items: &[(String, String)], most: usize) -> String {
    let fits = items.len() <= most;
    let shown = if fits { items.len() } else { most - 1 };
    let mut lines: String = items[..shown]
        .iter()
        .map(|(title, message)| command(kind, title, message))
        .collect();
    if !fits {
        let left_out = format!("{} more are in the report.", items.len() - shown);
        lines.push_str(&command(kind, "evaluation", &left_out));
    }
    lines
}

/// Returns one command. What the text says in the syntax of commands is escaped as GitHub
/// documents it, and nothing in it begins a line.
fn command(kind: &str, title: &str, message: &str) -> String {
    let data = |text: &str| one_line(text).replace('%', "%25");
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::{kind} title=shipworthy%3A {title}::{}\n",
        data(&cut(message, MESSAGE))
    )
}
