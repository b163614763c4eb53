//! `evaluation_report.html`: one page that needs nothing beside it, for people who decide and question.
//!
//! Sections that Markdown has too are rendered from the same text, so that words and numbers cannot
//! differ; pictures, the sortable table of personas and the transcripts are the page's own. To add a
//! section to both, add one line here and one in [`markdown`](crate::markdown).

mod content_policy;
mod markup;
mod page;
mod personas;
mod plots;
mod regressions;
mod section_text;
mod transcripts;
mod verdict;

use shipworthy_schema::{CandidateComparison, Evaluation};

use self::markup::{Markup, Tag};
use self::page::Page;
use self::plots::{agreement, distributions, forest, lengths, power, safety_bounds, slopes};
use self::section_text::{Sorting, section};
use crate::markdown::{
    cost, human, judges, limits, looks, pairwise, preflight, ranking, results, safety, setup,
    simulator, statistics,
};

/// Returns `evaluation_report.html`: the verdict with its reasons first, then what shows it, the
/// results down to every conversation, and how to reproduce them.
///
/// The page loads nothing, and its content policy lets no other script run than its own. Text from
/// models, judges and configurations is text everywhere. Equal evaluations give equal bytes.
pub fn html(evaluation: &Evaluation) -> String {
    let mut page = Page::new(&format!("Evaluation of {}", evaluation.plan.project));
    page.add("verdict", "Verdict", verdict::verdict(evaluation));
    // The recommended candidate comes first, and what shows its gain before any table.
    let mut candidates: Vec<&CandidateComparison> =
        evaluation.comparison.candidates.iter().collect();
    candidates.sort_by_key(|candidate| candidate.model != evaluation.recommended);
    let numbered = || {
        candidates
            .iter()
            .enumerate()
            .map(|(idx, c)| (format!("candidate-{}", idx + 1), c))
    };
    for (id, candidate) in numbered().take(1) {
        page.add(
            &format!("{id}-gain"),
            "Gain",
            telling(evaluation, candidate, &id),
        );
    }
    let fixed = |id: &str, text: &str| section(id, 2, text, Sorting::Fixed);
    page.add(
        "results",
        "Results",
        Markup::from([
            fixed("results", &results::models(evaluation)),
            fixed("ranking", &ranking::ranking(evaluation)),
        ]),
    );
    for (idx, (id, candidate)) in numbered().enumerate() {
        let part = of_candidate(evaluation, candidate, &id, idx > 0);
        page.add(&id, candidate.model.as_str(), part);
    }
    if let Some(judging) = &evaluation.judging {
        page.add(
            "judges",
            "Judges",
            Markup::from([
                fixed("judges", &judges::judges(evaluation)),
                agreement::agreement("agreement", "judges", judging),
            ]),
        );
    }
    if evaluation.human.is_some() {
        page.add(
            "human-check",
            "Human check",
            fixed("human-check", &human::human(evaluation)),
        );
    }
    if evaluation.pairwise.is_some() {
        page.add(
            "preferences",
            "Preferences",
            fixed("preferences", &pairwise::pairwise(evaluation)),
        );
    }
    page.add(
        "transcripts",
        "Transcripts",
        transcripts::transcripts(evaluation),
    );
    page.add(
        "method",
        "Method",
        Tag::new("div").set("id", "method").holding([
            fixed("limits", &limits(evaluation)),
            fixed("compared", &setup::compared(evaluation)),
            fixed("preflight", &preflight::preflight(evaluation)),
            fixed("looks", &looks::looks(evaluation)),
            fixed("ends", &results::terminations(evaluation)),
            fixed("simulator", &simulator::simulator(evaluation)),
            fixed("cost", &cost::cost(evaluation)),
        ]),
    );
    page.add(
        "reproduce",
        "Reproduce",
        fixed("reproduce", &setup::reproduce(evaluation)),
    );
    page.finish(transcripts::data(evaluation))
}

/// Returns the pictures that show a candidate's gain at a glance.
fn telling(evaluation: &Evaluation, candidate: &CandidateComparison, id: &str) -> Markup {
    let baseline = &evaluation.comparison.baseline;
    Tag::new("div")
        .set("id", format!("{id}-gain"))
        .class("pictures telling")
        .holding([
            slopes::slopes(
                &format!("{id}-slopes"),
                &format!("{id}-personas"),
                baseline,
                candidate,
            ),
            forest::forest(&format!("{id}-forest"), evaluation, candidate),
        ])
}

/// Returns everything else on one candidate against the baseline; `with_gain`: that too.
fn of_candidate(
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
    id: &str,
    with_gain: bool,
) -> Markup {
    let baseline = &evaluation.comparison.baseline;
    let part = |name: &str| format!("{id}-{name}");
    let title = format!("{} against {baseline}", candidate.model);
    let text = |name: &str, text: &str, sorting| section(&part(name), 3, text, sorting);
    let model = &candidate.model;
    let (personas, safety_table) = (part("personas"), part("safety"));
    Tag::new("section")
        .set("id", id)
        .set("aria-labelledby", part("title"))
        .holding([
            Tag::new("h2").set("id", part("title")).saying(&title),
            if with_gain {
                telling(evaluation, candidate, id)
            } else {
                Markup::default()
            },
            personas::personas(&personas, evaluation, candidate),
            text(
                "criteria",
                &results::criteria(evaluation, candidate),
                Sorting::ByColumn,
            ),
            text(
                "categories",
                &results::categories(evaluation, candidate),
                Sorting::ByColumn,
            ),
            text(
                "safety",
                &safety::safety(evaluation, candidate),
                Sorting::Fixed,
            ),
            regressions::regressions(&part("regressions"), candidate),
            safety_bounds::safety_bounds(&part("bounds"), &safety_table, baseline, candidate),
            text(
                "statistics",
                &statistics::statistics(evaluation, candidate),
                Sorting::Fixed,
            ),
            Tag::new("div").class("pictures").holding([
                power::power(&part("power"), evaluation, candidate),
                distributions::distributions(&part("scores"), evaluation, model),
                lengths::lengths(&part("lengths"), evaluation, candidate),
            ]),
        ])
}
