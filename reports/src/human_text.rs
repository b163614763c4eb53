//! What people say of the conversations, in the words that terminal and Markdown share.

use shipworthy_schema::{HumanAgreement, HumanCheck, HumanDifference};

use crate::number_text::{count, difference};

/// Labels of a criterion below which its kappa says little.
const FEW_PAIRS: u32 = 50;

/// Returns who labelled what, e.g. `12 conversations labelled blind by Ada (12), Ben (10)`.
pub(crate) fn who(check: &HumanCheck) -> String {
    let raters = check.raters.iter();
    let raters: Vec<String> = raters
        .map(|rater| format!("{} ({})", rater.rater, rater.conversations))
        .collect();
    format!(
        "{} labelled blind by {}",
        count(check.conversations, "conversation"),
        raters.join(", ")
    )
}

/// Returns an agreement with its interval, e.g. `0.61 [0.32, 0.83]`.
pub(crate) fn coefficient(value: Option<f64>, ci95: Option<[f64; 2]>) -> String {
    let Some(value) = value else {
        return "none".to_owned();
    };
    match ci95 {
        Some([lower, upper]) => format!("{value:.2} [{lower:.2}, {upper:.2}]"),
        None => format!("{value:.2}"),
    }
}

/// Returns one sentence on the criterion that judges and people agree on least, if any has a kappa.
pub(crate) fn lowest(check: &HumanCheck) -> Option<String> {
    let with_kappa = check.criteria.iter().filter(|c| c.kappa.is_some());
    let kappa = |c: &HumanAgreement| c.kappa.unwrap_or_default();
    let lowest = with_kappa.min_by(|a, b| kappa(a).total_cmp(&kappa(b)))?;
    Some(format!(
        "judges with people: lowest Cohen's kappa {} on {}, over {}",
        coefficient(lowest.kappa, lowest.kappa_ci95),
        lowest.criterion,
        count(lowest.pairs, "pair")
    ))
}

/// Returns one sentence on the criterion that people agree on least among themselves.
pub(crate) fn lowest_alpha(check: &HumanCheck) -> Option<String> {
    let with_alpha = check.criteria.iter().filter(|c| c.alpha.is_some());
    let alpha = |c: &HumanAgreement| c.alpha.unwrap_or_default();
    let lowest = with_alpha.min_by(|a, b| alpha(a).total_cmp(&alpha(b)))?;
    Some(format!(
        "people with each other: lowest Krippendorff's alpha {} on {}, over {}",
        coefficient(lowest.alpha, lowest.alpha_ci95),
        lowest.criterion,
        count(lowest.shared, "conversation")
    ))
}

/// Returns a difference with its interval, e.g. `+0.081 [+0.012, +0.150]`.
pub(crate) fn estimate(value: f64, ci95: Option<[f64; 2]>) -> String {
    let ci = ci95.map_or_else(String::new, |[lower, upper]| {
        format!(" [{}, {}]", difference(lower), difference(upper))
    });
    format!("{}{ci}", difference(value))
}

/// Returns one sentence on a candidate's difference.
pub(crate) fn differs(d: &HumanDifference) -> String {
    let corrected = d.corrected.map_or_else(String::new, |corrected| {
        format!(
            "; of all {} personas {} by the judges, {} corrected by people",
            d.personas,
            difference(d.judged_of_all),
            estimate(corrected, d.corrected_ci95)
        )
    });
    format!(
        "{} on {}: {} by people, {} by the run's scores{corrected}",
        d.model,
        count(d.labelled, "labelled persona"),
        estimate(d.human, d.human_ci95),
        difference(d.judged),
    )
}

/// Says that there are few labels, if so.
pub(crate) fn few(check: &HumanCheck) -> Option<String> {
    let least = check.criteria.iter().map(|c| c.pairs).min()?;
    (least < FEW_PAIRS).then(|| {
        format!(
            "Fewer than {FEW_PAIRS} pairs of grades on some criterion ({least} at least): enough to find a \
             judge that is badly off, not to calibrate one."
        )
    })
}
