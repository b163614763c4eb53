use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use shipworthy_schema::{CandidateResult, CandidateState, TrainingWarning, Verdict};

/// The highest rank that is proposed.
const HIGHEST_RANK: u64 = 256;

/// A change by which the next candidate differs from the one it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Twice the passes over the data, or steps.
    LongerTraining,
    /// The next file of training data.
    MoreData,
    /// Twice the rank, and alpha with it.
    HigherRank,
    /// Twice the learning rate.
    HigherLearningRate,
    /// A quarter of the learning rate.
    LowerLearningRate,
}

/// The keys that a proposed candidate changes, and what it came to.
pub(super) struct Proposed {
    pub(super) changes: BTreeMap<String, Value>,
    /// Its configuration.
    pub(super) keys: Map<String, Value>,
    pub(super) result: CandidateResult,
}

/// A candidate to try next: keys with values, and why.
#[derive(Debug, PartialEq)]
pub(super) struct Proposal {
    pub(super) changes: BTreeMap<String, Value>,
    pub(super) why: String,
}

impl Proposal {
    /// Returns the file as it is.
    pub(super) fn first() -> Self {
        Self {
            changes: BTreeMap::new(),
            why: String::new(),
        }
    }
}

/// Returns what to try after `tried`, the last one last; `None` where no rule says anything new.
///
/// What diverged is tried with a lower learning rate. Else the best so far is changed, by the first rule
/// that its verdict and losses call for and that was not tried on it; `data`: files of training data, each
/// with more than the one before. Nothing follows a candidate that passes, or one that nobody believes.
pub(super) fn propose(tried: &[Proposed], data: &[PathBuf]) -> Option<Proposal> {
    let last = tried.last()?;
    let from = if matches!(last.result.state, CandidateState::Diverged { .. }) {
        last
    } else {
        best(tried)?
    };
    let (why, rules) = called_for(&from.result)?;
    let name = &from.result.name;
    rules.iter().find_map(|rule| {
        let (text, changed) = rule.apply(&from.keys, data)?;
        let mut changes = from.changes.clone();
        changes.extend(changed);
        let is_new = tried.iter().all(|it| it.changes != changes);
        is_new.then(|| Proposal {
            changes,
            why: format!("{text}, because {name} {why}"),
        })
    })
}

/// Returns the candidate with the largest gain, the earliest of equals.
fn best(tried: &[Proposed]) -> Option<&Proposed> {
    let gain = |it: &Proposed| it.result.development.as_ref().map(|it| it.gain);
    let evaluated = tried.iter().filter(|it| gain(it).is_some());
    evaluated.min_by(|one, other| {
        let gain = |it| gain(it).unwrap_or(f64::NEG_INFINITY);
        gain(other).total_cmp(&gain(one))
    })
}

/// Returns what is the matter with a candidate, and the rules that may mend it.
fn called_for(result: &CandidateResult) -> Option<(&'static str, &'static [Rule])> {
    use Rule::{HigherLearningRate, HigherRank, LongerTraining, LowerLearningRate, MoreData};
    if matches!(result.state, CandidateState::Diverged { .. }) {
        return Some(("diverged", &[LowerLearningRate]));
    }
    let warnings = result.training.iter().flat_map(|it| &it.warnings);
    let memorised = |it: &TrainingWarning| {
        matches!(
            it,
            TrainingWarning::EvalLossRising { .. } | TrainingWarning::OverfittingRisk { .. }
        )
    };
    let has_memorised = warnings.into_iter().any(memorised);
    match result.development.as_ref()?.verdict {
        Verdict::Ship | Verdict::Hold => None,
        Verdict::DoNotDeploy => Some((
            "is less safe than the baseline",
            &[LowerLearningRate, MoreData],
        )),
        Verdict::Iterate | Verdict::MoreEvidence if has_memorised => Some((
            "learnt its examples by heart",
            &[MoreData, LowerLearningRate, HigherRank],
        )),
        Verdict::Iterate | Verdict::MoreEvidence => Some((
            "gains too little",
            &[LongerTraining, MoreData, HigherRank, HigherLearningRate],
        )),
    }
}

