//! What judged pairs of whole conversations come to, and how far to trust them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use shipworthy_schema::{
    CandidateComparison, Choice, Comparison, Conversation, ConversationId, ConversationScore,
    JudgePlan, JudgedPair, LengthPreference, ModelName, PairwiseComparison, PairwiseJudge,
    PairwiseSummary, PersonaId, Plan, Preference, ScoreAgreement,
};
use shipworthy_stats::{
    BootstrapInterval, BootstrapOptions, StatsError, bootstrap_mean, mean, sign_flip,
};

/// Seed of the resamples; fixed, so that equal preferences give equal bytes.
const SEED: u64 = 20_250_907;

/// Resamples of a win rate's interval.
const RESAMPLES: usize = 10_000;

/// Sign vectors drawn where there are too many to count.
const SIGN_FLIP_DRAWS: usize = 100_000;

/// Share of judgements that must say the same in both orders, or the reader is told.
const CONSISTENT_SHARE: f64 = 0.5;

/// Scores closer than this are equal: sums of the same grades may differ by rounding.
const ROUNDING: f64 = 1e-9;

/// Returns what the pairs of `plan` come to; `None` if it has none judged.
pub(crate) fn pairwise_summary(
    plan: &Plan,
    pairs: &[JudgedPair],
    conversations: &[Conversation],
    scores: &[ConversationScore],
    comparison: &Comparison,
) -> Option<PairwiseSummary> {
    if !plan.judging.pairwise {
        return None;
    }
    let seen = Seen {
        baseline: &plan.baseline,
        words: conversations.iter().map(|c| (&c.id, words(c))).collect(),
        scores: scores
            .iter()
            .filter_map(|s| Some((&s.conversation, s.overall.value()?)))
            .collect(),
    };
    let candidate = |compared: &CandidateComparison| {
        let of_model = |pair: &&JudgedPair| pair.conversation.model == compared.model;
        let own: Vec<&JudgedPair> = pairs.iter().filter(of_model).collect();
        seen.compared(compared, &own, plan.gate.alpha)
    };
    Some(PairwiseSummary {
        candidates: comparison.candidates.iter().map(candidate).collect(),
        judges: plan
            .judges
            .iter()
            .map(|judge| chose(judge, pairs))
            .collect(),
    })
}

/// What preferences are held against.
struct Seen<'a> {
    baseline: &'a ModelName,
    words: BTreeMap<&'a ConversationId, usize>,
    scores: BTreeMap<&'a ConversationId, f64>,
}

impl Seen<'_> {
    fn compared(
        &self,
        candidate: &CandidateComparison,
        pairs: &[&JudgedPair],
        alpha: f64,
    ) -> PairwiseComparison {
        let number_of = |preference| {
            let mut same = pairs.iter().map(|pair| pair.preference);
            count(same.by_ref().filter(|found| *found == preference).count())
        };
        let shares = persona_shares(pairs);
        let win_rate = mean(&shares).ok();
        let p_value = p_value(&shares);
        let prefers = win_rate.filter(|_| p_value.is_some_and(|p| p < alpha));
        let gains = (candidate.p_value < alpha).then_some(candidate.difference);
        PairwiseComparison {
            model: candidate.model.clone(),
            wins: number_of(Some(Preference::Candidate)),
            ties: number_of(Some(Preference::Tie)),
            losses: number_of(Some(Preference::Baseline)),
            missing: number_of(None),
            personas: count(shares.len()),
            win_rate,
            ci95: interval(&shares),
            p_value,
            scores: self.agreement(pairs),
            length: self.longer(pairs),
            contradicts_scores: prefers
                .zip(gains)
                .is_some_and(|(rate, gain)| (rate > 0.5) != (gain > 0.0)),
        }
    }

    /// Returns how a number stands that the candidate's and the baseline's conversation have: `Greater`
    /// where the preferred one's is larger; `None` without a preference for one of them.
    fn preferred_has<T>(
        &self,
        pair: &JudgedPair,
        compare: impl Fn(T, T) -> Ordering,
        number: impl Fn(&ConversationId) -> Option<T>,
    ) -> Option<Ordering> {
        let candidate = &pair.conversation;
        let baseline = ConversationId {
            model: self.baseline.clone(),
            ..candidate.clone()
        };
        let stands = compare(number(candidate)?, number(&baseline)?);
        match pair.preference? {
            Preference::Candidate => Some(stands),
            Preference::Baseline => Some(stands.reverse()),
            Preference::Tie => None,
        }
    }

    fn agreement(&self, pairs: &[&JudgedPair]) -> ScoreAgreement {
        let compare = |a: f64, b: f64| match a - b {
            difference if difference.abs() <= ROUNDING => Ordering::Equal,
            _ => a.total_cmp(&b),
        };
        let stands = pairs.iter().filter_map(|pair| {
            self.preferred_has(pair, compare, |id| self.scores.get(id).copied())
        });
        let (pairs, agree) = told_apart(stands);
        ScoreAgreement { pairs, agree }
    }

    fn longer(&self, pairs: &[&JudgedPair]) -> LengthPreference {
        let compare = |a: usize, b: usize| a.cmp(&b);
        let stands = pairs
            .iter()
            .filter_map(|pair| self.preferred_has(pair, compare, |id| self.words.get(id).copied()));
        let (pairs, longer) = told_apart(stands);
        LengthPreference { pairs, longer }
    }
}

/// Counts those that differ, and of these those that are greater.
fn told_apart(stands: impl Iterator<Item = Ordering>) -> (u32, u32) {
    let differing: Vec<Ordering> = stands.filter(|stands| stands.is_ne()).collect();
    let greater = differing.iter().filter(|stands| stands.is_gt()).count();
    (count(differing.len()), count(greater))
}

