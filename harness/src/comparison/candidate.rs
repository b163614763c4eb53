//! One candidate's numbers.

use std::collections::BTreeMap;

use shipworthy_schema::{BootstrapMethod, CandidateComparison, Gate, NaiveTest, PersonaId};
use shipworthy_stats::{
    Bootstrap, BootstrapInterval, BootstrapOptions, PowerTarget, RankDistribution, Sides, SignFlip,
    SignFlipMethod, StatsError, Zeros, bootstrap_mean, cohens_dz, hedges_gz,
    minimal_detectable_effect, paired_differences, paired_t, required_pairs, sign_flip,
    signed_rank, variance_components,
};

use super::arm::{Arm, count, overall};
use super::power_curve::power_curve;
use super::{ComparisonError, Depth};

/// Seed of whatever a comparison draws at random. It is fixed, so that equal scores give equal
/// bytes; it is in the code and not in the configuration, so that nobody can look for a lucky one.
const SEED: u64 = 20_250_907;

/// Sign vectors drawn where there are too many to count: a standard error of p of at most 0.0016,
/// and of 0.0007 at p = 0.05.
const SIGN_FLIP_DRAWS: usize = 100_000;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 10_000;

/// Most personas for the exact signed-rank distribution, whose time grows with their cube.
const EXACT_RANKS_UP_TO: usize = 200;

/// Power that is planned for.
const POWER: f64 = 0.8;

impl Arm<'_> {
    /// Compares this arm with the baseline. The p-values are those of this candidate alone.
    pub(super) fn compare(
        &self,
        base: &Self,
        gate: &Gate,
        depth: Depth,
    ) -> Result<CandidateComparison, ComparisonError> {
        let no_test = |source| ComparisonError::Test {
            model: self.model.clone(),
            baseline: base.model.clone(),
            source,
        };
        let pairs = self.pairs(base, overall);
        let differences = pairs.differences();
        let test = paired_t(&differences, 0.95).map_err(no_test)?;
        let is_full = depth == Depth::Full;
        // What draws at random takes as long as all the rest.
        let drawn = || {
            let bootstrap = is_full.then(|| bootstrap(&differences)).transpose();
            (signs(&differences, depth), bootstrap)
        };
        let computed = || {
            let full = is_full.then(|| {
                let influence = super::influence::leave_one_out(&pairs.0, &differences);
                let length_adjusted = self.length_adjusted(base, &pairs);
                let power = power_curve(&test, gate);
                (influence, length_adjusted, power, wilcoxon_p(&differences))
            });
            (self.criteria(base), full)
        };
        let ((signs, bootstrap), (criteria, full)) = rayon::join(drawn, computed);
        let signs = signs.map_err(no_test)?;
        let bootstrap = bootstrap.map_err(no_test)?;
        let (leave_one_out, length_adjusted, power, wilcoxon_p) = match full {
            Some((influence, length_adjusted, power, wilcoxon_p)) => (
                influence,
                length_adjusted,
                power,
                Some(wilcoxon_p.map_err(no_test)?),
            ),
            None => (Vec::new(), None, Vec::new(), None),
        };
        let [baseline_mean, mean] = pairs.means().expect("the test needs two pairs");
        let clusters = self.matched_by_repeat(base);
        let target = PowerTarget {
            alpha: gate.alpha,
            power: POWER,
            sides: Sides::Two,
        };
        Ok(CandidateComparison {
            model: self.model.clone(),
            personas: count(pairs.0.len()),
            conversations: count(self.scored().count()),
            baseline_mean,
            mean,
            sd: test.sd,
            pass_rate: self.pass_rate(),
            difference: test.mean,
            ci95: test.ci.ends(),
            t: test.t,
            df: test.df,
            p_value: test.p_two_sided,
            p_adjusted: test.p_two_sided,
            sign_flip_p: signs.p_two_sided,
            sign_flip_p_adjusted: signs.p_two_sided,
            sign_flip_error: match signs.method {
                SignFlipMethod::Exact => None,
                SignFlipMethod::Sampled { standard_error, .. } => Some(standard_error),
            },
            wilcoxon_p,
            bootstrap_ci95: bootstrap.as_ref().map(|(bootstrap, _)| bootstrap.ci.ends()),
            bootstrap_method: bootstrap.map(|(_, method)| method),
            cohens_dz: cohens_dz(&differences).map_err(no_test)?,
            hedges_gz: hedges_gz(&differences).ok(),
            icc: variance_components(&clusters).ok().map(|split| split.icc),
            mde80: minimal_detectable_effect(test.sd, test.n, &target).ok(),
            personas80: required_pairs(gate.min_gain / test.sd, &target)
                .ok()
                .map(count),
            power,
            naive: naive(&clusters.concat()),
            length_adjusted,
            categories: self.categories(base),
            safety: self.safety(base, gate)?,
            criteria,
            leave_one_out,
            pairs: pairs.0,
        })
    }

    /// Returns each persona's differences of conversations with the same repeat, where both models
    /// have it scored.
    fn matched_by_repeat(&self, base: &Self) -> Vec<Vec<f64>> {
        let baseline: BTreeMap<(&PersonaId, u32), f64> = base
            .scored()
            .filter_map(|s| {
                Some((
                    (&s.conversation.persona, s.conversation.repeat),
                    overall(s)?,
                ))
            })
            .collect();
        let mut arms: BTreeMap<&PersonaId, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for score in self.scored() {
            let id = &score.conversation;
            let matched = baseline.get(&(&id.persona, id.repeat)).zip(overall(score));
            if let Some((baseline, candidate)) = matched {
                let (of_base, of_candidate) = arms.entry(&id.persona).or_default();
                of_base.push(*baseline);
                of_candidate.push(candidate);
            }
        }
        let differences = |(of_base, of_candidate): (Vec<f64>, Vec<f64>)| {
            paired_differences(&of_base, &of_candidate)
                .expect("scores are checked and come in pairs")
        };
        arms.into_values().map(differences).collect()
    }
}

fn signs(differences: &[f64], depth: Depth) -> Result<SignFlip, StatsError> {
    let draws = match depth {
        Depth::Full => SIGN_FLIP_DRAWS,
        Depth::Deciding => SIGN_FLIP_DRAWS / 20,
    };
    sign_flip(differences, draws, SEED)
}

fn wilcoxon_p(differences: &[f64]) -> Result<f64, StatsError> {
    let distribution = if differences.len() <= EXACT_RANKS_UP_TO {
        RankDistribution::Exact
    } else {
        RankDistribution::Normal { continuity: true }
    };
    signed_rank(differences, Zeros::Drop, distribution).map(|test| test.p_two_sided)
}

fn bootstrap(differences: &[f64]) -> Result<(Bootstrap, BootstrapMethod), StatsError> {
    let draw = |interval| {
        let options = BootstrapOptions {
            resamples: RESAMPLES,
            level: 0.95,
            seed: SEED,
            interval,
        };
        bootstrap_mean(differences, &options)
    };
    match draw(BootstrapInterval::Bca) {
        Ok(bootstrap) => Ok((bootstrap, BootstrapMethod::Bca)),
        Err(StatsError::Undefined { .. }) => {
            let bootstrap = draw(BootstrapInterval::Percentile)?;
            Ok((bootstrap, BootstrapMethod::Percentile))
        }
        Err(error) => Err(error),
    }
}

fn naive(differences: &[f64]) -> Option<NaiveTest> {
    let test = paired_t(differences, 0.95).ok()?;
    Some(NaiveTest {
        n: count(test.n),
        t: test.t,
        p_value: test.p_two_sided,
    })
}
