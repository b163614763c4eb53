//! The table of models, and what the other tests say.

use shipworthy_schema::{CandidateComparison, ModelName, ModelSummary};

use super::Page;
use super::columns::Column;
use super::layout::{fits, paragraph, table};
use crate::number_text::{
    count, difference, interval, length_ratio, p_equation, p_value, percent, score,
};

/// The cells of one model.
struct Row {
    model: String,
    verdict: String,
    mean: String,
    pass: String,
    difference: String,
    interval: String,
    p: String,
}

impl Row {
    fn wide(self) -> Vec<String> {
        let gain = [self.difference, self.interval, self.p];
        let mut cells = vec![self.model, self.verdict, self.mean, self.pass];
        cells.extend(gain);
        cells
    }

    /// The verdict below the name and the interval below the difference.
    fn narrow(self) -> Vec<String> {
        vec![
            format!("{}\n{}", self.model, self.verdict),
            self.mean,
            self.pass,
            format!("{}\n{}", self.difference, self.interval),
            self.p,
        ]
    }
}

impl Page<'_> {
    pub(super) fn models(&self) -> String {
        let comparison = self.comparison;
        let candidates = comparison.candidates.len();
        let adjusted = if candidates > 1 {
            format!(" p is adjusted for {candidates} candidates.")
        } else {
            String::new()
        };
        let personas = comparison.candidates.first().map_or(0, |c| c.personas);
        let caption = format!(
            "Difference: mean over {}, candidate minus {}.{adjusted}",
            count(personas, "persona"),
            comparison.baseline
        );
        let mut block = self.model_table() + &paragraph(&caption, self.width);
        for candidate in &comparison.candidates {
            block.push_str(&paragraph(&other_tests(candidate), self.width));
        }
        block + &self.ties()
    }

    fn model_table(&self) -> String {
        let rows = || self.comparison.models.iter().map(|m| self.model_row(m));
        let [mean, pass, p] = ["Mean", "Pass", "p"].map(Column::number);
        let wide = [
            Column::whole("Model"),
            Column::text("Verdict"),
            mean,
            pass,
            Column::number("Difference"),
            Column::number("95\u{a0}%\u{a0}interval"),
            p,
        ];
        let cells: Vec<_> = rows().map(Row::wide).collect();
        if fits(&wide, &cells, self.width) {
            return table(&wide, cells, self.width);
        }
        let narrow = [
            Column::text("Model\nVerdict"),
            mean,
            pass,
            Column::number("Difference\n95 % interval"),
            p,
        ];
        table(&narrow, rows().map(Row::narrow).collect(), self.width)
    }

    /// Says which models are not told apart, where there is more than one pair.
    fn ties(&self) -> String {
        let ranking = &self.comparison.ranking;
        if ranking.models.len() < 3 {
            return String::new();
        }
        let sets: Vec<String> = ranking
            .tied_sets
            .iter()
            .map(|set| {
                let names: Vec<&str> = set.iter().map(ModelName::as_str).collect();
                names.join(" = ")
            })
            .collect();
        let text = format!(
            "Best first, = where not told apart at level {}: {}.",
            ranking.alpha,
            sets.join("; ")
        );
        paragraph(&text, self.width)
    }

    fn model_row(&self, summary: &ModelSummary) -> Row {
        let mut candidates = self.comparison.candidates.iter();
        let compared = candidates.find(|c| c.model == summary.model);
        let mut decisions = self.decisions.iter();
        let verdict = decisions
            .find(|d| d.model == summary.model)
            .map_or("baseline", |d| d.verdict.label());
        let scored = summary.scored > 0;
        let if_scored = |text: String| if scored { text } else { "no score".to_owned() };
        let of =
            |text: &dyn Fn(&CandidateComparison) -> String| compared.map_or_else(String::new, text);
        Row {
            model: summary.model.to_string(),
            verdict: verdict.to_owned(),
            mean: if_scored(score(summary.mean)),
            pass: if_scored(percent(summary.pass_rate)),
            difference: of(&|c| difference(c.difference)),
            interval: of(&|c| interval(c.ci95)),
            p: of(&|c| p_value(c.p_adjusted)),
        }
    }
}

/// Says what the other tests and estimates come to, in one line or two.
fn other_tests(candidate: &CandidateComparison) -> String {
    let mut said = vec![format!("sign-flip {}", p_equation(candidate.sign_flip_p))];
    said.extend(
        candidate
            .wilcoxon_p
            .map(|p| format!("Wilcoxon {}", p_equation(p))),
    );
    said.extend(
        candidate
            .bootstrap_ci95
            .map(|ci| format!("bootstrap {}", interval(ci))),
    );
    said.extend(candidate.length_adjusted.as_ref().map(|adjusted| {
        let gain = difference(adjusted.difference);
        format!(
            "at equal length of replies {gain} (they are {})",
            length_ratio(adjusted)
        )
    }));
    said.push(format!("d_z {:.2}", candidate.cohens_dz));
    said.extend(candidate.icc.map(|icc| format!("ICC {icc:.2}")));
    let smallest = candidate.mde80.map(|gain| {
        let gain = score(gain);
        format!("smallest gain found with 80 % power {gain}")
    });
    said.extend(smallest);
    format!("{}: {}.", candidate.model, said.join(", "))
}