/// Returns the words of the model in a conversation.
fn words(conversation: &Conversation) -> usize {
    let replies = conversation.replies();
    replies.map(|reply| reply.split_whitespace().count()).sum()
}

/// Returns each persona's share of wins, ties counting half, in persona order.
fn persona_shares(pairs: &[&JudgedPair]) -> Vec<f64> {
    let mut values: BTreeMap<&PersonaId, Vec<f64>> = BTreeMap::new();
    for pair in pairs {
        if let Some(preference) = pair.preference {
            let persona = &pair.conversation.persona;
            values.entry(persona).or_default().push(preference.value());
        }
    }
    let shares = values.into_values();
    shares.filter_map(|values| mean(&values).ok()).collect()
}

/// Returns the two-sided p of the sign-flip test against a share of ½; `None` of too few personas.
fn p_value(shares: &[f64]) -> Option<f64> {
    let leads: Vec<f64> = shares.iter().map(|share| share - 0.5).collect();
    let test = sign_flip(&leads, SIGN_FLIP_DRAWS, SEED).ok()?;
    Some(test.p_two_sided)
}

/// Returns the 95 % interval of the mean share; `None` where shares do not vary.
fn interval(shares: &[f64]) -> Option<[f64; 2]> {
    let draw = |interval| {
        let options = BootstrapOptions {
            resamples: RESAMPLES,
            level: 0.95,
            seed: SEED,
            interval,
        };
        bootstrap_mean(shares, &options)
    };
    let drawn = match draw(BootstrapInterval::Bca) {
        Err(StatsError::Undefined { .. }) => draw(BootstrapInterval::Percentile),
        drawn => drawn,
    };
    Some(drawn.ok()?.ci.ends())
}

/// Returns what a judge took and how it chose.
fn chose(judge: &JudgePlan, pairs: &[JudgedPair]) -> PairwiseJudge {
    let name = &judge.model.name;
    let calls = || {
        let calls = pairs.iter().flat_map(|pair| &pair.judge_calls);
        calls.filter(|calls| calls.judge == *name)
    };
    let judgements = || {
        let judgements = pairs.iter().flat_map(|pair| &pair.judgements);
        judgements.filter(|judgement| judgement.judge == *name)
    };
    let answers = |choice: Option<Choice>| {
        let both = judgements().flat_map(|j| [&j.baseline_first, &j.candidate_first]);
        count(both.filter(|answer| answer.choice == choice).count())
    };
    let in_both = |choice: Option<(Choice, Choice)>| {
        let both =
            judgements().filter_map(|j| j.baseline_first.choice.zip(j.candidate_first.choice));
        let wanted = |both: &(Choice, Choice)| choice.is_none_or(|choice| choice == *both);
        count(both.filter(wanted).count())
    };
    let same = [
        (Choice::First, Choice::Second),
        (Choice::Second, Choice::First),
        (Choice::Tie, Choice::Tie),
    ];
    PairwiseJudge {
        judge: name.clone(),
        calls: calls().map(|calls| u64::from(calls.calls)).sum(),
        prompt_tokens: calls().map(|calls| calls.prompt_tokens).sum(),
        completion_tokens: calls().map(|calls| calls.completion_tokens).sum(),
        first: answers(Some(Choice::First)),
        second: answers(Some(Choice::Second)),
        ties: answers(Some(Choice::Tie)),
        gaps: answers(None),
        both_orders: in_both(None),
        consistent: same.into_iter().map(|same| in_both(Some(same))).sum(),
    }
}

/// Returns what a reader must know of the preferences before trusting scores or them.
pub(crate) fn pairwise_warnings(summary: &PairwiseSummary) -> Vec<String> {
    let candidates = &summary.candidates;
    let mut warnings: Vec<String> = candidates.iter().filter_map(contradiction).collect();
    warnings.extend(candidates.iter().filter(|c| c.missing > 0).map(|candidate| {
        let pairs = candidate.wins + candidate.ties + candidate.losses + candidate.missing;
        format!(
            "{} of {pairs} pairs of conversations of `{}` and the baseline have no preference; they \
             are missing, not ties.",
            candidate.missing, candidate.model
        )
    }));
    warnings.extend(summary.judges.iter().filter_map(by_place));
    warnings
}

/// Says that judges who see both conversations whole prefer the other model than the scores.
fn contradiction(candidate: &PairwiseComparison) -> Option<String> {
    let rate = candidate
        .win_rate
        .filter(|_| candidate.contradicts_scores)?;
    let (preferred, scored) = if rate > 0.5 {
        ("it", "the baseline")
    } else {
        ("the baseline", "it")
    };
    Some(format!(
        "scores and preferences contradict each other on `{}`: scores are significantly higher for \
         {scored}, and shown both conversations whole the judges significantly prefer {preferred} ({} \
         wins, {} ties, {} losses). The verdict rests on scores alone: read the pairs before you rely on \
         it.",
        candidate.model, candidate.wins, candidate.ties, candidate.losses
    ))
}

/// Says that a judge goes by place more than by what was said.
fn by_place(judge: &PairwiseJudge) -> Option<String> {
    let PairwiseJudge {
        both_orders,
        consistent,
        ..
    } = judge;
    let is_poor =
        *both_orders > 0 && f64::from(*consistent) < CONSISTENT_SHARE * f64::from(*both_orders);
    is_poor.then(|| {
        format!(
            "judge `{}` says the same in both orders of only {consistent} of {both_orders} pairs: its \
             preferences follow places more than conversations, and count as ties where they do.",
            judge.judge
        )
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
