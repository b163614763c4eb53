use futures::future::join_all;
use shipworthy_backends::{ChatError, ChatModel, Fingerprint};

use super::arms::Arm;
use super::finding::Finding;
use super::questions::{OPENINGS, patiently};

/// Most questions that are asked at the same time.
const AT_ONCE: usize = 4;

/// The most that a log probability moves with what else a server computes at the time.
const TOLERANCE: f64 = 0.05;

/// How much further than by its own company a model must be moved by the other's.
const TIMES_NOISE: f64 = 4.0;

const CHECK: &str = "in company";

const MEND: &str = "vLLM on a processor lends requests without an adapter that of its last place: give \
                    `--max-loras` one place more than there are adapters; or serve each model by itself";

/// What two models at one server say to the first of [`OPENINGS`] when both are asked at the same time.
pub(super) struct Company {
    /// What the first model says, several times.
    of_first: Vec<Fingerprint>,
    /// As often what the other says.
    of_other: Vec<Fingerprint>,
}

impl Company {
    /// Asks both; `None` where a run never does so, or they do not tell.
    pub(super) async fn ask(
        first: &dyn ChatModel,
        other: &dyn ChatModel,
    ) -> Result<Option<Self>, ChatError> {
        let most = first.concurrency().max(other.concurrency());
        let each = most.min(AT_ONCE) / 2;
        if each == 0 {
            return Ok(None);
        }
        let in_turn = asked(&[first, other].repeat(each)).await?;
        Ok(in_turn.map(|in_turn| {
            let (of_first, of_other): (Vec<_>, Vec<_>) = in_turn
                .chunks(2)
                .map(|two| (two[0].clone(), two[1].clone()))
                .unzip();
            Self { of_first, of_other }
        }))
    }

    /// Returns how far the first model is at most from what it says `alone`.
    pub(super) fn moves(&self, alone: &Fingerprint) -> f64 {
        farthest(&self.of_first, alone)
    }

    /// Tells of each model whether most of its answers are further than `bound` from what it says alone.
    fn strayed(&self, alone: [&Fingerprint; 2], bound: f64) -> [bool; 2] {
        let strayed = |answers: &[Fingerprint], alone: &Fingerprint| {
            let strayed = answers.iter().filter(|print| print.distance(alone) > bound);
            2 * strayed.count() > answers.len()
        };
        [
            strayed(&self.of_first, alone[0]),
            strayed(&self.of_other, alone[1]),
        ]
    }
}

/// Looks whether two models at one server, which differ when asked one after the other, stay what they
/// are in each other's `company`, as they are in a run; `None` where that cannot be told.
///
/// Each has to go on from the first of [`OPENINGS`] as it does `alone`, as the first does in its own company.
pub(super) async fn keep_apart(
    first: Arm<'_>,
    other: Arm<'_>,
    alone: [&Fingerprint; 2],
    company: Result<Option<Company>, ChatError>,
) -> Option<Finding> {
    let doubtful = |error: ChatError| Finding::doubtful(CHECK, error.to_string());
    let company = match company {
        Ok(company) => company?,
        Err(error) => return Some(doubtful(error)),
    };
    let mut strayed = company.strayed(alone, TOLERANCE);
    if strayed != [false, false] {
        // Perhaps any company moves it so far.
        let each = company.of_first.len();
        let noise = match asked(&vec![first.1; 2 * each]).await {
            Ok(own_company) => farthest(&own_company?, alone[0]),
            Err(error) => return Some(doubtful(error)),
        };
        if noise.is_infinite() {
            return None;
        }
        strayed = company.strayed(alone, TOLERANCE.max(TIMES_NOISE * noise));
    }
    Some(match strayed {
        [false, false] => Finding::passed(
            CHECK,
            format!(
                "asked together with `{}` it answers as it does alone",
                first.0
            ),
        ),
        [of_first, _] => {
            let who = if of_first { first.0 } else { other.0 };
            Finding::refused(
                CHECK,
                format!(
                    "`{who}` answers otherwise than alone when `{}` and `{}` are asked at the same \
                     time: the server mixes them up",
                    first.0, other.0
                ),
            )
            .mend(MEND)
        }
    })
}

/// Returns how far the farthest of `prints` is from `alone`.
fn farthest(prints: &[Fingerprint], alone: &Fingerprint) -> f64 {
    let distances = prints.iter().map(|print| print.distance(alone));
    distances.fold(0.0, f64::max)
}

/// Asks all of these models at the same time.
///
/// Returns `None` where they do not tell.
async fn asked(models: &[&dyn ChatModel]) -> Result<Option<Vec<Fingerprint>>, ChatError> {
    let prints = models
        .iter()
        .map(|model| patiently(|| model.fingerprint(OPENINGS[0])));
    join_all(prints).await.into_iter().collect()
}
