//! Each finding as a sentence.

use shipworthy_schema::{LookOutcome, Reason, VerdictChange};

use crate::number_text::{
    count, difference, interval, p_equation, p_value, percent_tenths, told_apart,
};

/// Returns `reason` as a sentence with its numbers, unescaped.
pub fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::SafetyRegression {
            criterion,
            regressions,
        } => format!(
            "Safety criterion {criterion} was violated in {} with personas on which the baseline \
             never violated it.",
            count(*regressions, "conversation")
        ),
        Reason::SafetyNotShown { .. } => safety_not_shown(reason),
        Reason::NoSafetyRegression { criteria: 0, .. } => {
            "The rubric has no safety criterion, so none regressed; safety was not tested.".into()
        }
        Reason::NoSafetyRegression {
            criteria,
            conversations,
        } => {
            // One criterion was scored in that many conversations; of several some may be in fewer.
            let (up_to, each) = match criteria {
                1 => ("", ""),
                _ => ("up to ", " each"),
            };
            format!(
                "No safety regression on {} in {up_to}{}{each}.",
                count(*criteria, "criterion"),
                count(*conversations, "conversation")
            )
        }
        Reason::ZeroViolations {
            criteria,
            conversations,
            personas: _,
            by_conversation,
            by_persona,
        } => {
            let seen = format!(
                "{} in {}",
                criteria.join(", "),
                count(*conversations, "conversation")
            );
            format!("No {}.", not_proof(&seen, *by_conversation, *by_persona))
        }
        Reason::GainSuspicious { gain, threshold } => {
            let (gain, threshold) = told_apart(*gain, *threshold, 3);
            format!("The mean gain of {gain} is above {threshold}, which calls for a check.")
        }
        Reason::GainTooSmall {
            gain,
            threshold,
            within_interval,
            ci95,
        } => {
            let (gain, threshold) = told_apart(*gain, *threshold, 3);
            let interval = interval(*ci95);
            let rest = if *within_interval {
                format!("the 95 % interval {interval} still contains that bound.")
            } else {
                format!("the whole 95 % interval {interval} lies below that bound.")
            };
            format!("The mean gain of {gain} is below the least gain of {threshold}; {rest}")
        }
        Reason::WorseThanBaseline { gain } => format!(
            "The mean difference is {}: the candidate scores below the baseline.",
            difference(*gain)
        ),
        Reason::GainSufficient { gain, threshold } => {
            let (gain, threshold) = told_apart(*gain, *threshold, 3);
            format!("The mean gain of {gain} reaches the least gain of {threshold}.")
        }
        Reason::NotSignificant { .. } | Reason::Significant { .. } => significance(reason),
        Reason::TestsDisagree { .. } => disagreement(reason),
        Reason::PersonasNeeded {
            personas,
            needed,
            effect,
            sd,
            alpha,
        } => format!(
            "At the observed spread (standard deviation {sd:.3}), {} give 80 % power for a true \
             gain of {} at level {}; there were {personas}.",
            count(*needed, "persona"),
            difference(*effect),
            level(*alpha)
        ),
        Reason::PoolReused {
            ordinal,
            gate_alpha,
            alpha,
        } => format!(
            "Earlier runs took {} at some of these people, so this one is held to level {} instead \
             of {}; fresh seeds bring back the full level.",
            count(ordinal.saturating_sub(1), "look"),
            level(*alpha),
            level(*gate_alpha)
        ),
        Reason::StoppedEarly { .. } => stopped_early(reason),
        Reason::Influence { .. } => influence(reason),
    }
}

/// Returns what no violation of what was `seen` leaves open; goes after "no".
pub(crate) fn not_proof(seen: &str, by_conversation: f64, by_persona: f64) -> String {
    format!(
        "violation of {seen} is not proof of safety: true rates up to {} (if conversations were \
         independent) or {} (if only personas are) remain plausible",
        percent_tenths(by_conversation),
        percent_tenths(by_persona)
    )
}

fn stopped_early(reason: &Reason) -> String {
    let Reason::StoppedEarly {
        personas,
        planned,
        look,
        looks,
        outcome,
        alpha,
        conditional_power,
    } = reason
    else {
        return String::new();
    };
    let why = match (outcome, conditional_power) {
        (LookOutcome::Safety, _) => "a safety violation ends a run at once".to_owned(),
        (LookOutcome::Futility, Some(power)) => format!(
            "the chance of significance in the end, were the true gain the least gain, was {}",
            percent_tenths(*power)
        ),
        _ => format!(
            "both tests were below this look's level of {}; a gain seen so early tends to be \
             exaggerated",
            level(*alpha)
        ),
    };
    format!(
        "Planned look {look} of {looks} ended the run after {personas} of {planned} personas: {why}."
    )
}

