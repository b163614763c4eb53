//! Prints how often the tests err when the truth is known, as a Markdown table.
//!
//! With a file named, writes the table between its two marks instead:
//! `cargo run -p shipworthy-stats --example operating_characteristics -- docs/statistics.md`.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod simulation;

use std::error::Error;
use std::fmt::Write;

const REPLICATES: u32 = 20_000;
const SEED: u64 = 20_261_121;
const BEGIN: &str = "<!-- operating characteristics: begin (make golden) -->\n";
const END: &str = "<!-- operating characteristics: end -->";

fn main() -> Result<(), Box<dyn Error>> {
    let table = table()?;
    let Some(path) = std::env::args().nth(1) else {
        print!("{table}");
        return Ok(());
    };
    let text = std::fs::read_to_string(&path)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or("the file has no mark where the table begins")?;
    let (_, after) = rest
        .split_once(END)
        .ok_or("the file has no mark where the table ends")?;
    std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}

fn table() -> Result<String, Box<dyn Error>> {
    let mut table = String::from(
        "| ICC | type-I error, t-test of persona means | coverage of its 95 % interval | type-I error, \
         group-sequential (looks at 5, 10, 15) | type-I error, naive t-test of 45 conversations |\n\
         |---|---|---|---|---|\n",
    );
    for icc in [0.0, 0.2, 0.5, 0.8] {
        let rates = simulation::rates(icc, REPLICATES, SEED)?;
        writeln!(
            table,
            "| {:.1} | {:.4} | {:.4} | {:.4} | {:.4} |",
            rates.icc, rates.type_1, rates.coverage, rates.sequential_type_1, rates.naive_type_1
        )?;
    }
    let error = (0.05 * 0.95 / f64::from(REPLICATES)).sqrt();
    writeln!(
        table,
        "\n{REPLICATES} replicates per row, seed {SEED}; Monte-Carlo standard error of a rate of 0.05: {error:.4}."
    )?;
    Ok(table)
}
