use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use shipworthy_schema::finetune::FinetuneConfig;
use shipworthy_schema::{TrainingEvent, TrainingPlan};

use super::progress::Teller;
use crate::Secret;
use crate::diagnosis::{Diagnosis, LINES, Where, last_words};
use crate::server::Log;
use crate::trainer::TrainError;

/// Name of what a script leaves beside the weights when it is done.
const SUMMARY: &str = "training_summary.json";

/// Who listens to a training script, wherever it runs: keeps what it writes, and tells what that means.
pub struct ScriptListener {
    teller: Teller,
    log: Log,
    path: PathBuf,
    last: VecDeque<String>,
}

impl ScriptListener {
    /// Opens the log at `log`, to be continued if it is there; `secrets` are struck out of it.
    ///
    /// `plan` is what was foreseen, which the script's own words complete.
    pub fn new(
        config: &FinetuneConfig,
        plan: TrainingPlan,
        log: &Path,
        secrets: Vec<Secret>,
    ) -> Result<Self, TrainError> {
        let path = log.to_owned();
        let log = Log::open(log, secrets).map_err(|source| TrainError::InputOutput {
            detail: format!("failed to write `{}`", path.display()),
            source,
        })?;
        let patience = config.early_stopping_patience.unwrap_or(0);
        Ok(Self {
            teller: Teller::new(plan, config.output_dir.clone(), patience),
            log,
            path,
            last: VecDeque::new(),
        })
    }

    /// Keeps a line that is not the script's.
    pub fn note(&self, line: &str) {
        self.log.line(line);
    }

    /// Keeps a line of the script and tells what it means; errors if the loss is not a number.
    pub fn hear(
        &mut self,
        line: &str,
        observe: &mut dyn FnMut(TrainingEvent),
    ) -> Result<(), TrainError> {
        self.log.line(line);
        if self.last.len() == LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
        self.teller.tell(line, observe)
    }

    /// Tells whether the script said that all is done.
    pub fn has_ended(&self) -> bool {
        self.teller.has_ended()
    }

    /// Tells of a run that was ended before the script could say so.
    pub fn cut_short(&self, observe: &mut dyn FnMut(TrainingEvent)) {
        observe(self.teller.cut_short());
    }

    /// Tells of a run that left everything and did not come to say so, by the summary in `output` if there is one.
    pub fn conclude(&mut self, output: &Path, observe: &mut dyn FnMut(TrainingEvent)) {
        let summary = std::fs::read_to_string(output.join(SUMMARY));
        self.teller.conclude(summary.ok().as_deref(), observe);
    }

    /// Returns why the script failed, as far as its words tell.
    pub fn failure(&self, exit_code: Option<i32>) -> TrainError {
        let last: Vec<&String> = self.last.iter().collect();
        let diagnosis = Diagnosis::of_process(&last, exit_code);
        let code = exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
        let mut said = last_words(&last);
        if said.is_empty() {
            "nothing".clone_into(&mut said);
        }
        TrainError::Program {
            detail: format!(
                "the training script ended{code}: {said}; its log is `{}`",
                self.path.display()
            ),
            mend: diagnosis.map_or("", |diagnosis| diagnosis.fault.mend(Where::Here)),
        }
    }
}
