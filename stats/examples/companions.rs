//! Times the companions of the primary test; `scripts/bench` compares them with SciPy.
//!
//! Reads requests from stdin, one a line (`sign_flip`, `wilcoxon` or `bootstrap`), and answers each
//! with the seconds one call took on 15 fixed differences and with its result.

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use shipworthy_stats::{
    BootstrapInterval, BootstrapOptions, RankDistribution, StatsError, Zeros, bootstrap_mean,
    sign_flip, signed_rank,
};

/// Persona differences of the worked example in docs/statistics.md.
const DIFFERENCES: [f64; 15] = [
    0.10, 0.20, 0.03, 0.205, 0.11, -0.05, 0.21, 0.12, 0.13, 0.04, 0.22, 0.105, -0.01, 0.19, 0.15,
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let started = Instant::now();
        let result = call(line?.trim())?;
        let seconds = started.elapsed().as_secs_f64();
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{seconds:e} {result:e}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn call(what: &str) -> Result<f64, StatsError> {
    match what {
        "sign_flip" => sign_flip(&DIFFERENCES, 0, 0).map(|test| test.p_two_sided),
        "wilcoxon" => signed_rank(&DIFFERENCES, Zeros::Drop, RankDistribution::Exact)
            .map(|test| test.p_two_sided),
        _ => {
            let options = BootstrapOptions {
                resamples: 10_000,
                level: 0.95,
                seed: 7,
                interval: BootstrapInterval::Bca,
            };
            bootstrap_mean(&DIFFERENCES, &options).map(|bootstrap| bootstrap.ci.lower)
        }
    }
}
