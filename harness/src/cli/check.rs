use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use shipworthy_harness::sanity::{
    SanityCheck, SanityError, SanityProgress, SanityReport, SanityRequest, SanityStatus, TaskError,
    TaskProblem, check,
};
use shipworthy_reports::one_line;

use super::error::{Failure, Kind};
use super::page::Page;
use super::printer::Printer;
use super::stop_signal::StopSignal;
use super::{Outcome, exit_code};

/// Look whether a candidate is sane before it is evaluated
///
/// It looks at what conversations show late or never: held-out perplexity, tasks it must still be able
/// to do, whether the adapter changes anything, whether adapter, merged checkpoint and GGUF files agree,
/// whether replies end, one chat template everywhere, and the curves of training. What nothing was named for is "not done". Exits with 13 if a check
/// failed, else with 0, also with warnings.
#[derive(Args)]
pub(crate) struct Check {
    /// The request as a file; flags come before what it says, and its paths are relative to it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The base: a directory with config.json, safetensors and tokenizer, or a GGUF file
    #[arg(long, value_name = "DIR|GGUF", required_unless_present = "config")]
    base: Option<PathBuf>,
    /// The candidate: a merged checkpoint, or the GGUF file that is to ship
    #[arg(long, value_name = "DIR|GGUF")]
    candidate: Option<PathBuf>,
    /// The candidate as an adapter on top of the base, as PEFT saves it
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The candidate as GGUF files, the one that is to ship first
    #[arg(long, value_name = "FILE", num_args = 1..)]
    gguf: Vec<PathBuf>,
    /// Where tokenizer and chat template are, if not with the base or the candidate
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Compute the base below the adapter in NF4 (double quantisation), as QLoRA trains on it
    #[arg(long)]
    load_in_4bit: bool,
    /// Held-out conversations, JSON Lines with `messages`; or plain text, `.txt`
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Task files: JSON Lines with `prompt`, `choices` and `answer`, or YAML as lm-eval reads it
    #[arg(long, value_name = "FILE", num_args = 1..)]
    tasks: Vec<PathBuf>,
    /// The output directory of the training run
    #[arg(long, value_name = "DIR")]
    training_run: Option<PathBuf>,
    /// Keep every question of the tasks with both arms' answers in the JSON document
    #[arg(long)]
    answers: bool,
}

impl Check {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let request = self.request()?;
        let stop =
            StopSignal::listen("stopping after the sequence under way; once more stops at once");
        let bar = bar(printer);
        let mut follow = |told: &SanityProgress| {
            bar.set_message(one_line(&told.what));
            bar.set_length(told.total.max(1));
            bar.set_position(told.done);
            if stop.flag().load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let checked = check(&request, &mut follow);
        bar.finish_and_clear();
        let report = checked?;
        let json = serde_json::to_value(&report).expect("a report is plain data");
        printer.value(&json);
        printer.text(&text(&report, printer.width()));
        Ok(if report.has_failed() {
            exit_code::DO_NOT_DEPLOY
        } else {
            exit_code::SUCCESS
        })
    }

    fn request(&self) -> Result<SanityRequest, Failure> {
        let mut request = match &self.config {
            Some(path) => read(path)?,
            None => SanityRequest::default(),
        };
        if let Some(base) = &self.base {
            request.base.clone_from(base);
        }
        let over = |named: &Option<PathBuf>, field: &mut Option<PathBuf>| {
            if named.is_some() {
                field.clone_from(named);
            }
        };
        over(&self.candidate, &mut request.candidate);
        over(&self.adapter, &mut request.adapter);
        over(&self.tokenizer, &mut request.tokenizer);
        over(&self.data, &mut request.data);
        over(&self.training_run, &mut request.training_run);
        if !self.gguf.is_empty() {
            request.gguf.clone_from(&self.gguf);
        }
        if !self.tasks.is_empty() {
            request.tasks.clone_from(&self.tasks);
        }
        request.load_in_4bit |= self.load_in_4bit;
        request.answers |= self.answers;
        if request.base.as_os_str().is_empty() {
            return Err(
                Failure::new(Kind::Usage, "there is no base to check against")
                    .hint("write `base: DIR` in the file, or give `--base DIR`"),
            );
        }
        Ok(request)
    }
}

