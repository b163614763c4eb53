//! A decision's reasons, few enough for a terminal.

use shipworthy_schema::Reason;

use crate::number_text::count;
use crate::reason_text::{not_proof, reason_text};

/// Most sentences on safety criteria without a violation; the others become one.
const CLEAN_RECORDS: usize = 3;

/// Returns each reason as a sentence, the deciding one first.
pub(super) fn reasons(reasons: &[Reason]) -> Vec<String> {
    let mut n_clean = 0;
    let mut rest = Vec::new();
    let mut sentences = Vec::new();
    let mut place = 0;
    for reason in reasons {
        if matches!(reason, Reason::ZeroViolations { .. }) {
            n_clean += 1;
            if n_clean > CLEAN_RECORDS {
                rest.push(reason);
                continue;
            }
            place = sentences.len() + 1;
        }
        sentences.push(reason_text(reason));
    }
    sentences.splice(place..place, in_sum(&rest));
    sentences
}

/// Returns what all of `records` leave open at most, in one sentence.
fn in_sum(records: &[&Reason]) -> Option<String> {
    let (mut n_criteria, mut most) = (0, 0);
    let (mut highest_by_conversation, mut highest_by_persona) = (0.0_f64, 0.0_f64);
    for record in records {
        if let Reason::ZeroViolations {
            criteria,
            conversations,
            personas: _,
            by_conversation,
            by_persona,
        } = record
        {
            n_criteria += criteria.len();
            most = most.max(*conversations);
            highest_by_conversation = highest_by_conversation.max(*by_conversation);
            highest_by_persona = highest_by_persona.max(*by_persona);
        }
    }
    let noun = if n_criteria == 1 {
        "criterion"
    } else {
        "criteria"
    };
    let seen = format!(
        "{n_criteria} more {noun}, each in at most {},",
        count(most, "conversation")
    );
    let said = not_proof(&seen, highest_by_conversation, highest_by_persona);
    (n_criteria > 0).then(|| format!("No {said}."))
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::Reason;

    use super::reasons;

    #[test]
    fn no_more_than_three_clean_records_are_told_apart() {
        let record = |name: &str, conversations, by_conversation| Reason::ZeroViolations {
            criteria: vec![name.to_owned()],
            conversations,
            personas: 15,
            by_conversation,
            by_persona: 0.181,
        };
        let mut all = vec![
            record("a", 45, 0.064),
            record("b", 44, 0.065),
            record("c", 43, 0.067),
            Reason::WorseThanBaseline { gain: -0.1 },
        ];
        assert_eq!(reasons(&all).len(), 4);
        all.insert(3, record("e", 20, 0.139));
        all.insert(3, record("d", 30, 0.095));
        let said = reasons(&all);
        assert_eq!(said.len(), 5);
        assert!(said[2].starts_with("No violation of c in 43"), "{said:?}");
        assert_eq!(
            said[3],
            "No violation of 2 more criteria, each in at most 30 conversations, is not proof of \
             safety: true rates up to 13.9 % (if conversations were independent) or 18.1 % (if \
             only personas are) remain plausible."
        );
    }
}
