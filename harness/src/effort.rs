//! What an evaluation costs: calls, tokens and time.

use shipworthy_schema::{CallRole, Tally};

use crate::store::RoleUsage;

/// What one conversation costs in calls of one role.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleRate {
    /// Whose calls.
    pub role: CallRole,
    /// Calls of one conversation.
    pub calls: f64,
    /// Tokens read in one conversation, if known.
    pub prompt_tokens: Option<f64>,
    /// Tokens written in one conversation, if known.
    pub completion_tokens: Option<f64>,
    /// Seconds all calls of one conversation take together.
    pub seconds: f64,
}

/// What is assumed of a conversation before any was held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumed {
    /// Turns of the person.
    pub turns: u32,
    /// Whether a language model plays the personas.
    pub llm_simulator: bool,
    /// Calls of the judge.
    pub judge_calls: u32,
    /// Tokens of one reply, of whichever model.
    pub tokens_per_reply: f64,
    /// Seconds one call takes.
    pub seconds_per_call: f64,
}

impl Assumed {
    /// Returns what a conversation costs. Every call reads the whole conversation so far, of which
    /// every message is as long as a reply; the judge reads all of it.
    pub fn rates(&self) -> Vec<RoleRate> {
        let turns = f64::from(self.turns);
        let rate = |role, calls: f64, messages_read: f64| RoleRate {
            role,
            calls,
            prompt_tokens: Some(messages_read * self.tokens_per_reply),
            completion_tokens: Some(calls * self.tokens_per_reply),
            seconds: calls * self.seconds_per_call,
        };
        // The model's t-th call reads 2t − 1 messages, the simulator's 2t − 2.
        let mut rates = vec![rate(CallRole::Model, turns, turns * turns)];
        if self.llm_simulator {
            rates.push(rate(CallRole::Simulator, turns, turns * (turns - 1.0)));
        }
        if self.judge_calls > 0 {
            let calls = f64::from(self.judge_calls);
            rates.push(rate(CallRole::Judge, calls, calls * 2.0 * turns));
        }
        rates
    }
}

/// Returns what a conversation cost in a run that held `conversations`, failed ones included.
pub fn measured(usage: &[RoleUsage], conversations: usize) -> Vec<RoleRate> {
    let n = conversations.max(1) as f64;
    // A sum over some calls only would pass for the whole.
    let each = |tally: Tally| match tally.uncounted {
        0 => tally.sum.map(|sum| sum as f64 / n),
        _ => None,
    };
    let of_role = |role: CallRole| {
        let mut usage = usage.iter().filter(|usage| usage.role == role).peekable();
        usage.peek()?;
        let none = RoleRate {
            role,
            calls: 0.0,
            prompt_tokens: Some(0.0),
            completion_tokens: Some(0.0),
            seconds: 0.0,
        };
        let sum = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        Some(usage.fold(none, |rate, usage| RoleRate {
            role,
            calls: rate.calls + usage.calls as f64 / n,
            prompt_tokens: sum(rate.prompt_tokens, each(usage.prompt_tokens)),
            completion_tokens: sum(rate.completion_tokens, each(usage.completion_tokens)),
            seconds: rate.seconds + usage.seconds / n,
        }))
    };
    [CallRole::Model, CallRole::Simulator, CallRole::Judge]
        .into_iter()
        .filter_map(of_role)
        .collect()
}

/// What an evaluation costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// Conversations of all models.
    pub conversations: u64,
    /// Calls by role.
    pub calls: Vec<(CallRole, f64)>,
    /// Tokens read, if known.
    pub prompt_tokens: Option<f64>,
    /// Tokens written, if known.
    pub completion_tokens: Option<f64>,
    /// Seconds from begin to end with `parallel` calls at a time.
    pub seconds: f64,
}

impl Effort {
    /// Returns what `conversations` cost at `rates`, with `parallel` calls at a time.
    pub fn of(conversations: u64, rates: &[RoleRate], parallel: u32) -> Self {
        let n = conversations as f64;
        let seconds: f64 = rates.iter().map(|rate| rate.seconds).sum();
        let sum = |tokens: fn(&RoleRate) -> Option<f64>| {
            rates
                .iter()
                .map(tokens)
                .sum::<Option<f64>>()
                .map(|each| each * n)
        };
        Self {
            conversations,
            calls: rates
                .iter()
                .map(|rate| (rate.role, rate.calls * n))
                .collect(),
            prompt_tokens: sum(|rate| rate.prompt_tokens),
            completion_tokens: sum(|rate| rate.completion_tokens),
            seconds: seconds * n / f64::from(parallel.max(1)),
        }
    }

    /// Returns the calls of all roles.
    pub fn all_calls(&self) -> f64 {
        self.calls.iter().map(|(_, calls)| calls).sum()
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{CallRole, Tally};

    use super::{Assumed, Effort, measured};
    use crate::store::{CountedCalls, RoleUsage};

    #[test]
    fn calls_are_models_by_personas_by_repeats_by_turns() {
        let assumed = Assumed {
            turns: 6,
            llm_simulator: true,
            judge_calls: 3,
            tokens_per_reply: 100.0,
            seconds_per_call: 2.0,
        };
        let effort = Effort::of(2 * 15 * 3, &assumed.rates(), 4);
        let expected = [
            (CallRole::Model, 540.0),
            (CallRole::Simulator, 540.0),
            (CallRole::Judge, 270.0),
        ];
        assert_eq!(effort.calls, expected);
        assert_eq!(effort.all_calls(), 1350.0);
        assert_eq!(effort.completion_tokens, Some(135_000.0));
        // The model reads 1 + 3 + … + 11 = 36 messages, the simulator 30, the judge 3 × 12.
        assert_eq!(effort.prompt_tokens, Some(90.0 * 102.0 * 100.0));
        assert_eq!(effort.seconds, 675.0);
        let plain = Assumed {
            llm_simulator: false,
            judge_calls: 0,
            ..assumed
        };
        assert_eq!(Effort::of(90, &plain.rates(), 1).all_calls(), 540.0);
    }

    #[test]
    fn a_run_s_sums_are_scaled() {
        let usage = |calls, uncounted, tokens, seconds| RoleUsage {
            role: CallRole::Model,
            model: None,
            calls,
            prompt_tokens: Tally {
                sum: Some(7),
                uncounted,
            },
            cached_tokens: Tally::default(),
            completion_tokens: Tally {
                sum: Some(tokens),
                uncounted: 0,
            },
            reasoning_tokens: Tally::default(),
            counted: CountedCalls::default(),
            seconds,
        };
        let models = [usage(30, 1, 400, 10.0), usage(20, 0, 600, 20.0)];
        let effort = Effort::of(40, &measured(&models, 10), 2);
        assert_eq!(effort.calls, [(CallRole::Model, 200.0)]);
        assert_eq!(
            (effort.prompt_tokens, effort.completion_tokens),
            (None, Some(4000.0))
        );
        assert_eq!(effort.seconds, 60.0);
    }
}
