use std::collections::BTreeMap;

use shipworthy_schema::{
    AuditedModel, CandidateComparison, Comparison, Conversation, ConversationScore, FinishReason,
    FlagComparison, JudgeSummary, JudgedModel, JudgingSummary, ModelName, Plan, Raters, Role,
    SimulatorAudit, SimulatorPlan, Turn,
};

/// Share of a model's replies that are cut off, empty or withheld from which the reader is told.
const LACKING_SHARE: f64 = 0.10;

/// Share of a model's conversations with a flag from which the reader is told.
const FLAGGED_SHARE: f64 = 0.10;

/// Share of a gain that must be left at equal length of replies.
const EXPLAINED_SHARE: f64 = 0.5;

/// Returns what a reader must know before trusting the numbers, the plan's own notice first.
pub(crate) fn warnings(
    plan: &Plan,
    conversations: &[Conversation],
    scores: &[ConversationScore],
    comparison: &Comparison,
    judging: Option<&JudgingSummary>,
    audit: &SimulatorAudit,
) -> Vec<String> {
    let mut warnings: Vec<String> = plan.notice.iter().cloned().collect();
    if plan.training_data.is_none() {
        warnings.push(
            "not verified: no training data was given, so nothing shows that the personas are \
             absent from it beyond their seeds (set `training_data`)."
                .to_owned(),
        );
    }
    if plan.judges.is_empty() {
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
    warnings.extend(audit.models.iter().filter_map(flagged));
    warnings.extend(audit.comparisons.iter().filter_map(unequally_flagged));
    warnings.extend(judging.into_iter().flat_map(gaps));
    warnings.extend(judging.into_iter().flat_map(disagreement));
    warnings.extend(comparison.candidates.iter().filter_map(length_explains));
    warnings.extend(untested_safety(scores));
    let models = plan.models.iter().map(|model| &model.name);
    warnings.extend(models.flat_map(|model| {
        let of_model = conversations.iter().filter(|c| c.id.model == *model);
        let turns = of_model.flat_map(|c| &c.turns);
        let replies: Vec<&Turn> = turns.filter(|t| t.role == Role::Assistant).collect();
        lacking(model, &replies)
    }));
    warnings
}

/// Says that most of a gain goes with longer replies.
fn length_explains(candidate: &CandidateComparison) -> Option<String> {
    let adjusted = candidate.length_adjusted.as_ref()?;
    let (gain, left) = (candidate.difference, adjusted.difference);
    (gain > 0.0 && left < EXPLAINED_SHARE * gain).then(|| {
        format!(
            "at equal length of replies the gain of `{}` would be {left:+.3} instead of {gain:+.3}: ask \
             whether the rubric or the judge rewards length.",
            candidate.model
        )
    })
}

/// Says that the simulated people went wrong often.
fn flagged(model: &AuditedModel) -> Option<String> {
    let AuditedModel {
        model,
        conversations,
        flagged,
        ..
    } = model;
    let is_notable =
        *conversations > 0 && f64::from(*flagged) >= FLAGGED_SHARE * f64::from(*conversations);
    is_notable.then(|| {
        format!(
            "the simulated people went wrong in {flagged} of {conversations} conversations with `{model}` \
             (section Simulated people); what they did wrong is no model's doing, but it moves scores."
        )
    })
}

/// Says that the simulated people went wrong with a candidate more, or less, than with the baseline.
fn unequally_flagged(compared: &FlagComparison) -> Option<String> {
    let [lower, upper] = compared.ci95?;
    let model = &compared.model;
    (compared.kind.is_none() && (lower > 0.0 || upper < 0.0)).then(|| {
        let more = if lower > 0.0 { "more" } else { "less" };
        format!(
            "the simulated people went wrong {more} often with `{model}` than with the baseline: the \
             comparison is partly one of what they did."
        )
    })
}

/// Says of which judge answers are missing, for which model.
fn gaps(judging: &JudgingSummary) -> Vec<String> {
    let gap = |judge: &JudgeSummary| {
        let lacking = judge.models.iter().filter(|model| model.gaps > 0);
        let of = |m: &JudgedModel| format!("{} of {} for `{}`", m.gaps, m.wanted, m.model);
        let gaps: Vec<String> = lacking.map(of).collect();
        (!gaps.is_empty()).then(|| {
            format!(
                "judge `{}` left grades out ({}): there is no usable answer, and scores rest on the \
                 others where more than half of the judges gave one.",
                judge.judge,
                gaps.join(", ")
            )
        })
    };
    judging.judges.iter().filter_map(gap).collect()
}

/// Says on which criteria judgements of one conversation agree little, and whose.
fn disagreement(judging: &JudgingSummary) -> Vec<String> {
    let mut poor: Vec<(&Raters, Vec<String>)> = Vec::new();
    for agreement in judging
        .agreement
        .iter()
        .filter(|agreement| agreement.is_poor)
    {
        let alpha = agreement.alpha.unwrap_or_default();
        let criterion = format!("{} ({alpha:.2})", agreement.criterion);
        match poor.last_mut() {
            Some((raters, criteria)) if **raters == agreement.raters => criteria.push(criterion),
            _ => poor.push((&agreement.raters, vec![criterion])),
        }
    }
    let words = |(raters, criteria): (&Raters, Vec<String>)| {
        let who = match raters {
            Raters::Judges => "the judges disagree with each other".to_owned(),
            Raters::Repeats { judge } => format!("judge `{judge}` disagrees with itself"),
        };
        format!(
            "{who} on {} (in brackets: Krippendorff's alpha, poor below 0.667); say in the rubric \
             more exactly what earns which grade.",
            criteria.join(", ")
        )
    };
    poor.into_iter().map(words).collect()
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

/// Says of a model's replies how many were cut off, said nothing, or were withheld by a filter.
fn lacking(model: &ModelName, replies: &[&Turn]) -> Vec<String> {
    let is_cut = |reply: &Turn| reply.finish_reason == Some(FinishReason::Length);
    let is_withheld = |reply: &Turn| {
        let reason = reply.finish_reason.as_ref().map(FinishReason::name);
        reason == Some("content_filter")
    };
    let is_empty = |reply: &Turn| reply.content.trim().is_empty();
    let share = |of: &dyn Fn(&Turn) -> bool, what: &str| {
        let n = replies.iter().filter(|reply| of(reply)).count();
        let is_notable = n > 0 && n as f64 >= LACKING_SHARE * replies.len() as f64;
        is_notable.then(|| format!("{n} of {} replies of `{model}` {what}", replies.len()))
    };
    let cut = share(
        &is_cut,
        "were cut off at `max_tokens`; raise it, or look for a missing end-of-turn token.",
    );
    let empty = share(
        &|reply| is_empty(reply) && !is_withheld(reply),
        "were empty and were scored as such; look for an end-of-turn token that comes first, for \
         reasoning that uses up `max_tokens`, and at the server's log.",
    );
    let withheld = share(
        &is_withheld,
        "were withheld by the server's content filter, and what was left of them was scored.",
    );
    [cut, empty, withheld].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{FinishReason, ModelName, Role, Turn};
    use test_case::test_case;

    use super::lacking;

    fn reply(content: &str, finish_reason: FinishReason) -> Turn {
        Turn {
            role: Role::Assistant,
            content: content.to_owned(),
            reasoning: None,
            finish_reason: Some(finish_reason),
        }
    }

    #[test_case("I see.", FinishReason::Stop, None; "nothing")]
    #[test_case("I se", FinishReason::Length, Some("were cut off"); "its end")]
    #[test_case(" ", FinishReason::Stop, Some("were empty"); "everything")]
    #[test_case("", FinishReason::Other("content_filter".to_owned()), Some("were withheld"); "what a filter took")]
    fn replies_may_lack(content: &str, finish_reason: FinishReason, expected: Option<&str>) {
        let model: ModelName = ModelName::new("tuned").unwrap();
        let (whole, other) = (
            reply("Hm.", FinishReason::Stop),
            reply(content, finish_reason),
        );
        let told = lacking(&model, &[&whole, &other]);
        let starts: Vec<&str> = told
            .iter()
            .filter_map(|it| it.split(['.', ',', ';']).next())
            .collect();
        let expected = expected.map(|words| format!("1 of 2 replies of `tuned` {words}"));
        assert_eq!(starts.len(), expected.iter().count(), "{told:?}");
        for (start, expected) in starts.iter().zip(&expected) {
            assert!(start.starts_with(expected), "{start}");
        }
    }
}
