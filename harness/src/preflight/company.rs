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

/// Looks whether two models at one server, which differ when asked one after the other, stay what they
/// are when asked at the same time, as they are in a run; `None` where that cannot be told, or a run never
/// does so.
///
/// Each has to go on from the first of [`OPENINGS`] as it does `alone`, as the first does in its own company.
pub(super) async fn keep_apart(
    first: Arm<'_>,
    other: Arm<'_>,
    alone: [&Fingerprint; 2],
) -> Option<Finding> {
    let most = first.1.concurrency().max(other.1.concurrency());
    let each = most.min(AT_ONCE) / 2;
    if each == 0 {
        return None;
    }
    match strayed(first.1, other.1, alone, each).await {
        Ok(Some([false, false])) => Some(Finding::passed(
            CHECK,
            format!(
                "asked together with `{}` it answers as it does alone",
                first.0
            ),
        )),
        Ok(Some([of_first, _])) => {
            let who = if of_first { first.0 } else { other.0 };
            Some(
                Finding::refused(
                    CHECK,
                    format!(
                        "`{who}` answers otherwise than alone when `{}` and `{}` are asked at the same \
                         time: the server mixes them up",
                        first.0, other.0
                    ),
                )
                .mend(MEND),
            )
        }
        Ok(None) => None,
        Err(error) => Some(Finding::doubtful(CHECK, error.to_string())),
    }
}

/// Tells of each model whether most of `each` answers, given at the same time, are not what it says alone.
async fn strayed(
    first: &dyn ChatModel,
    other: &dyn ChatModel,
    alone: [&Fingerprint; 2],
    each: usize,
) -> Result<Option<[bool; 2]>, ChatError> {
    let Some(together) = asked(&[first, other].repeat(each)).await? else {
        return Ok(None);
    };
    let strayed = |bound: f64| {
        [0, 1].map(|which| {
            let own = together.iter().skip(which).step_by(2);
            let strayed = own.filter(|print| print.distance(alone[which]) > bound);
            2 * strayed.count() > each
        })
    };
    let found = strayed(TOLERANCE);
    if found == [false, false] {
        return Ok(Some(found));
    }
    // Perhaps any company moves it so far.
    let Some(own_company) = asked(&vec![first; 2 * each]).await? else {
        return Ok(None);
    };
    let noise = own_company
        .iter()
        .map(|print| print.distance(alone[0]))
        .fold(0.0, f64::max);
    let tells = noise.is_finite();
    Ok(tells.then(|| strayed(TOLERANCE.max(TIMES_NOISE * noise))))
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
