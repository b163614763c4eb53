//! The rule for what has no score: how much may be missing, and that it may not depend on the model.

use std::collections::BTreeSet;

use shipworthy_schema::{MissingRule, Outcome, PersonaId};
use shipworthy_stats::mcnemar;

use super::ComparisonError;
use super::arm::{Arm, overall};

/// Which conversation of which persona, whatever the model.
type Slot<'a> = (&'a PersonaId, u32);

/// Checks every arm by itself, then each candidate against the baseline.
pub(super) fn check(
    base: &Arm<'_>,
    candidates: &[Arm<'_>],
    rule: &MissingRule,
) -> Result<(), ComparisonError> {
    let arms = || std::iter::once(base).chain(candidates);
    for arm in arms() {
        check_share(arm, rule)?;
    }
    let personas: BTreeSet<&PersonaId> = arms()
        .flat_map(|arm| &arm.scores)
        .map(|score| &score.conversation.persona)
        .collect();
    for arm in arms() {
        check_personas(arm, &personas)?;
    }
    candidates
        .iter()
        .try_for_each(|candidate| check_symmetry(base, candidate, rule))
}

fn check_share(arm: &Arm<'_>, rule: &MissingRule) -> Result<(), ComparisonError> {
    let (missing, planned) = (arm.missing(), arm.planned);
    let nothing = arm.scored().next().is_none();
    if nothing || f64::from(missing) > rule.max_share * f64::from(planned) {
        return Err(ComparisonError::TooManyMissing {
            model: arm.model.clone(),
            missing,
            planned,
            max_share: rule.max_share,
            example: example(arm, |_| true),
        });
    }
    Ok(())
}

fn check_personas(arm: &Arm<'_>, personas: &BTreeSet<&PersonaId>) -> Result<(), ComparisonError> {
    let means = arm.persona_means(overall);
    match personas
        .iter()
        .find(|persona| !means.contains_key(**persona))
    {
        None => Ok(()),
        Some(&persona) => Err(ComparisonError::PersonaMissing {
            persona: persona.clone(),
            model: arm.model.clone(),
            example: example(arm, |slot| slot.0 == persona),
        }),
    }
}

/// Conversations, not personas, are counted: of 15 personas too few could ever differ. Where one
/// persona loses several conversations this finds a difference a little too often, which only
/// costs a verdict.
fn check_symmetry(
    base: &Arm<'_>,
    candidate: &Arm<'_>,
    rule: &MissingRule,
) -> Result<(), ComparisonError> {
    let (with_base, with_candidate) = (scored_slots(base), scored_slots(candidate));
    let only_candidate: BTreeSet<Slot<'_>> =
        with_base.difference(&with_candidate).copied().collect();
    let only_baseline: BTreeSet<Slot<'_>> =
        with_candidate.difference(&with_base).copied().collect();
    let test = mcnemar(only_candidate.len() as u64, only_baseline.len() as u64);
    if test.p_two_sided >= rule.asymmetry_alpha {
        return Ok(());
    }
    let example = if only_candidate.len() > only_baseline.len() {
        example(candidate, |slot| only_candidate.contains(&slot))
    } else {
        example(base, |slot| only_baseline.contains(&slot))
    };
    Err(ComparisonError::AsymmetricMissing {
        model: candidate.model.clone(),
        baseline: base.model.clone(),
        only_candidate: test.only_candidate,
        only_baseline: test.only_baseline,
        p_value: test.p_two_sided,
        alpha: rule.asymmetry_alpha,
        example,
    })
}

fn scored_slots<'a>(arm: &Arm<'a>) -> BTreeSet<Slot<'a>> {
    arm.scored()
        .map(|score| (&score.conversation.persona, score.conversation.repeat))
        .collect()
}

/// Returns why the first of `arm`'s conversations among `slots` has no score.
fn example(arm: &Arm<'_>, slots: impl Fn(Slot<'_>) -> bool) -> String {
    arm.scores
        .iter()
        .filter(|score| slots((&score.conversation.persona, score.conversation.repeat)))
        .find_map(|score| match &score.overall {
            Outcome::Unscored { reason } => Some(format!("{}: {reason}", score.conversation)),
            Outcome::Scored { .. } | Outcome::NotApplicable => None,
        })
        .unwrap_or_else(|| "it was not held".to_owned())
}
