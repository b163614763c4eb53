//! Two runs beside each other: what explains a difference first, then the numbers.

mod markdown;
mod terminal;

use serde_json::{Value, json};
use shipworthy_schema::{
    Aspect, AspectDifference, ComparedRun, ModelDifference, RunDifference, ScoreDifference, Verdict,
};

use crate::number_text::{count, difference, interval, percent, score};

pub use markdown::run_difference_markdown;
pub use terminal::run_difference_terminal;

/// Version of the format of [`run_difference_json`].
const FORMAT: u32 = 1;

/// Most fields told of one aspect; programs get all.
const FIELDS: usize = 12;

/// Most criteria told of one model; programs get all.
const CRITERIA: usize = 20;

/// Heads of a model's table.
const HEADS: [&str; 5] = ["Measure", "Run", "Other", "Difference", "95 % interval"];

/// Returns the same for programs: `format`, `runs`, `differences`, `incomparable` and `models`, with
/// every field and criterion.
pub fn run_difference_json(difference: &RunDifference) -> Value {
    let mut document = json!({ "format": FORMAT });
    if let (Some(document), Ok(Value::Object(fields))) =
        (document.as_object_mut(), serde_json::to_value(difference))
    {
        document.extend(fields);
    }
    document
}

/// Says which run it is.
fn run_text(run: &ComparedRun) -> String {
    let ComparedRun {
        run,
        created_at,
        verdict,
        ..
    } = run;
    format!("{run}, begun {created_at}, verdict {}", verdict.label())
}

/// Says in what the runs differ with regard to one aspect, a sentence each.
fn fields_text(difference: &AspectDifference) -> Vec<String> {
    let fields = difference.fields.iter().take(FIELDS);
    let mut lines: Vec<String> = fields.map(ToString::to_string).collect();
    let more = difference.fields.len().saturating_sub(FIELDS);
    if more > 0 {
        lines.push(format!("{more} more, in the --json output"));
    }
    lines
}

/// Says whether one run's scores may be subtracted from the other's, and what to make of it.
fn standing(difference: &RunDifference) -> String {
    if !difference.incomparable.is_empty() {
        let aspects = difference.incomparable.iter().map(|aspect| aspect.label());
        let aspects: Vec<&str> = aspects.collect();
        return format!(
            "NOT COMPARABLE: other {}. The numbers stand side by side, and no difference is taken.",
            aspects.join(", other ")
        );
    }
    let of = |aspect| difference.differences.iter().any(|d| d.aspect == aspect);
    let same = "Comparable: the same people, asked and scored in the same way.";
    let cause = match (of(Aspect::Models), of(Aspect::Rule)) {
        (true, true) => {
            "Scores differ by the models and by chance; verdicts also by the rule they were held to."
        }
        (true, false) => "What differs below comes of the models, or of chance.",
        (false, true) => {
            "The models are the same: scores differ by chance, verdicts also by the rule they were \
             held to."
        }
        (false, false) if is_same(difference) => "Every score is the same.",
        (false, false) => "The models are the same: what differs below is chance.",
    };
    format!("{same} {cause}")
}

/// Tells whether no score differs and nobody is missing on one side.
fn is_same(difference: &RunDifference) -> bool {
    let scores = difference.models.iter().flat_map(|model| &model.scores);
    let is_same = |score: &ScoreDifference| {
        let [old, new] = score.means;
        old == new && score.difference.is_none_or(|difference| difference == 0.0)
    };
    let mut verdicts = difference.models.iter().map(|model| model.verdicts);
    scores.into_iter().all(is_same) && verdicts.all(|[old, new]| old == new)
}

/// Returns a model's name, with both where they differ.
fn name_text(model: &ModelDifference) -> String {
    match &model.names {
        [Some(old), Some(new)] if old == new => old.to_string(),
        [Some(old), Some(new)] => format!("{old} (run), {new} (other)"),
        [Some(old), None] => format!("{old} (not in the other run)"),
        [None, Some(new)] => format!("{new} (in the other run only)"),
        [None, None] => String::new(),
    }
}

