use futures::future::try_join_all;
use shipworthy_backends::{ChatError, ChatModel, Fingerprint};
use shipworthy_schema::ModelName;

use super::company::{Company, keep_apart};
use super::finding::Finding;
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
    let Some((first, others)) = arms.split_first() else {
        return Vec::new();
    };
    let mut baseline = match Baseline::ask(*first).await {
        Ok(Some(baseline)) => baseline,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![(first.0.clone(), failed(&error))],
    };
    let mut findings = Vec::new();
    for other in others {
        let found = baseline.hold_against(*other).await;
        let found = found.unwrap_or_else(|error| vec![failed(&error)]);
        findings.extend(found.into_iter().map(|finding| (other.0.clone(), finding)));
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

/// How the first model goes on from each prompt.
struct Baseline<'a> {
    arm: Arm<'a>,
    prints: [Fingerprint; OPENINGS.len()],
    /// How far it is from itself, at each prompt; unknown until somebody needs it.
    noise: Option<[f64; OPENINGS.len()]>,
}

impl<'a> Baseline<'a> {
    /// Returns `None` where models cannot be told apart this way.
    async fn ask(arm: Arm<'a>) -> Result<Option<Self>, ChatError> {
        let prints = goes_on(arm.1).await?;
        Ok(prints.map(|prints| Self {
            arm,
            prints,
            noise: None,
        }))
    }

    /// Returns what was found of `other`.
    async fn hold_against(&mut self, other: Arm<'_>) -> Result<Vec<Finding>, ChatError> {
        let first = self.arm.0;
        let Some(own) = patiently(|| other.1.fingerprint(OPENINGS[0])).await? else {
            return Ok(vec![self.alike()]);
        };
        let distance = self.prints[0].distance(&own);
        let mut company = None;
        // Where it keeps so near to itself among questions to the other, it does so alone as well.
        let is_apart = distance > TOLERANCE
            && match company.insert(Company::ask(self.arm.1, other.1).await) {
                Ok(Some(company)) => distance > TIMES_NOISE * company.moves(&self.prints[0]),
                _ => false,
            };
        let apart = if is_apart {
            Some(distance)
        } else {
            self.apart_from(other.1, distance).await?
        };
        let Some(distance) = apart else {
            return Ok(vec![self.alike()]);
        };
        let mut found = vec![Finding::passed(
            CHECK,
            if distance.is_infinite() {
                format!("it goes on otherwise than `{first}` from one prompt")
            } else {
                format!("its log probabilities are {distance:.3} from those of `{first}`")
            },
        )];
        let company = match company {
            Some(company) => company,
            None => Company::ask(self.arm.1, other.1).await,
        };
        let alone = [&self.prints[0], &own];
        found.extend(keep_apart(self.arm, other, alone, company).await);
        Ok(found)
    }

    /// Returns that a model could not be told from this one.
    fn alike(&self) -> Finding {
        let first = self.arm.0;
        // Words alone may well be the same: a light touch shows in the probabilities first.
        let finding = if self.prints.iter().all(|print| print.log_probs.is_empty()) {
            Finding::doubtful(
                CHECK,
                format!(
                    "it says the same as `{first}` at the same server, which gives no log \
                     probabilities to tell them apart by"
                ),
            )
        } else {
            Finding::refused(
                CHECK,
                format!(
                    "it answers exactly as `{first}` at the same server does, so its adapter is not \
                     applied"
                ),
            )
        };
        finding.mend(MEND)
    }

    /// Returns how far `model`, which is `distance` from this one at the first prompt, is from it at the
    /// first prompt at which that is far enough to be no chance.
    async fn apart_from(
        &mut self,
        model: &dyn ChatModel,
        distance: f64,
    ) -> Result<Option<f64>, ChatError> {
        let noise = match self.noise {
            Some(noise) => noise,
            None => match goes_on(self.arm.1).await? {
                Some(again) => {
                    let noise = std::array::from_fn(|at| self.prints[at].distance(&again[at]));
                    *self.noise.insert(noise)
                }
                None => return Ok(None),
            },
        };
        let is_far = |distance: f64, noise: f64| distance > TOLERANCE.max(TIMES_NOISE * noise);
        if is_far(distance, noise[0]) {
            return Ok(Some(distance));
        }
        for (at, prompt) in OPENINGS.iter().enumerate().skip(1) {
            let Some(print) = patiently(|| model.fingerprint(prompt)).await? else {
                return Ok(None);
            };
            let distance = self.prints[at].distance(&print);
            if is_far(distance, noise[at]) {
                return Ok(Some(distance));
            }
        }
        Ok(None)
    }
}

/// Returns how `model` goes on from each prompt; `None` where it does not tell.
async fn goes_on(
    model: &dyn ChatModel,
) -> Result<Option<[Fingerprint; OPENINGS.len()]>, ChatError> {
    let prints = OPENINGS.map(|prompt| patiently(move || model.fingerprint(prompt)));
    let prints: Option<Vec<Fingerprint>> = try_join_all(prints).await?.into_iter().collect();
    Ok(prints.and_then(|prints| prints.try_into().ok()))
}
