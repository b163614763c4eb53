//! Two personas' conversations, cut short: the one that gains most and the one that gains least.

use shipworthy_schema::{
    CandidateComparison, Conversation, Evaluation, ModelName, PersonaPair, Role,
};

use super::escape::escaped;
use super::personas::{by_gain, gain};
use crate::inert_text::{cut, one_line};
use crate::number_text::{difference, score};

/// Most turns shown of one conversation.
const TURNS: usize = 4;

/// Most characters shown of one turn.
const TURN_CHARS: usize = 300;

/// Returns the recommended candidate's example conversations, each beside the baseline's.
pub(super) fn examples(evaluation: &Evaluation) -> String {
    let candidates = &evaluation.comparison.candidates;
    let recommended = &evaluation.recommended;
    let Some(candidate) = candidates.iter().find(|c| &c.model == recommended) else {
        return String::new();
    };
    let pairs = by_gain(candidate);
    let Some((best, others)) = pairs.split_first() else {
        return String::new();
    };
    let mut section = String::from("## Example conversations\n\nAll of them: transcripts.jsonl.\n");
    let title = if gain(best) > 0.0 {
        "Largest gain"
    } else {
        "Smallest loss"
    };
    section.push_str(&example(evaluation, candidate, best, title));
    if let Some(worst) = others.last() {
        let title = if gain(worst) < 0.0 {
            "Largest loss"
        } else {
            "Smallest gain"
        };
        section.push_str(&example(evaluation, candidate, worst, title));
    }
    section
}

fn example(
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
    pair: &PersonaPair,
    title: &str,
) -> String {
    let mut text = format!(
        "\n### {title}: {} ({})\n",
        escaped(pair.persona.as_str()),
        difference(gain(pair))
    );
    let persona = evaluation.personas.iter().find(|p| p.id == pair.persona);
    if let Some(persona) = persona {
        let levels: Vec<String> = persona
            .levels
            .iter()
            .map(|(factor, level)| format!("{factor}: {level}"))
            .collect();
        text.push_str(&format!("\n{}\n", escaped(&levels.join("; "))));
    }
    for model in [&evaluation.comparison.baseline, &candidate.model] {
        if let Some(conversation) = first_scored(evaluation, model, pair) {
            text.push_str(&transcript(evaluation, conversation));
        }
    }
    text
}

/// Returns the first conversation of the pair that has a score, so that what is shown is part of
/// the difference above it.
fn first_scored<'a>(
    evaluation: &'a Evaluation,
    model: &ModelName,
    pair: &PersonaPair,
) -> Option<&'a Conversation> {
    evaluation.conversations.iter().find(|c| {
        &c.id.model == model && c.id.persona == pair.persona && overall(evaluation, c).is_some()
    })
}

fn overall(evaluation: &Evaluation, conversation: &Conversation) -> Option<f64> {
    evaluation
        .scores
        .iter()
        .find(|s| s.conversation == conversation.id)
        .and_then(|s| s.overall.value())
}

fn transcript(evaluation: &Evaluation, conversation: &Conversation) -> String {
    let model = escaped(conversation.id.model.as_str());
    let text = format!(
        "\n{model}, conversation {}: score {}, {}\n\n",
        conversation.id.repeat,
        overall(evaluation, conversation).map_or_else(|| "none".to_owned(), score),
        conversation.termination.label()
    );
    let mut quoted: Vec<String> = conversation
        .turns
        .iter()
        .take(TURNS)
        .map(|turn| {
            let speaker = match turn.role {
                Role::System => "system",
                Role::User => "person",
                Role::Assistant => &model,
            };
            let said = escaped(&cut(&one_line(&turn.content), TURN_CHARS));
            format!("> **{speaker}:** {said}\n")
        })
        .collect();
    let left_out = conversation.turns.len().saturating_sub(TURNS);
    if left_out > 0 {
        quoted.push(format!("> (turns left out: {left_out})\n"));
    }
    text + &quoted.join(">\n")
}
