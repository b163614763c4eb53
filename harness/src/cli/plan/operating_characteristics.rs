#![expect(
    clippy::format_push_string,
    reason = "a text is shown once; its shape matters more"
)]

use serde_json::{Map, Value, json};
use shipworthy_harness::operating_characteristics::{Characteristic, Simulation};
use shipworthy_reports::table;
use shipworthy_schema::Verdict;

/// Share of scores outside their scale from which the reader is told.
const CLIPPED_NOTABLY: f64 = 0.01;

/// What is said about a simulation of the whole rule.
pub(super) struct Shown<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) source: &'a str,
    pub(super) rows: &'a [Characteristic],
}

impl Shown<'_> {
    /// Returns the JSON document.
    pub(super) fn value(&self) -> Value {
        let simulation = self.simulation;
        let row = |row: &Characteristic| {
            let verdicts: Map<String, Value> = row
                .verdicts
                .iter()
                .map(|of| {
                    let name = json!(of.verdict).as_str().unwrap_or_default().to_owned();
                    let value = json!({ "share": of.share, "monte_carlo_error": of.error });
                    (name, value)
                })
                .collect();
            json!({
                "effect": row.effect,
                "verdicts": verdicts,
                "without_verdict": row.without_verdict,
                "clipped_scores": row.clipped,
            })
        };
        json!({
            "format": 1,
            "operating_characteristics": {
                "personas": simulation.personas,
                "repeats": simulation.repeats,
                "spread": {
                    "source": self.source,
                    "variance_between_personas": simulation.spread.between,
                    "variance_within_personas": simulation.spread.within,
                },
                "gate": simulation.gate,
                "replicates": simulation.replicates,
                "seed": simulation.seed,
                "effects": self.rows.iter().map(row).collect::<Vec<_>>(),
            },
        })
    }

    /// Returns the text for people.
    pub(super) fn text(&self, width: usize) -> String {
        let simulation = self.simulation;
        let [ship, more, iterate, hold, stop] = Verdict::ALL.map(Verdict::label);
        let heads = ["Effect", ship, more, iterate, hold, stop];
        let row = |row: &Characteristic| {
            let share = |idx: usize| {
                let of = row.verdicts.get(idx);
                of.map_or(String::new(), |of| {
                    format!("{:.3} ±{:.3}", of.share, of.error)
                })
            };
            let effect = format!("{:.2}", row.effect);
            [effect, share(0), share(1), share(2), share(3), share(4)]
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let mut text = format!(
            "How often the whole rule gives each verdict, by true effect\n\n{}\n{} simulated evaluations \
             of {} personas × {} conversations in each row, seed {};\n± is the Monte-Carlo standard \
             error. At least {}, alpha {}, suspicious above {}.\nspread  {}\n",
            table(heads, &rows, width),
            simulation.replicates,
            simulation.personas,
            simulation.repeats,
            simulation.seed,
            simulation.gate.min_gain,
            simulation.gate.alpha,
            simulation.gate.suspicious_gain,
            self.source,
        );
        let without = self
            .rows
            .iter()
            .map(|row| row.without_verdict)
            .fold(0.0, f64::max);
        if without > 0.0 {
            text += &format!(
                "Up to {:.1} % of a row were without a verdict: all differences were the same.\n",
                100.0 * without
            );
        }
        let clipped = self.rows.iter().map(|row| row.clipped).fold(0.0, f64::max);
        if clipped > CLIPPED_NOTABLY {
            text += &format!(
                "Up to {:.1} % of a row's scores fell outside 0 to 1 and were moved there, which makes \
                 the true effect smaller than its row says.\n",
                100.0 * clipped
            );
        }
        text
    }
}