/// Returns a model's table: verdict, overall numbers, then the criteria that differ, by size of the
/// difference. What is not there is an empty cell.
fn rows(model: &ModelDifference, comparable: bool) -> Vec<Vec<String>> {
    let verdict = |verdict: Option<Verdict>| verdict.map(Verdict::label).unwrap_or_default();
    let row = |name: &str, values: [String; 2], rest: [String; 2]| {
        let [old, new] = values;
        let [gap, ci] = rest;
        vec![name.to_owned(), old, new, gap, ci]
    };
    let none = || [String::new(), String::new()];
    let mut rows = Vec::new();
    if model.verdicts.iter().any(Option::is_some) {
        let verdicts = model.verdicts.map(|v| verdict(v).to_owned());
        rows.push(row("verdict", verdicts, none()));
    }
    let mut scores = model.scores.iter();
    let overall = scores.find(|score| score.criterion.is_none());
    rows.extend(overall.map(|overall| score_row("mean score", model, overall)));
    let shares = [0, 1].map(|i| {
        let share = model.pass_rates[i].map(percent);
        share.unwrap_or_else(|| missing(model, i))
    });
    rows.push(row("pass rate", shares, none()));
    if model.gains.iter().any(Option::is_some) {
        let gains = model.gains.map(|gain| {
            let text = gain.map(|gain| difference(gain.difference));
            text.unwrap_or_default()
        });
        rows.push(row("gain over baseline", gains, none()));
        let intervals = model.gains.map(|gain| {
            let text = gain.and_then(|gain| gain.ci95).map(interval);
            text.unwrap_or_default()
        });
        rows.push(row("its 95 % interval", intervals, none()));
    }
    for criterion in shown(model, comparable) {
        let name = criterion.criterion.as_deref().unwrap_or_default();
        rows.push(score_row(name, model, criterion));
    }
    rows
}

fn score_row(name: &str, model: &ModelDifference, one: &ScoreDifference) -> Vec<String> {
    let mean = |i: usize| one.means[i].map_or_else(|| missing(model, i), score);
    vec![
        name.to_owned(),
        mean(0),
        mean(1),
        one.difference.map(difference).unwrap_or_default(),
        one.ci95.map(interval).unwrap_or_default(),
    ]
}

/// Says why there is no number of a model in one of the runs.
fn missing(model: &ModelDifference, i: usize) -> String {
    let is_there = model.names[i].is_some();
    if is_there { "no score" } else { "" }.to_owned()
}

/// Returns the criteria worth telling: those that differ, largest first, or all side by side.
fn shown(model: &ModelDifference, comparable: bool) -> Vec<&ScoreDifference> {
    let criteria = model.scores.iter().filter(|s| s.criterion.is_some());
    let mut criteria: Vec<&ScoreDifference> = if comparable && both(model) {
        criteria.filter(|s| !is_equal(s)).collect()
    } else {
        criteria.collect()
    };
    let size = |s: &ScoreDifference| s.difference.map_or(f64::INFINITY, f64::abs);
    criteria.sort_by(|a, b| size(b).total_cmp(&size(a)));
    criteria.truncate(CRITERIA);
    criteria
}

fn both(model: &ModelDifference) -> bool {
    model.names.iter().all(Option::is_some)
}

fn is_equal(score: &ScoreDifference) -> bool {
    score.means[0] == score.means[1] && score.difference.is_none_or(|d| d == 0.0)
}

/// Says what the table leaves out and how to read it.
fn notes(model: &ModelDifference, comparable: bool) -> Vec<String> {
    let n = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let criteria = || model.scores.iter().filter(|s| s.criterion.is_some());
    let told = shown(model, comparable).len();
    let equal = if comparable && both(model) {
        criteria().filter(|s| is_equal(s)).count()
    } else {
        0
    };
    let cut = criteria().count() - equal - told;
    let mut notes = Vec::new();
    if equal > 0 {
        notes.push(format!(
            "{} the same in both.",
            count(n(equal), "criterion")
        ));
    }
    if cut > 0 {
        let left_out = count(n(cut), "criterion");
        notes.push(format!("{left_out} left out: see the --json output."));
    }
    notes
}

/// Says over whom differences are taken, and that they decide nothing.
fn caption(difference: &RunDifference) -> Option<String> {
    let mut scores = difference.models.iter().flat_map(|model| &model.scores);
    let overall = scores.find(|s| s.criterion.is_none() && s.personas > 0)?;
    Some(format!(
        "Difference: other minus run, mean over {} scored in both. It describes: no verdict rests \
         on it, and its interval is not adjusted for looking more than once.",
        count(overall.personas, "persona")
    ))
}
