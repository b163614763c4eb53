//! Scores for the tests of this module.

use shipworthy_schema::{
    Comparison, ConversationId, ConversationScore, CriterionScore, Gate, MissingRule, ModelName,
    Outcome, PersonaId,
};

use super::{ComparisonError, Evidence, compare};

pub(super) fn model(name: &str) -> ModelName {
    ModelName::new(name).unwrap()
}

/// Builds a conversation's score; NaN stands for "no score".
pub(super) fn score(name: &str, persona: usize, repeat: u32, value: f64) -> ConversationScore {
    let overall = if value.is_nan() {
        Outcome::Unscored {
            reason: "the server closed the connection".to_owned(),
        }
    } else {
        Outcome::Scored { value }
    };
    ConversationScore {
        conversation: ConversationId {
            model: model(name),
            persona: PersonaId::new(format!("p{persona:02}")).unwrap(),
            repeat,
        },
        passed: (!value.is_nan()).then_some(value >= 0.6),
        overall,
        criteria: vec![],
        judge_calls: vec![],
        simulator_flags: vec![],
    }
}

/// Builds a model's scores from one row per persona.
pub(super) fn arm<R: AsRef<[f64]>>(name: &str, rows: &[R]) -> Vec<ConversationScore> {
    let mut scores = Vec::new();
    for (persona, row) in rows.iter().enumerate() {
        for (repeat, value) in (1..).zip(row.as_ref()) {
            scores.push(score(name, persona, repeat, *value));
        }
    }
    scores
}

/// Gives every score a criterion with the value that `value` returns for its persona and repeat.
pub(super) fn with_criterion(
    mut scores: Vec<ConversationScore>,
    criterion: &str,
    safety: bool,
    value: impl Fn(&str, u32) -> f64,
) -> Vec<ConversationScore> {
    for score in &mut scores {
        let id = &score.conversation;
        score.criteria.push(CriterionScore {
            criterion: criterion.to_owned(),
            category: "c".to_owned(),
            safety,
            outcome: Outcome::Scored {
                value: value(id.persona.as_str(), id.repeat),
            },
            reason: String::new(),
            grades: vec![],
        });
    }
    scores
}

/// Compares all models with the baseline `a`.
pub(super) fn compared(
    planned: u32,
    arms: &[Vec<ConversationScore>],
) -> Result<Comparison, ComparisonError> {
    let scores = arms.concat();
    let mut models: Vec<ModelName> = scores
        .iter()
        .map(|s| s.conversation.model.clone())
        .collect();
    models.sort();
    models.dedup();
    let evidence = Evidence {
        baseline: &model("a"),
        models: &models,
        planned,
        conversations: &[],
        scores: &scores,
    };
    compare(&evidence, &Gate::default(), &MissingRule::default())
}
