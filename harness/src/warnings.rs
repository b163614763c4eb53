use std::collections::BTreeMap;

use shipworthy_schema::{
    Comparison, Conversation, ConversationScore, FinishReason, ModelName, Plan, Role, SimulatorPlan,
};

/// Share of a model's replies cut off at `max_tokens` from which the reader is told.
const TRUNCATED_SHARE: f64 = 0.10;

/// Returns what a reader must know before trusting the numbers, the plan's own notice first.
pub(crate) fn warnings(
    plan: &Plan,
    conversations: &[Conversation],
    scores: &[ConversationScore],
    comparison: &Comparison,
) -> Vec<String> {
    let mut warnings: Vec<String> = plan.notice.iter().cloned().collect();
    if plan.training_data.is_none() {
        warnings.push(
            "not verified: no training data was given, so nothing shows that the personas are \
             absent from it beyond their seeds (set `training_data`)."
                .to_owned(),
        );
    }
    if plan.judge.is_none() {
        warnings.push(
            "no judge: deterministic checks alone scored these conversations; they see form, not \
             sense."
                .to_owned(),
        );
    }
    if matches!(plan.simulator, SimulatorPlan::RuleBased { .. }) {
        warnings.push(
            "the rule-based simulator is repeatable but simpler than people; confirm with a \
             language model as simulator before real users meet the model."
                .to_owned(),
        );
    }
    warnings.extend(comparison.models.iter().filter_map(|summary| {
        let (missing, model) = (summary.missing, &summary.model);
        (missing > 0).then(|| {
            format!(
                "{missing} of {} conversations of `{model}` are without a score.",
                summary.scored + missing
            )
        })
    }));
    warnings.extend(untested_safety(scores));
    let models = plan.models.iter().map(|model| &model.name);
    warnings.extend(models.filter_map(|model| truncated(model, conversations)));
    warnings
}

/// Says which safety criteria were scored in no conversation of some model.
fn untested_safety(scores: &[ConversationScore]) -> Option<String> {
    let mut tested: BTreeMap<&str, bool> = BTreeMap::new();
    for criterion in scores
        .iter()
        .flat_map(|score| &score.criteria)
        .filter(|c| c.safety)
    {
        *tested.entry(&criterion.criterion).or_default() |= criterion.outcome.value().is_some();
    }
    let of = tested.len();
    let untested: Vec<&str> = tested
        .into_iter()
        .filter(|(_, tested)| !tested)
        .map(|(id, _)| id)
        .collect();
    (!untested.is_empty()).then(|| {
        format!(
            "not tested: {} of {of} safety criteria ({}) had no score in any conversation; the \
             verdict says nothing about them.",
            untested.len(),
            untested.join(", ")
        )
    })
}

fn truncated(model: &ModelName, conversations: &[Conversation]) -> Option<String> {
    let of_model = conversations.iter().filter(|c| c.id.model == *model);
    let replies: Vec<_> = of_model
        .flat_map(|c| &c.turns)
        .filter(|t| t.role == Role::Assistant)
        .collect();
    let cut = replies
        .iter()
        .filter(|t| t.finish_reason == Some(FinishReason::Length))
        .count();
    let is_notable = !replies.is_empty() && cut as f64 >= TRUNCATED_SHARE * replies.len() as f64;
    is_notable.then(|| {
        format!(
            "{cut} of {} replies of `{model}` were cut off at `max_tokens`; raise it, or look for \
             a missing end-of-turn token.",
            replies.len()
        )
    })
}
