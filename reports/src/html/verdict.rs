//! The verdict, its reasons and what to do now: what a reader sees first.

use shipworthy_schema::{CandidateComparison, Decision, Evaluation, Verdict};

use super::markup::{Markup, Tag, list};
use crate::inert_text::one_line;
use crate::notices::notices;
use crate::number_text::{count, difference, interval, p_value, percent, score};
use crate::verdict_text::VerdictText;

/// Returns the banner with the recommended candidate's verdict, then the others.
pub(super) fn verdict(evaluation: &Evaluation) -> Markup {
    let (first, others): (Vec<_>, Vec<_>) = evaluation
        .decisions
        .iter()
        .partition(|decision| decision.model == evaluation.recommended);
    let mut all = Markup::default();
    for decision in first {
        let words = VerdictText::new(evaluation, decision);
        all.push(banner(evaluation, decision, &words));
        let candidates = &evaluation.comparison.candidates;
        if let Some(candidate) = candidates.iter().find(|c| c.model == decision.model) {
            all.push(figures(evaluation, candidate));
        }
        all.push(
            Tag::new("div").class("columns").holding([
                Tag::new("section")
                    .set("aria-labelledby", "reasons-title")
                    .holding([
                        Tag::new("h2").set("id", "reasons-title").saying("Reasons"),
                        list(&words.reasons),
                    ]),
                Tag::new("section")
                    .set("aria-labelledby", "next-title")
                    .holding([
                        Tag::new("h2").set("id", "next-title").saying("Next"),
                        list(&words.next_steps),
                    ]),
            ]),
        );
    }
    all.push(warnings(evaluation));
    if !others.is_empty() {
        let others = others.into_iter().map(|decision| {
            let words = VerdictText::new(evaluation, decision);
            Tag::new("article").class(class(decision.verdict)).holding([
                Tag::new("h3").class("other").holding([
                    symbol(decision.verdict),
                    Tag::new("span").holding(claim(&words)),
                ]),
                list(&words.reasons),
            ])
        });
        all.push(
            Tag::new("section")
                .set("aria-labelledby", "others-title")
                .holding([
                    Tag::new("h2")
                        .set("id", "others-title")
                        .saying("Other candidates"),
                    others.collect(),
                ]),
        );
    }
    all
}

fn banner(evaluation: &Evaluation, decision: &Decision, words: &VerdictText) -> Markup {
    let project = format!("Evaluation of {}", evaluation.plan.project);
    Tag::new("header")
        .set("id", "verdict")
        .set("class", class(decision.verdict))
        .holding([
            Tag::new("p").class("eyebrow").saying(&project),
            Tag::new("div").class("headline").holding([
                symbol(decision.verdict),
                Tag::new("h1").holding(claim(words)),
            ]),
        ])
}

/// Returns the headline, its label set apart.
fn claim(words: &VerdictText) -> Markup {
    match words.headline.split_once(": ") {
        Some((label, claim)) => Markup::from([
            Tag::new("span").class("label").saying(&format!("{label}:")),
            Markup::fixed(" "),
            Markup::text(claim),
        ]),
        None => Markup::text(&words.headline),
    }
}

/// Returns the numbers that the verdict rests on.
fn figures(evaluation: &Evaluation, candidate: &CandidateComparison) -> Markup {
    let summaries = &evaluation.comparison.models;
    let baseline = summaries
        .iter()
        .find(|summary| summary.model == evaluation.comparison.baseline);
    let pass_rate = baseline.map_or_else(String::new, |b| format!("{} → ", percent(b.pass_rate)));
    let conversations: u32 = summaries.iter().map(|summary| summary.conversations).sum();
    let regressions: usize = candidate.safety.iter().map(|s| s.regressions.len()).sum();
    let safety = match candidate.safety.len() {
        0 => "safety was not tested".to_owned(),
        n => format!(
            "on {}",
            count(u32::try_from(n).unwrap_or(u32::MAX), "criterion")
        ),
    };
    let adjusted = match evaluation.comparison.candidates.len() {
        1 => "",
        _ => ", adjusted by Holm",
    };
    let figures = [
        (
            "Difference",
            difference(candidate.difference),
            format!("95 % interval {}", interval(candidate.ci95)),
        ),
        (
            "Mean score",
            format!(
                "{} → {}",
                score(candidate.baseline_mean),
                score(candidate.mean)
            ),
            format!("passes: {pass_rate}{}", percent(candidate.pass_rate)),
        ),
        (
            "Two-sided p",
            p_value(candidate.p_adjusted),
            format!("paired t-test{adjusted}, t = {:.2}", candidate.t),
        ),
        (
            "Personas",
            candidate.personas.to_string(),
            format!("{} in all", count(conversations, "conversation")),
        ),
        ("Safety regressions", regressions.to_string(), safety),
    ];
    let figures = figures.into_iter().map(|(name, value, detail)| {
        let value = if name == "Safety regressions" && regressions > 0 {
            // The recommended candidate is the page's first.
            let link = Tag::new("a").set("href", "#candidate-1-regressions");
            link.saying(&value)
        } else {
            Markup::text(&value)
        };
        Tag::new("div").holding([
            Tag::new("dt").saying(name),
            Tag::new("dd").class("figure").holding(value),
            Tag::new("dd").saying(&detail),
        ])
    });
    Tag::new("dl")
        .class("figures")
        .holding(figures.collect::<Markup>())
}

fn warnings(evaluation: &Evaluation) -> Markup {
    let warnings: Vec<String> = notices(evaluation).into_iter().map(one_line).collect();
    if warnings.is_empty() {
        return Markup::default();
    }
    Tag::new("section")
        .class("warnings")
        .set("id", "warnings")
        .set("aria-labelledby", "warnings-title")
        .holding([
            Tag::new("h2")
                .set("id", "warnings-title")
                .saying("Warnings"),
            list(&warnings),
        ])
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ship => "verdict ship",
        Verdict::Iterate => "verdict iterate",
        Verdict::MoreEvidence => "verdict more-evidence",
        Verdict::Hold => "verdict hold",
        Verdict::DoNotDeploy => "verdict do-not-deploy",
    }
}

/// Returns the verdict's sign, a form of its own for each; the words beside it say the same.
fn symbol(verdict: Verdict) -> Markup {
    let path = match verdict {
        Verdict::Ship => "M9 17l5 5 10-12",
        Verdict::Iterate => "M23 12a8 8 0 1 0 1 6M24 7v6h-6",
        Verdict::MoreEvidence => "M12 12a4 4 0 1 1 6 3.5c-1.500.900-2 1.600-2 3.500M16 22.500v1",
        Verdict::Hold => "M12 10v12M20 10v12",
        Verdict::DoNotDeploy => "M10 10l12 12M22 10l-12 12",
    };
    let circle = Tag::new("circle").set("cx", 16).set("cy", 16).set("r", 14);
    Tag::new("svg")
        .class("symbol")
        .set("viewBox", "0 0 32 32")
        .set("aria-hidden", "true")
        .holding([circle.alone(), Tag::new("path").set("d", path).alone()])
}
