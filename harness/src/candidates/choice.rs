use std::cmp::Ordering;

use shipworthy_schema::{CandidateResult, CandidateState, CandidateTable, Unconfirmed, Verdict};

/// Returns the best candidate by the development pool alone: the best verdict, then the largest gain,
/// then, so that nothing hangs on the order they were tried in, the least key.
///
/// `refuted`: those that other people have met and not confirmed; one of them only where there is no
/// other.
pub(super) fn best(
    results: &[CandidateResult],
    refuted: impl Fn(&CandidateResult) -> bool,
) -> Option<&CandidateResult> {
    let judged = results
        .iter()
        .filter(|result| result.development.is_some() && result.state == CandidateState::Evaluated);
    judged.min_by(|one, other| {
        let standing = refuted(one).cmp(&refuted(other));
        standing.then_with(|| better(one, other))
    })
}

fn better(one: &CandidateResult, other: &CandidateResult) -> Ordering {
    let measured = |result: &CandidateResult| {
        let development = result.development.as_ref();
        development.map_or((usize::MAX, f64::NEG_INFINITY), |it| {
            (rank(it.verdict), it.gain)
        })
    };
    let ((rank, gain), (other_rank, other_gain)) = (measured(one), measured(other));
    rank.cmp(&other_rank)
        .then(other_gain.total_cmp(&gain))
        .then_with(|| one.key.cmp(&other.key))
}

fn rank(verdict: Verdict) -> usize {
    let position = Verdict::ALL.iter().position(|it| *it == verdict);
    position.expect("all verdicts are listed")
}

/// Returns the loop's verdict: that of other people who refuted the best before, else the confirmation's,
/// else that of development, which without confirmation is evidence, but not enough to ship.
pub(super) fn verdict(table: &CandidateTable) -> Option<Verdict> {
    let best = table.best()?;
    let refutation = table.refutation(best);
    let refuted = refutation.and_then(|it| it.evaluation.as_ref());
    let confirmed = best.confirmation.as_ref();
    match (refuted, confirmed, &best.development) {
        (Some(refuted), Some(confirmed), _) if confirmed.verdict == Verdict::Ship => {
            Some(refuted.verdict)
        }
        (_, Some(confirmed), _) => Some(confirmed.verdict),
        (Some(refuted), None, _) => Some(refuted.verdict),
        (None, None, Some(development)) if development.verdict == Verdict::Ship => {
            Some(Verdict::MoreEvidence)
        }
        (None, None, development) => development.as_ref().map(|it| it.verdict),
    }
}

/// Tells whether the best candidate may meet the people who confirm.
pub(super) fn may_be_confirmed(
    best: Option<&CandidateResult>,
    refuted: impl Fn(&CandidateResult) -> bool,
) -> Result<(), Unconfirmed> {
    if best.is_some_and(refuted) {
        return Err(Unconfirmed::Refuted);
    }
    let verdict = best
        .and_then(|best| best.development.as_ref())
        .map(|it| it.verdict);
    if verdict == Some(Verdict::Ship) {
        Ok(())
    } else {
        Err(Unconfirmed::NonePassed)
    }
}
