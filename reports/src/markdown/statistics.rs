//! Every test and estimate of a candidate's gain, the wrong one beside the right ones.

use shipworthy_schema::{
    BootstrapMethod, CandidateComparison, Evaluation, LeaveOneOut, LengthAdjusted,
};

use super::escape::escaped;
use super::results::p_cell;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::{count, difference, interval, length_ratio, p_equation, score};

/// Returns a candidate's table of statistics.
pub(crate) fn statistics(evaluation: &Evaluation, candidate: &CandidateComparison) -> String {
    let mut rows = tests(candidate, evaluation.comparison.candidates.len());
    rows.extend(estimates(evaluation, candidate));
    rows.push(naive(candidate));
    let header = [
        Text("Test or estimate"),
        Text("Result"),
        Number("Two-sided p"),
    ];
    format!(
        "## Statistics: {}\n\n{}\nThe paired t-test on persona means is the primary test; the \
         sign-flip test must agree with it; the others inform.\n{}",
        escaped(candidate.model.as_str()),
        table(&header, &rows),
        influence(candidate)
    )
}

fn influence(candidate: &CandidateComparison) -> String {
    let all = &candidate.leave_one_out;
    let change = |one: &LeaveOneOut| (one.difference - candidate.difference).abs();
    let by_change = |a: &&LeaveOneOut, b: &&LeaveOneOut| change(a).total_cmp(&change(b));
    let Some(most) = all.iter().rev().max_by(by_change) else {
        return String::new();
    };
    let differences = || all.iter().map(|one| one.difference);
    let p = most
        .p_value
        .map_or_else(String::new, |p| format!(", {}", p_equation(p)));
    let text = format!(
        "Leaving one persona out moves the mean gain between {} and {}; most without {}: {}{p}.",
        difference(differences().fold(f64::INFINITY, f64::min)),
        difference(differences().fold(f64::NEG_INFINITY, f64::max)),
        most.persona,
        difference(most.difference)
    );
    format!("\n{}\n", escaped(&text))
}

fn row(name: impl Into<String>, result: impl Into<String>, p: impl Into<String>) -> Vec<String> {
    vec![name.into(), result.into(), p.into()]
}

fn tests(candidate: &CandidateComparison, n_candidates: usize) -> Vec<Vec<String>> {
    let personas = count(candidate.personas, "persona");
    let t = format!("t = {:.2}, df = {}", candidate.t, candidate.df);
    let name = format!("**Paired t-test** over {personas}");
    let mut rows = vec![row(name, t, p_cell(candidate.p_value))];
    if n_candidates > 1 {
        let name = format!("… adjusted for {n_candidates} candidates (Holm)");
        rows.push(row(name, "", p_cell(candidate.p_adjusted)));
    }
    let how = match candidate.sign_flip_error {
        None => "all sign vectors counted".to_owned(),
        Some(error) => format!("sampled, Monte-Carlo error of p {error:.4}"),
    };
    rows.push(row("Sign-flip test", how, p_cell(candidate.sign_flip_p)));
    if n_candidates > 1 {
        let name = format!("… adjusted for {n_candidates} candidates (Holm)");
        rows.push(row(name, "", p_cell(candidate.sign_flip_p_adjusted)));
    }
    let name = "Wilcoxon signed-rank test";
    rows.extend(candidate.wilcoxon_p.map(|p| row(name, "", p_cell(p))));
    rows
}

fn estimates(evaluation: &Evaluation, candidate: &CandidateComparison) -> Vec<Vec<String>> {
    let none = || "undefined".to_owned();
    let gate = &evaluation.plan.gate;
    let method = match candidate.bootstrap_method {
        Some(BootstrapMethod::Percentile) => "percentile, as BCa is undefined",
        _ => "BCa",
    };
    let gain = difference(candidate.difference);
    let t_interval = format!("{gain} {}", interval(candidate.ci95));
    let bootstrap = candidate
        .bootstrap_ci95
        .map_or_else(none, |ci| format!("{gain} {}", interval(ci)));
    let g_z = candidate.hedges_gz.map_or_else(none, |g| format!("{g:.2}"));
    let effect = format!("{:.2}, {g_z}", candidate.cohens_dz);
    let icc = candidate.icc.map_or_else(none, |icc| format!("{icc:.2}"));
    let detectable = format!(
        "Smallest gain found with 80 % power at level {}",
        gate.alpha
    );
    let needed = format!(
        "Personas for 80 % power at a true gain of {}",
        gate.min_gain
    );
    let personas = candidate.personas80.map_or_else(none, |n| n.to_string());
    let bootstrap_name = format!("… by resampling personas ({method})");
    let mut rows = vec![
        row("Gain with 95 % interval (t)", t_interval, ""),
        row(bootstrap_name, bootstrap, ""),
    ];
    rows.extend(candidate.length_adjusted.as_ref().map(length_adjusted));
    rows.extend([
        row("Effect size: Cohen's d_z, Hedges' g_z", effect, ""),
        row("ICC: how alike one persona's differences are", icc, ""),
        row(detectable, candidate.mde80.map_or_else(none, score), ""),
        row(needed, personas, ""),
    ]);
    rows
}

/// Returns the gain at equal length of replies, with what length does.
fn length_adjusted(adjusted: &LengthAdjusted) -> Vec<String> {
    let mark = if adjusted.is_extrapolated {
        "; extrapolated: no persona's replies are equally long"
    } else {
        ""
    };
    let name = format!(
        "… at equal length of replies ({}{mark})",
        length_ratio(adjusted)
    );
    let gain = format!(
        "{} {}",
        difference(adjusted.difference),
        interval(adjusted.ci95)
    );
    row(name, gain, p_cell(adjusted.p_value))
}

fn naive(candidate: &CandidateComparison) -> Vec<String> {
    let name = "~~t-test on single conversations~~ (wrong: takes one persona's for independent)";
    match &candidate.naive {
        Some(naive) => {
            let t = format!("t = {:.2}, n = {}", naive.t, naive.n);
            row(name, t, p_cell(naive.p_value))
        }
        None => row(name, "undefined", ""),
    }
}