impl Rule {
    /// Returns the change in words and the keys that it changes, where it can be made.
    fn apply(
        self,
        keys: &Map<String, Value>,
        data: &[PathBuf],
    ) -> Option<(&'static str, Vec<(String, Value)>)> {
        let number = |key: &str| keys.get(key).and_then(Value::as_f64);
        let whole = |key: &str| keys.get(key).and_then(Value::as_u64);
        let one = |key: &str, value: Value| vec![(key.to_owned(), value)];
        Some(match self {
            Self::LongerTraining => {
                let change = match (whole("max_steps"), number("num_train_epochs")) {
                    (Some(steps), _) => one("max_steps", json!(steps.checked_mul(2)?)),
                    (None, epochs) => one("num_train_epochs", json!(epochs? * 2.0)),
                };
                ("twice the training", change)
            }
            Self::MoreData => {
                let own = keys
                    .get("dataset")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let at = data.iter().position(|file| file.as_os_str() == own);
                let next = data.get(at.map_or(0, |at| at + 1))?;
                ("more data", one("dataset", json!(next)))
            }
            Self::HigherRank => {
                let rank = whole("lora_r")? * 2;
                if rank > HIGHEST_RANK {
                    return None;
                }
                let mut change = one("lora_r", json!(rank));
                if let Some(alpha) = number("lora_alpha") {
                    change.push(("lora_alpha".to_owned(), json!(alpha * 2.0)));
                }
                ("twice the rank", change)
            }
            Self::HigherLearningRate => {
                let rate = number("learning_rate")? * 2.0;
                if rate > 1.0 {
                    return None;
                }
                ("twice the learning rate", one("learning_rate", json!(rate)))
            }
            Self::LowerLearningRate => {
                let rate = number("learning_rate")? / 4.0;
                (
                    "a quarter of the learning rate",
                    one("learning_rate", json!(rate)),
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{
        CandidateEvaluation, CandidateLineage, CandidateTraining, Digest, TrainerVersion,
    };

    use super::*;

    fn tried(changes: &Value, gain: f64, verdict: Option<Verdict>) -> Proposed {
        let changes: BTreeMap<String, Value> = serde_json::from_value(changes.clone()).unwrap();
        let keys = json!({"lora_r": 8, "lora_alpha": 16.0, "learning_rate": 0.001, "max_steps": 10,
            "dataset": "a.jsonl"});
        let mut keys = keys.as_object().unwrap().clone();
        keys.extend(changes.clone());
        let digest = Digest::of(b"");
        let development = verdict.map(|verdict| CandidateEvaluation {
            run: "r-1".to_owned(),
            gain,
            ci95: [gain, gain],
            verdict,
        });
        let diverged = CandidateState::Diverged {
            error: String::new(),
        };
        let result = CandidateResult {
            name: "x".to_owned(),
            key: digest.clone(),
            differences: BTreeMap::new(),
            proposed: None,
            state: verdict.map_or(diverged, |_| CandidateState::Evaluated),
            training: Some(CandidateTraining {
                steps: 1,
                epochs: 1.0,
                loss: None,
                eval_loss: None,
                best_step: None,
                warnings: Vec::new(),
            }),
            sanity: None,
            development,
            confirmation: None,
            lineage: CandidateLineage {
                base: digest.clone(),
                dataset: digest,
                trainer: TrainerVersion {
                    name: "native".to_owned(),
                    version: "1".to_owned(),
                },
                adapter: None,
                gguf: None,
                directory: String::new(),
            },
        };
        Proposed {
            changes,
            keys,
            result,
        }
    }

    fn next(all: &[Proposed]) -> Value {
        let data = ["a.jsonl", "b.jsonl"].map(PathBuf::from);
        propose(all, &data).map_or(Value::Null, |proposal| json!(proposal.changes))
    }

    #[test]
    fn too_small_a_gain_is_met_with_one_change_after_another() {
        let mut all = vec![tried(&json!({}), 0.05, Some(Verdict::Iterate))];
        for expected in [
            json!({"max_steps": 20}),
            json!({"dataset": "b.jsonl"}),
            json!({"lora_alpha": 32.0, "lora_r": 16}),
            json!({"learning_rate": 0.002}),
            Value::Null,
        ] {
            let proposed = next(&all);
            assert_eq!(proposed, expected);
            if proposed.is_null() {
                break;
            }
            all.push(tried(&proposed, 0.01, Some(Verdict::Iterate)));
        }
    }

    #[test]
    fn what_helps_is_kept() {
        let longer = json!({"max_steps": 20});
        let all = [
            tried(&json!({}), 0.01, Some(Verdict::Iterate)),
            tried(&longer, 0.05, Some(Verdict::MoreEvidence)),
        ];
        assert_eq!(next(&all), json!({"max_steps": 40}));
    }

    #[test]
    fn what_diverged_or_harms_learns_more_slowly_and_what_passes_stays() {
        let slower = json!({"learning_rate": 0.00025});
        assert_eq!(next(&[tried(&json!({}), 0.0, None)]), slower);
        assert_eq!(
            next(&[tried(&json!({}), -0.1, Some(Verdict::DoNotDeploy))]),
            slower
        );
        for verdict in [Verdict::Ship, Verdict::Hold] {
            assert_eq!(next(&[tried(&json!({}), 0.2, Some(verdict))]), Value::Null);
        }
        assert_eq!(next(&[]), Value::Null);
    }
}
