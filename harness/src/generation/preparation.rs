use std::path::Path;

use super::error::GenerationError;
use super::filter::Filter;
use super::held_out::HeldOut;
use crate::config::Config;
use crate::preparation::{self, Prepared};

/// What makes training data of a run's conversations; no part of its plan.
#[derive(Debug)]
pub struct Generation {
    /// Which conversations are good enough.
    pub filter: Filter,
    /// How many are enough; `None`: everybody talks.
    pub wanted: Option<usize>,
    /// Share of the rows that is kept for validation, in [0, 1).
    pub validation: f64,
    /// The system prompt of the rows, which need not be the teacher's.
    pub system_prompt: Option<String>,
    /// Whom the rows may not show.
    pub held_out: HeldOut,
}

/// Prepares the run of the teacher that `generate` in the configuration `file` names.
///
/// [`evaluate`](crate::evaluation::evaluate) carries it out. Models under test are not opened; the
/// people of the evaluation and of the loop are drawn to be looked for. Errors name the place in the file.
pub async fn prepare(
    mut config: Config,
    file: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Prepared, GenerationError> {
    let shown = file.display().to_string();
    let Some(generate) = config.generate.take() else {
        return Err(GenerationError::NoSection { file: shown });
    };
    let held_out = HeldOut::of(&config, file)?;
    let system_prompt = config.system_prompt.clone();
    let config = config.into_generation(&generate, &shown)?;
    let mut prepared = preparation::prepare(&config, file, environment).await?;
    let pass_threshold = prepared.plan.rubric.pass_threshold;
    prepared.generation = Some(Generation {
        filter: Filter {
            min_score: generate.min_score.unwrap_or(pass_threshold),
        },
        wanted: generate.wanted.map(|wanted| wanted.get() as usize),
        validation: generate.validation,
        system_prompt,
        held_out,
    });
    Ok(prepared)
}
