//! Prints how often a loop ships a candidate that is no better, as a Markdown table.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use shipworthy_harness::selection::Selection;
use shipworthy_schema::Gate;
use shipworthy_stats::{Spread, StatsError};

const REPLICATES: u32 = 4_000;
const SEED: u64 = 20_261_122;

fn main() -> Result<(), StatsError> {
    println!(
        "| Standard deviation of a persona's difference | Candidates | one candidate | the best, unconfirmed | \
         the best, confirmed by new people | new people alone |\n|---|---|---|---|---|---|"
    );
    for sd in [0.13, 0.2, 0.3_f64] {
        // Half of the variance of one conversation's difference is the persona's.
        let variance = sd * sd / (1.0 + 1.0 / 3.0);
        for candidates in [1, 3, 10] {
            let selection = Selection {
                candidates,
                personas: 15,
                repeats: 3,
                spread: Spread {
                    between: variance,
                    within: variance,
                },
                gate: Gate::default(),
                replicates: REPLICATES,
                seed: SEED,
            };
            let found = selection.run()?;
            println!(
                "| {sd:.2} | {candidates} | {:.4} | {:.4} | {:.4} | {:.4} |",
                found.one, found.unconfirmed, found.confirmed, found.fresh_alone
            );
        }
    }
    let error = (0.05 * 0.95 / f64::from(REPLICATES)).sqrt();
    println!(
        "\n{REPLICATES} loops per row, seed {SEED}; Monte-Carlo standard error of a share of 0.05: {error:.4}."
    );
    Ok(())
}
