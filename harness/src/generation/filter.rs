use serde::Serialize;
use shipworthy_schema::{
    Conversation, ConversationScore, FinishReason, Outcome, Role, Termination,
};

/// Which conversations are good enough to learn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// Least overall score, in [0, 1].
    pub min_score: f64,
}

/// Why a conversation is no training data; the first reason counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// A model failed, so that the conversation broke off.
    Failed,
    /// The person gave up, or the teacher's context was full.
    NotEnded,
    /// The teacher said nothing in a turn, or was cut off.
    CutOff,
    /// The simulated person went wrong.
    SimulatorFault,
    /// The rubric could not score it.
    Unscored,
    /// It fails a safety criterion.
    Unsafe,
    /// Its score is too low.
    LowScore,
    /// It says, exactly or nearly, what an earlier one says.
    Duplicate,
    /// It shows a person of the evaluation.
    HeldOut,
    /// Enough others were kept.
    NotNeeded,
}

impl Rejection {
    /// Returns the words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Failed => "a model failed",
            Self::NotEnded => "the person gave up, or the context was full",
            Self::CutOff => "a reply is empty or cut off",
            Self::SimulatorFault => "the simulated person went wrong",
            Self::Unscored => "could not be scored",
            Self::Unsafe => "fails a safety criterion",
            Self::LowScore => "the score is too low",
            Self::Duplicate => "says what an earlier one says",
            Self::HeldOut => "shows a person of the evaluation",
            Self::NotNeeded => "not needed: enough were kept",
        }
    }
}

impl Filter {
    /// Returns the overall score of a conversation that is good enough, or why it is not.
    pub fn score(
        self,
        conversation: &Conversation,
        score: &ConversationScore,
    ) -> Result<f64, Rejection> {
        match conversation.termination {
            Termination::UserSatisfied | Termination::TurnLimit => {}
            Termination::UserGaveUp | Termination::ContextLimit => return Err(Rejection::NotEnded),
            Termination::ModelError | Termination::SimulatorError | Termination::Timeout => {
                return Err(Rejection::Failed);
            }
        }
        let mut replies = conversation
            .turns
            .iter()
            .filter(|turn| turn.role == Role::Assistant)
            .peekable();
        let is_whole = replies.peek().is_some()
            && replies.all(|turn| {
                let is_cut = turn.finish_reason == Some(FinishReason::Length);
                !is_cut && !turn.content.trim().is_empty()
            });
        if !is_whole {
            return Err(Rejection::CutOff);
        }
        if !score.simulator_flags.is_empty() {
            return Err(Rejection::SimulatorFault);
        }
        let overall = score.overall.value().ok_or(Rejection::Unscored)?;
        for criterion in score.criteria.iter().filter(|criterion| criterion.safety) {
            match criterion.outcome {
                Outcome::Scored { value } if value < 1.0 => return Err(Rejection::Unsafe),
                Outcome::Scored { .. } | Outcome::NotApplicable => {}
                // Nobody knows whether it is safe.
                Outcome::Unscored { .. } => return Err(Rejection::Unscored),
            }
        }
        if overall < self.min_score {
            return Err(Rejection::LowScore);
        }
        Ok(overall)
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{
        ConversationId, CriterionScore, ModelName, PersonaId, SimulatorFlag, SimulatorFlagKind,
        Turn,
    };
    use test_case::test_case;

    use super::*;

    fn turn(role: Role, content: &str, finish_reason: Option<FinishReason>) -> Turn {
        Turn {
            role,
            content: content.to_owned(),
            reasoning: None,
            finish_reason,
        }
    }

    /// A conversation that passes, with its scores.
    fn good() -> (Conversation, ConversationScore) {
        let id = ConversationId {
            model: ModelName::new("teacher").unwrap(),
            persona: PersonaId::new("coaching-1").unwrap(),
            repeat: 1,
        };
        let criterion = |criterion: &str, safety, value| CriterionScore {
            criterion: criterion.to_owned(),
            category: "all".to_owned(),
            safety,
            outcome: Outcome::Scored { value },
            reason: String::new(),
            grades: Vec::new(),
        };
        let score = ConversationScore {
            conversation: id.clone(),
            overall: Outcome::Scored { value: 0.8 },
            passed: Some(true),
            criteria: vec![criterion("asks", false, 0.4), criterion("harms", true, 1.0)],
            judge_calls: Vec::new(),
            simulator_flags: Vec::new(),
        };
        let conversation = Conversation {
            id,
            turns: vec![
                turn(Role::User, "Hello", None),
                turn(Role::Assistant, "What is it?", Some(FinishReason::Stop)),
            ],
            termination: Termination::TurnLimit,
            detail: None,
        };
        (conversation, score)
    }

    type Spoil = fn(&mut Conversation, &mut ConversationScore);

    #[test_case(|_, _| {} => Ok(0.8); "good")]
    #[test_case(|c, _| c.termination = Termination::UserSatisfied => Ok(0.8); "satisfied")]
    #[test_case(|c, _| c.termination = Termination::UserGaveUp => Err(Rejection::NotEnded); "gave up")]
    #[test_case(|c, _| c.termination = Termination::ContextLimit => Err(Rejection::NotEnded); "context")]
    #[test_case(|c, _| c.termination = Termination::ModelError => Err(Rejection::Failed); "model error")]
    #[test_case(|c, _| c.termination = Termination::Timeout => Err(Rejection::Failed); "timeout")]
    #[test_case(|c, _| c.turns.truncate(1) => Err(Rejection::CutOff); "no reply")]
    #[test_case(|c, _| " ".clone_into(&mut c.turns[1].content) => Err(Rejection::CutOff); "empty reply")]
    #[test_case(|c, _| c.turns[1].finish_reason = Some(FinishReason::Length) => Err(Rejection::CutOff); "length")]
    #[test_case(|_, s| s.simulator_flags.push(SimulatorFlag {
        kind: SimulatorFlagKind::ALL[0], turn: 1, found: String::new(),
    }) => Err(Rejection::SimulatorFault); "simulator")]
    #[test_case(|_, s| s.overall = Outcome::Unscored { reason: String::new() } => Err(Rejection::Unscored); "unscored")]
    #[test_case(|_, s| s.criteria[1].outcome = Outcome::Scored { value: 0.5 } => Err(Rejection::Unsafe); "safety")]
    #[test_case(|_, s| s.criteria[1].outcome = Outcome::Unscored { reason: String::new() } => Err(Rejection::Unscored);
        "safety unscored")]
    #[test_case(|_, s| s.criteria[1].outcome = Outcome::NotApplicable => Ok(0.8); "safety does not apply")]
    #[test_case(|_, s| s.overall = Outcome::Scored { value: 0.69 } => Err(Rejection::LowScore); "low")]
    fn the_first_reason_counts(spoil: Spoil) -> Result<f64, Rejection> {
        let (mut conversation, mut score) = good();
        spoil(&mut conversation, &mut score);
        Filter { min_score: 0.7 }.score(&conversation, &score)
    }
}
