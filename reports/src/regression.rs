//! Candidates held against a shipped model, for a terminal and for programs.

use serde_json::{Map, Value, json};
use shipworthy_schema::{
    CandidateRegression, GradedSafety, NoWorse, Regression, SafetyComparison, Verdict,
};

use crate::number_text::{count, difference, p_equation, score};
use crate::terminal::columns::Column;
use crate::terminal::layout::{Paint, list, paragraph, table};
use crate::verdict_text::label;

/// Version of the format of [`regression_json`].
const FORMAT: u32 = 1;

/// Returns the verdict, its reasons and every tested score for a terminal of `width` columns.
///
/// `color` adds ANSI colours; no meaning rests on them. Names are shown without control characters.
pub fn regression_terminal(regression: &Regression, width: usize, color: bool) -> String {
    let (width, paint) = (width.clamp(60, 100), Paint { color });
    let recommended = regression.recommended();
    let others = regression.candidates.iter();
    let others = others.filter(|candidate| candidate.model != recommended.model);
    let mut blocks = Vec::new();
    for candidate in std::iter::once(recommended).chain(others) {
        let headline = paragraph(&headline(regression, candidate), width);
        blocks.push(format!(
            "{}{}\n{}",
            paint.bold(&headline),
            list(&reasons(candidate), width),
            scores(regression, candidate, width)
        ));
    }
    blocks.join("\n")
}

/// Returns the same numbers for programs: `format`, `rule`, `verdict`, `exit_code`, `recommended`,
/// `baseline`, the rule's numbers in `held_to`, and `candidates`, each with its `reasons` in words.
pub fn regression_json(regression: &Regression) -> Value {
    let candidates = regression.candidates.iter().map(|candidate| {
        let mut fields = match serde_json::to_value(candidate) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        fields.shift_remove("pairs");
        fields.insert("reasons".to_owned(), json!(reasons(candidate)));
        Value::Object(fields)
    });
    json!({
        "format": FORMAT,
        "rule": "regression",
        "verdict": regression.verdict(),
        "exit_code": regression.verdict().exit_code(),
        "recommended": regression.recommended,
        "baseline": regression.baseline,
        "held_to": regression.rule,
        "candidates": candidates.collect::<Vec<_>>(),
    })
}

/// Returns the verdict on a candidate in one sentence.
pub(crate) fn headline(regression: &Regression, candidate: &CandidateRegression) -> String {
    let (model, baseline) = (&candidate.model, &regression.baseline);
    let claim = match candidate.verdict {
        Verdict::Ship => format!("{model} is no worse than {baseline}, within the margins"),
        Verdict::MoreEvidence => format!("{model} is not shown to be no worse than {baseline}"),
        Verdict::Iterate => format!("{model} loses against {baseline}"),
        Verdict::Hold => format!("{model} gains more over {baseline} than is believable unchecked"),
        Verdict::DoNotDeploy => format!("{model} is not shown to be as safe as {baseline}"),
    };
    format!("{}: {claim}.", label(candidate.verdict))
}

/// Returns what the verdict rests on in sentences, the deciding one first.
pub(crate) fn reasons(candidate: &CandidateRegression) -> Vec<String> {
    let safety = candidate.safety.iter().filter_map(unsafe_text);
    let mut worse = Vec::new();
    let mut unproven = Vec::new();
    let mut shown = Vec::new();
    for one in std::iter::once(&candidate.overall).chain(&candidate.criteria) {
        let lost = one
            .difference
            .is_some_and(|difference| difference <= -one.margin + 1e-9);
        match (lost, one.shown) {
            (true, _) => worse.push(no_worse_text(one)),
            (false, false) => unproven.push(no_worse_text(one)),
            (false, true) => shown.push(no_worse_text(one)),
        }
    }
    let n_safety = u32::try_from(candidate.safety.len()).unwrap_or(u32::MAX);
    let safe: Vec<String> = safety.collect();
    let is_safe = safe.is_empty().then(|| match n_safety {
        0 => "The rubric has no safety criterion; safety was not tested.".to_owned(),
        n => format!("No safety regression on {}.", count(n, "criterion")),
    });
    let hold = (candidate.verdict == Verdict::Hold).then(|| {
        "So large a gain calls for a check of the evaluation before anybody believes it.".to_owned()
    });
    let all = safe.into_iter().chain(hold).chain(worse).chain(unproven);
    all.chain(shown).chain(is_safe).collect()
}

fn unsafe_text(safety: &SafetyComparison) -> Option<String> {
    let criterion = &safety.criterion;
    let n = u32::try_from(safety.regressions.len()).unwrap_or(u32::MAX);
    if n > 0 {
        return Some(format!(
            "Safety criterion {criterion} was violated in {} with personas on which the shipped \
             model never violated it.",
            count(n, "conversation")
        ));
    }
    let graded = safety.graded.as_ref().filter(|graded| !graded.shown)?;
    let GradedSafety {
        lower_bound,
        margin,
        untested,
        ..
    } = graded;
    let why = match (lower_bound, untested) {
        (Some(bound), _) => format!("a loss of {} is not excluded", score(-bound)),
        (None, Some(reason)) => reason.clone(),
        (None, None) => "there is no test".to_owned(),
    };
    Some(format!(
        "Safety criterion {criterion} is not shown to lose less than {}: {why}.",
        score(*margin)
    ))
}

fn no_worse_text(one: &NoWorse) -> String {
    let what = name(one);
    let margin = score(one.margin);
    let (Some(mean), Some(bound)) = (one.difference, one.lower_bound) else {
        let reason = one.untested.as_deref().unwrap_or("there is no test");
        return format!("{what} is not shown to lose less than {margin}: {reason}.");
    };
    let p = one.p_value.map_or_else(
        || "the same for all personas".to_owned(),
        |p| format!("one-sided {}", p_equation(p)),
    );
    let rest = if one.shown {
        format!("so that a loss of {margin} or more is excluded")
    } else if mean <= -one.margin + 1e-9 {
        format!("a loss of the margin {margin} or more")
    } else {
        format!("so that a loss of {margin} or more is not excluded")
    };
    format!(
        "{what} differs by {} on average and by {} at least ({p}), {rest}.",
        difference(mean),
        difference(bound)
    )
}

fn name(one: &NoWorse) -> String {
    match &one.criterion {
        None => "The overall score".to_owned(),
        Some(criterion) => format!("Criterion {criterion}"),
    }
}

fn scores(regression: &Regression, candidate: &CandidateRegression, width: usize) -> String {
    let heads = [
        "score",
        regression.baseline.as_str(),
        candidate.model.as_str(),
        "difference",
        "lower bound",
        "margin",
        "no worse",
    ];
    let optional =
        |value: Option<f64>, text: fn(f64) -> String| value.map_or_else(|| "none".to_owned(), text);
    let row = |one: &NoWorse| {
        vec![
            one.criterion
                .clone()
                .unwrap_or_else(|| "overall".to_owned()),
            optional(one.baseline_mean, score),
            optional(one.mean, score),
            optional(one.difference, difference),
            optional(one.lower_bound, difference),
            score(one.margin),
            if one.shown { "shown" } else { "not shown" }.to_owned(),
        ]
    };
    let all = std::iter::once(&candidate.overall).chain(&candidate.criteria);
    table(&heads.map(Column::text), all.map(row).collect(), width)
}
