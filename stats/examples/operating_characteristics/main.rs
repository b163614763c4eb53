//! Prints how often the tests err when the truth is known, as a Markdown table.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod simulation;

use std::error::Error;
use std::fmt::Write;

const REPLICATES: u32 = 20_000;
const SEED: u64 = 20_261_121;

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", table()?);
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
