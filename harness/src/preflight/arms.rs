use futures::future::try_join_all;
use shipworthy_backends::{ChatError, ChatModel, Fingerprint};
use shipworthy_schema::ModelName;

use super::company::keep_apart;
use super::finding::{Finding, Status};
use super::questions::{OPENINGS, patiently};

/// The most that two log probabilities of one model differ, however its server batches them.
pub(super) const TOLERANCE: f64 = 1e-3;

/// How much further apart than one model from itself two models must be.
const TIMES_NOISE: f64 = 4.0;

const CHECK: &str = "difference";

const MEND: &str = "llama-server: start it with `--lora FILE` and give the candidate `lora: {FILE: \
                    1}`, the baseline `lora: {}`; vLLM: `--enable-lora --lora-modules NAME=DIR` and \
                    `model: NAME`";

/// A model at a server that serves several.
pub(super) type Arm<'a> = (&'a ModelName, &'a dyn ChatModel);

/// Looks whether models at one server differ: an adapter that was not applied would make every
/// difference 0. Returns what was found of each model but the first: whether it differs, and if so,
/// whether both stay what they are when asked at the same time.
///
/// Each model goes on from a prompt without chance; two differ if they say different things, or if
/// their log probabilities are further apart than the first model's are from its own.
pub(super) async fn compare(arms: &[Arm<'_>]) -> Vec<(ModelName, Finding)> {
    let mut findings = Vec::new();
    let Some((first, others)) = arms.split_first() else {
        return findings;
    };
    let baselines = match Baseline::ask(first.1).await {
        Ok(Some(baselines)) => baselines,
        Ok(None) => return findings,
        Err(error) => return vec![(first.0.clone(), failed(&error))],
    };
    for (name, model) in others {
        let mut prints = Vec::new();
        let finding = match baselines.apart_from(*model, &mut prints).await {
            Err(error) => failed(&error),
            Ok(Some(distance)) if distance.is_infinite() => Finding::passed(
                CHECK,
                format!("it goes on otherwise than `{}` from one prompt", first.0),
            ),
            Ok(Some(distance)) => Finding::passed(
                CHECK,
                format!(
                    "its log probabilities are {distance:.3} from those of `{}`",
                    first.0
                ),
            ),
            // Words alone may well be the same: a light touch shows in the probabilities first.
            Ok(None) if !baselines.have_log_probs() => Finding::doubtful(
                CHECK,
                format!(
                    "it says the same as `{}` at the same server, which gives no log \
                     probabilities to tell them apart by",
                    first.0
                ),
            )
            .mend(MEND),
            Ok(None) => Finding::refused(
                CHECK,
                format!(
                    "it answers exactly as `{}` at the same server does, so its adapter is not \
                     applied",
                    first.0
                ),
            )
            .mend(MEND),
        };
        let differ = finding.status == Status::Passed;
        findings.push(((*name).clone(), finding));
        if let (true, Some(of_first), Some(own)) = (differ, baselines.0.first(), prints.first()) {
            let kept = keep_apart(*first, (*name, *model), [&of_first.1, own]).await;
            findings.extend(kept.map(|finding| ((*name).clone(), finding)));
        }
    }
    findings
}

/// Returns that a model did not answer; one that refuses just this question can still be evaluated.
fn failed(error: &ChatError) -> Finding {
    let detail = error.to_string();
    match error {
        ChatError::Refused { .. } => Finding::doubtful(CHECK, detail),
        _ => Finding::refused(CHECK, detail),
    }
}

/// How the first model goes on from each prompt, and how far it is from itself.
struct Baseline(Vec<(&'static str, Fingerprint, f64)>);

impl Baseline {
    /// Returns `None` where models cannot be told apart this way.
    async fn ask(model: &dyn ChatModel) -> Result<Option<Self>, ChatError> {
        let prints = OPENINGS.into_iter().map(async |prompt| {
            let once = patiently(|| model.fingerprint(prompt)).await?;
            let again = patiently(|| model.fingerprint(prompt)).await?;
            let (Some(once), Some(again)) = (once, again) else {
                return Ok(None);
            };
            let noise = once.distance(&again);
            Ok(Some((prompt, once, noise)))
        });
        let prints = try_join_all(prints).await?;
        Ok(prints.into_iter().collect::<Option<_>>().map(Self))
    }

    fn have_log_probs(&self) -> bool {
        self.0
            .iter()
            .any(|(_, print, _)| !print.log_probs.is_empty())
    }

    /// Returns how far `model` is from this one, at the first prompt at which that is far enough to
    /// be no chance. `prints` gets how `model` goes on, prompt by prompt.
    async fn apart_from(
        &self,
        model: &dyn ChatModel,
        prints: &mut Vec<Fingerprint>,
    ) -> Result<Option<f64>, ChatError> {
        for (prompt, print, noise) in &self.0 {
            let Some(other) = patiently(|| model.fingerprint(prompt)).await? else {
                return Ok(None);
            };
            let distance = print.distance(&other);
            prints.push(other);
            if distance > TOLERANCE.max(TIMES_NOISE * noise) {
                return Ok(Some(distance));
            }
        }
        Ok(None)
    }
}
