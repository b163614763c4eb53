//! Whether replies end by themselves: a model that lost its end-of-turn token talks on for ever.

use serde::{Deserialize, Serialize};

use super::answers::{Answers, Reply, Unasked};
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};

/// How replies ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyFigures {
    /// Replies, each the likeliest tokens one after another.
    pub replies: usize,
    /// Of these, how many ended by themselves.
    pub ended: usize,
    /// Of these, how many ended before they said anything.
    pub empty: usize,
    /// Tokens within which they should.
    pub limit: usize,
    /// Tokens of the longest one that ended.
    pub longest: usize,
}

const CHECK: SanityCheck = SanityCheck::ReplyEnd;

/// Counts what ended: failed where nothing did, or where nothing was said.
pub(super) fn check(
    subject: &str,
    answers: &Result<Answers, Unasked>,
    limit: usize,
) -> CheckOutcome {
    match answers {
        Ok(answers) => judge(subject, &answers.replies, limit),
        Err(why) => CheckOutcome::new(CHECK, subject, why.status, why.reason.clone()),
    }
}

fn judge(subject: &str, replies: &[Reply], limit: usize) -> CheckOutcome {
    if replies.is_empty() || limit == 0 {
        return CheckOutcome::not_done(CHECK, subject, "no reply was asked for");
    }
    let ended = || replies.iter().filter(|reply| reply.has_ended);
    let figures = ReplyFigures {
        replies: replies.len(),
        ended: ended().count(),
        empty: ended().filter(|reply| reply.tokens == 0).count(),
        limit,
        longest: ended().map(|reply| reply.tokens).max().unwrap_or(0),
    };
    let said = format!(
        "{} of {} replies end by themselves within {limit} tokens",
        figures.ended, figures.replies
    );
    let status = match (figures.ended, figures.empty) {
        (0, _) => SanityStatus::Failed,
        (_, empty) if empty == figures.replies => SanityStatus::Failed,
        (ended, 0) if ended == figures.replies => SanityStatus::Passed,
        _ => SanityStatus::Warned,
    };
    let detail = match figures.empty {
        0 => said,
        empty => format!("{said}, {empty} of them before a word is said"),
    };
    let outcome = CheckOutcome::new(CHECK, subject, status, detail);
    let outcome = if figures.ended == 0 {
        outcome.mend(
            "look whether the end of a turn is learnt (`train` shows an example with its labels) \
             and whether the tokenizer's EOS is the token that ends turns",
        )
    } else {
        outcome
    };
    outcome.figures(Figures::Replies(figures))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[(5, true), (9, true)], SanityStatus::Passed; "all end")]
    #[test_case(&[(5, true), (128, false)], SanityStatus::Warned; "one goes on")]
    #[test_case(&[(128, false), (128, false)], SanityStatus::Failed; "all go on")]
    #[test_case(&[(0, true), (0, true)], SanityStatus::Failed; "nothing is said")]
    #[test_case(&[(0, true), (4, true)], SanityStatus::Warned; "one says nothing")]
    #[test_case(&[], SanityStatus::NotDone; "none")]
    fn ends_are_counted(replies: &[(usize, bool)], status: SanityStatus) {
        let reply = |&(tokens, has_ended): &(usize, bool)| Reply { tokens, has_ended };
        let replies: Vec<Reply> = replies.iter().map(reply).collect();
        assert_eq!(judge("tuned", &replies, 128).status, status);
    }
}
