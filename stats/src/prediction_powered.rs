use crate::error::{check_count, check_lengths, check_open_unit};
use crate::sample::{check_values, mean_of, variance_of};
use crate::{Interval, StatsError, student_t_upper_quantile};

/// A mean of which a part is known exactly and all of it by predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictionPowered {
    /// Point estimate.
    pub estimate: f64,
    /// Standard error.
    pub se: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided interval.
    pub ci: Interval,
}

/// Estimates the mean of what people would say of everybody, from what they say of some and what a
/// judge says of all.
///
/// `human`, `judged`: both differences of each labelled persona, in the same order; `unlabelled`: the
/// judge's difference of everybody else. With n and N of them and `λ = N/(n + N)`:
/// `θ = mean(h − λ·d) over the labelled + λ·mean(d) over the rest`, which is the judge's mean over
/// all plus the mean of `h − d` over the labelled: unbiased whatever the judge does, if those labelled
/// are a random part (Angelopoulos et al. 2023, arXiv 2301.09633 and 2311.01453 with this λ; the
/// difference estimator of two-phase sampling). Variance `A + B` with `A = var(h − λ·d)/n` and
/// `B = λ²·var(d)/N`, degrees of freedom `(A + B)²/(A²/(n − 1) + B²/(N − 1))` (Welch–Satterthwaite).
/// With fewer than two unlabelled, λ = 0: the mean and t interval of `human` alone.
///
/// Errors with `TooFew` below two labelled, `LengthMismatch`, `NonFinite` and `TooLarge` with the
/// index within its slice, `OutOfRange` for the level, `NoVariation` if nothing varies.
pub fn prediction_powered_mean(
    human: &[f64],
    judged: &[f64],
    unlabelled: &[f64],
    level: f64,
) -> Result<PredictionPowered, StatsError> {
    check_open_unit("confidence level", level)?;
    check_lengths(("human", human.len()), ("judged", judged.len()))?;
    check_count("a corrected mean", 2, human.len())?;
    check_values(human)?;
    check_values(judged)?;
    check_values(unlabelled)?;
    let n = human.len() as f64;
    let rest = unlabelled.len() as f64;
    let lambda = if unlabelled.len() < 2 {
        0.0
    } else {
        rest / (n + rest)
    };
    let corrected: Vec<f64> = human
        .iter()
        .zip(judged)
        .map(|(human, judged)| human - lambda * judged)
        .collect();
    let a = variance_of(&corrected) / n;
    let (predicted, b) = if lambda > 0.0 {
        let variance = variance_of(unlabelled);
        (mean_of(unlabelled), lambda * lambda * variance / rest)
    } else {
        (0.0, 0.0)
    };
    let variance = a + b;
    if variance <= 0.0 {
        return Err(StatsError::NoVariation {
            n: human.len(),
            value: human[0],
        });
    }
    let estimate = mean_of(&corrected) + lambda * predicted;
    let mut spread = a * a / (n - 1.0);
    if lambda > 0.0 {
        spread += b * b / (rest - 1.0);
    }
    let df = variance * variance / spread;
    let se = variance.sqrt();
    let t = student_t_upper_quantile((1.0 - level) / 2.0, df)?;
    let ci = Interval {
        lower: estimate - t * se,
        upper: estimate + t * se,
        level,
    };
    Ok(PredictionPowered {
        estimate,
        se,
        df,
        ci,
    })
}

#[cfg(test)]
mod tests {
    use super::prediction_powered_mean;
    use crate::{Random, StatsError, mean, paired_t};

    #[test]
    fn with_everybody_labelled_it_is_the_mean_of_the_labels() {
        let human = [0.1, 0.4, 0.2, 0.5];
        let found = prediction_powered_mean(&human, &[0.9, 0.1, 0.3, 0.2], &[], 0.95).unwrap();
        let t = paired_t(&human, 0.95).unwrap();
        assert!((found.estimate - t.mean).abs() < 1e-15 && (found.df - 3.0).abs() < 1e-12);
        assert!((found.ci.lower - t.ci.lower).abs() < 1e-12);
    }

    #[test]
    fn it_is_the_judge_s_mean_over_all_corrected_by_what_people_say() {
        let (human, judged, rest) = ([0.3, 0.1], [0.5, 0.2], [0.4, 0.1, 0.6]);
        let found = prediction_powered_mean(&human, &judged, &rest, 0.95).unwrap();
        let all: Vec<f64> = judged.iter().chain(&rest).copied().collect();
        let expected = mean(&all).unwrap() + (-0.2 - 0.1) / 2.0;
        assert!((found.estimate - expected).abs() < 1e-15);
    }

    #[test]
    fn it_covers_at_its_level_and_is_narrower_than_labels_alone() {
        let mut random = Random::new(3);
        let (mut covered, mut narrower) = (0, 0);
        for _ in 0..2000 {
            // A judge who sees most of what people do, 0.2 too kindly.
            let mut person = || {
                let human = 0.1 + 0.3 * random.normal();
                (human, human + 0.2 + 0.1 * random.normal())
            };
            let (human, judged): (Vec<f64>, Vec<f64>) = (0..12).map(|_| person()).unzip();
            let (_, rest): (Vec<f64>, Vec<f64>) = (0..48).map(|_| person()).unzip();
            let found = prediction_powered_mean(&human, &judged, &rest, 0.95).unwrap();
            covered += u32::from(found.ci.contains(0.1));
            let alone = paired_t(&human, 0.95).unwrap().ci;
            narrower += u32::from(found.ci.upper - found.ci.lower < alone.upper - alone.lower);
        }
        assert!((1870..=1930).contains(&covered), "{covered} of 2000");
        assert!(narrower > 1900, "{narrower} of 2000");
    }

    #[test]
    fn what_has_no_answer_is_an_error() {
        let of = |human: &[f64], judged: &[f64]| prediction_powered_mean(human, judged, &[], 0.95);
        assert!(matches!(of(&[1.0], &[1.0]), Err(StatsError::TooFew { .. })));
        assert!(matches!(
            of(&[1.0, 2.0], &[1.0]),
            Err(StatsError::LengthMismatch { .. })
        ));
        assert!(matches!(
            of(&[1.0, f64::NAN], &[1.0, 1.0]),
            Err(StatsError::NonFinite { .. })
        ));
        assert!(matches!(
            of(&[1.0, 1.0], &[1.0, 2.0]),
            Err(StatsError::NoVariation { .. })
        ));
    }
}
