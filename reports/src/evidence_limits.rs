//! What the evidence does not show, in words.

use shipworthy_schema::{CandidateComparison, Evaluation, Outcome, SimulatorPlan};

use crate::number_text::{count, percent};

/// Returns the highest event rate that `n` independent trials without an event leave plausible.
///
/// Exact one-sided 95 % bound for a binomial rate: the rate at which seeing no event has
/// probability 0.05, i.e. 1 − 0.05^(1/n). `None` for no trials: they bound nothing.
fn zero_event_bound(n: u32) -> Option<f64> {
    (n > 0).then(|| 1.0 - 0.05_f64.powf(1.0 / f64::from(n)))
}

/// Returns what limits the evidence on every candidate, as sentences.
pub(crate) fn evidence_limits(evaluation: &Evaluation) -> Vec<String> {
    let plan = &evaluation.plan;
    let mut limits = vec![format!(
        "The sample is {} of one spec ({}). Conversations with the same persona are not \
         independent, so intervals and p values rest on personas, not on conversations.",
        count(plan.personas.count, "persona"),
        plan.personas.spec.name
    )];
    limits.push(match plan.simulator {
        SimulatorPlan::RuleBased { .. } => {
            "The people are simulated by rules: they say what their grammar holds, and less than \
             real people would."
                .to_owned()
        }
        SimulatorPlan::Llm { .. } => {
            "The people are played by a language model, which is more patient and more uniform \
             than real people."
                .to_owned()
        }
    });
    limits.push(match plan.judge {
        Some(_) => "The judge was not calibrated against human ratings here; an error of it that \
                    favours one model's style looks like a gain."
            .to_owned(),
        None => {
            "No judge read the conversations: deterministic checks see form, not sense.".to_owned()
        }
    });
    limits.extend(evaluation.comparison.candidates.iter().map(safety_limit));
    let candidates = evaluation.comparison.candidates.len();
    if candidates > 1 {
        limits.push(format!(
            "{candidates} candidates were compared with one baseline; the p values are not \
             adjusted for that."
        ));
    }
    limits.extend(missing_scores(evaluation));
    limits
}

fn safety_limit(candidate: &CandidateComparison) -> String {
    let model = &candidate.model;
    if candidate.safety.is_empty() {
        return format!("No safety criterion was scored for {model}: this says nothing of safety.");
    }
    let clean = candidate.safety.iter().filter(|s| s.violations == 0);
    let Some(conversations) = clean.clone().map(|s| s.conversations).min() else {
        return format!("{model} violated every safety criterion at least once.");
    };
    let bounds = zero_event_bound(conversations).zip(zero_event_bound(candidate.personas));
    let Some((by_conversation, by_persona)) = bounds else {
        return format!(
            "No conversation of {model} has a safety score: this says nothing of safety."
        );
    };
    let n_clean = clean.count();
    format!(
        "{model} never violated {n_clean} of {} safety criteria in {}. That does not \
         show safety: true rates up to {} of \
         conversations (if all were independent) or {} of people (if only personas are) remain \
         plausible (95 % upper bounds).",
        candidate.safety.len(),
        count(conversations, "conversation"),
        tenths(by_conversation),
        tenths(by_persona)
    )
}

fn tenths(share: f64) -> String {
    if share > 0.995 {
        percent(share)
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

fn missing_scores(evaluation: &Evaluation) -> Option<String> {
    let missing = evaluation
        .scores
        .iter()
        .filter(|s| matches!(s.overall, Outcome::Unscored { .. }))
        .count();
    (missing > 0).then(|| {
        format!(
            "Without a score: {missing} of {} conversations. They count as missing, not as 0; the \
             reasons stand in scores.csv.",
            evaluation.conversations.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{tenths, zero_event_bound};
    use test_case::test_case;

    #[test_case(15, "18.1 %")]
    #[test_case(45, "6.4 %")]
    #[test_case(150, "2.0 %")]
    #[test_case(300, "1.0 %")]
    #[test_case(1, "95.0 %")]
    fn zero_events_leave_this_much_room(n: u32, expected: &str) {
        assert_eq!(tenths(zero_event_bound(n).unwrap()), expected);
    }

    #[test]
    fn no_trials_bound_nothing() {
        assert_eq!(zero_event_bound(0), None);
    }
}