fn safety_not_shown(reason: &Reason) -> String {
    let Reason::SafetyNotShown {
        criterion,
        difference: mean,
        lower_bound,
        margin,
        untested,
    } = reason
    else {
        return String::new();
    };
    let found = match (mean, lower_bound, untested) {
        (Some(mean), Some(bound), _) => format!(
            "the mean difference is {}, its lower bound {}.",
            difference(*mean),
            difference(*bound)
        ),
        (_, _, Some(why)) => format!("there is no test, as {why}."),
        _ => "there is no test.".to_owned(),
    };
    format!(
        "On safety criterion {criterion} a loss as large as the margin of {margin} is not \
         excluded: {found}"
    )
}

/// Returns what the t-test says; with several candidates the adjusted p is the one compared.
fn significance(reason: &Reason) -> String {
    let (finding, relation, numbers) = match reason {
        Reason::NotSignificant {
            p_value,
            p_adjusted,
            candidates,
            alpha,
            personas,
        } => (
            "Not significant",
            "not below",
            (*p_value, *p_adjusted, *candidates, *alpha, *personas),
        ),
        Reason::Significant {
            p_value,
            p_adjusted,
            candidates,
            alpha,
            personas,
        } => (
            "Significant",
            "below",
            (*p_value, *p_adjusted, *candidates, *alpha, *personas),
        ),
        _ => return String::new(),
    };
    let (p_value, p_adjusted, candidates, alpha, personas) = numbers;
    let adjusted = if candidates > 1 {
        format!(
            ", adjusted by Holm for {} from {}",
            count(candidates, "candidate"),
            p_equation(p_value)
        )
    } else {
        String::new()
    };
    format!(
        "{finding}: {}, {relation} {} (paired t-test over {}{adjusted}).",
        p_beside(p_adjusted, alpha),
        level(alpha),
        count(personas, "persona")
    )
}

fn disagreement(reason: &Reason) -> String {
    let Reason::TestsDisagree {
        p_adjusted,
        sign_flip_p,
        alpha,
        least_p,
        personas,
    } = reason
    else {
        return String::new();
    };
    let said = format!(
        "The tests disagree about {}: {} by the t-test, {} by the sign-flip test",
        level(*alpha),
        p_beside(*p_adjusted, *alpha),
        p_beside(*sign_flip_p, *alpha),
    );
    let people = count(*personas, "persona");
    if least_p >= alpha {
        format!("{said}, which with {people} can never come below {least_p}.")
    } else if *personas <= 20 {
        format!(
            "{said} (least possible with {people}: {}).",
            p_value(*least_p)
        )
    } else {
        format!("{said}.")
    }
}

fn influence(reason: &Reason) -> String {
    let Reason::Influence {
        persona,
        without,
        lowest,
        highest,
        changes,
    } = reason
    else {
        return String::new();
    };
    let range = format!(
        "Without any one persona the mean gain is {} to {} (most changed by {persona}: {})",
        difference(*lowest),
        difference(*highest),
        difference(*without)
    );
    let becomes = |change: &VerdictChange| match change.verdict {
        Some(verdict) => format!("{} without {}", verdict.label(), change.persona),
        None => format!("no verdict without {}", change.persona),
    };
    match changes.as_slice() {
        [] => format!("{range}; the verdict stays."),
        [only] => format!(
            "{range}; the verdict hangs on one persona: {}.",
            becomes(only)
        ),
        [first, ..] => format!(
            "{range}; the verdict hangs on any of {} personas, e.g. {}.",
            changes.len(),
            becomes(first)
        ),
    }
}

/// Returns a p value as an equation that tells it apart from `alpha`.
fn p_beside(p: f64, alpha: f64) -> String {
    if p < 0.0001 {
        p_equation(p)
    } else {
        format!("p = {}", told_apart(p, alpha, 4).0)
    }
}

/// Returns a level without the digits that dividing it left behind, e.g. `0.0167`.
fn level(alpha: f64) -> String {
    let exact = alpha.to_string();
    if exact.len() <= 6 {
        exact
    } else {
        format!("{alpha:.4}")
    }
}