/// Reads a request from a file, whose paths are relative to it.
fn read(path: &Path) -> Result<SanityRequest, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Kind::Usage, format!("failed to read `{name}`: {error}")))?;
    let request: Result<SanityRequest, _> = shipworthy_schema::yaml::read(&text, &name.to_string());
    let mut request = request.map_err(|error| Failure::new(Kind::Usage, error))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let SanityRequest {
        base,
        candidate,
        adapter,
        gguf,
        tokenizer,
        data,
        tasks,
        training_run,
        ..
    } = &mut request;
    let named = [candidate, adapter, tokenizer, data, training_run];
    let optional = named.into_iter().flatten();
    let all = optional.chain(gguf).chain(tasks).chain([base]);
    for path in all.filter(|path| !path.as_os_str().is_empty()) {
        *path = directory.join(&*path);
    }
    Ok(request)
}

fn bar(printer: &Printer) -> ProgressBar {
    if !printer.progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:16} {pos}/{len} {wide_msg}")
        .expect("the template is well formed");
    ProgressBar::new(1).with_style(style.progress_chars("━╸─"))
}

fn text(report: &SanityReport, width: usize) -> String {
    let mut page = Page::new(width);
    let title = match &report.candidate {
        Some(candidate) => format!("{candidate} against {}", report.base),
        None => report.base.clone(),
    };
    page.title(None, &title);
    let names = report.checks.iter().map(|check| check.check.name().len());
    let column = names.max().unwrap_or(0);
    let mut last = None;
    for outcome in &report.checks {
        let is_new = last.replace(outcome.check) != Some(outcome.check);
        let name = if is_new { outcome.check.name() } else { "" };
        let mut begin = String::new();
        let _ = write!(begin, "  {:<8}  {name:<column$}  ", outcome.status.word());
        let said = match subject(report, outcome.check, &outcome.subject) {
            Some(subject) => format!("{subject}: {}", outcome.detail),
            None => outcome.detail.clone(),
        };
        page.wrapped(&begin, &said, column + 14);
        if let Some(mend) = &outcome.mend
            && outcome.status >= SanityStatus::Warned
        {
            let indent = column + 14;
            page.wrapped(&format!("{:indent$}mend: ", ""), mend, indent + 6);
        }
    }
    page.block();
    let words = match report.status {
        SanityStatus::Failed => "a check failed: do not deploy this candidate",
        SanityStatus::Warned => "nothing failed; look at the warnings before you rely on it",
        SanityStatus::Passed => "nothing odd was found",
        SanityStatus::NotDone => "nothing was looked at",
    };
    page.wrapped("", words, 2);
    page.finish()
}

/// Returns what is named before what was seen: nothing where it is the candidate that the title names.
fn subject<'a>(report: &SanityReport, check: SanityCheck, subject: &'a str) -> Option<&'a str> {
    let is_title = report.candidate.as_deref() == Some(subject) && check != SanityCheck::Template;
    (!subject.is_empty() && !is_title).then_some(subject)
}

impl From<SanityError> for Failure {
    fn from(error: SanityError) -> Self {
        match error {
            SanityError::Request { .. } => Self::new(Kind::Usage, error),
            SanityError::Read { .. } => Self::new(Kind::InputOutput, error),
            SanityError::Record { .. } => Self::new(Kind::Data, error),
            SanityError::Model(error) => error.into(),
            SanityError::Data(error) => error.into(),
            SanityError::Tokenizer(error) => error.into(),
            SanityError::Likelihood(error) => error.into(),
            SanityError::Task(error) => error.into(),
            SanityError::Interrupted => super::interrupted(),
        }
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        let message = error.to_string();
        let mut failure = match error.problem {
            TaskProblem::Read(_) | TaskProblem::Yaml(_) | TaskProblem::Unsupported { .. } => {
                Self::new(Kind::Usage, "")
            }
            TaskProblem::Data(error) => error.into(),
            _ => Self::new(Kind::Data, ""),
        };
        failure.message = message;
        failure
    }
}
