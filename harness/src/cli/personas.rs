use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use shipworthy_harness::preparation::{PreparationError, leak_text, spec_by_name};
use shipworthy_harness::run_directory::write_file;
use shipworthy_personas::leak::{self, LeakReport, Options};
use shipworthy_personas::{PersonaPool, PersonaSpec, generate};

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::{Outcome, exit_code};

/// Draw held-out people, or prove that training data has not met them
#[derive(Args)]
pub(crate) struct Personas {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(Generate),
    Check(Check),
}

impl Personas {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        match &self.command {
            Command::Generate(generate) => generate.run(printer),
            Command::Check(check) => check.run(printer),
        }
    }
}

/// Draw people from a spec; the same seed is the same person for ever
///
/// Seeds 0 to 4999 are for training data, 9000 and up for evaluation; others are refused.
/// Evaluation people repeat no combination of levels of any training seed.
#[derive(Args)]
struct Generate {
    /// A library spec (coaching, creative-writing, customer-support) or a YAML file
    #[arg(long)]
    spec: String,
    /// Number of people
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// First seed
    #[arg(long, default_value_t = 9000)]
    seed_start: u32,
    /// Where to write them; stdout if left out
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Generate {
    fn run(&self, printer: &Printer) -> Outcome {
        let spec = spec_by_name(&self.spec, Path::new(""))?;
        let people = generate(&spec, self.seed_start, self.count)
            .map_err(|error| Failure::new(Kind::Usage, error))?;
        let file = self
            .output
            .as_ref()
            .map_or("-".to_owned(), |path| path.display().to_string());
        let pool = PersonaPool::new(spec.spec_ref(), people, &file)?;
        let Some(path) = &self.output else {
            printer.value(&json!({
                "format": 1,
                "spec": pool.spec(),
                "split": pool.split(),
                "personas": pool.personas(),
            }));
            printer.text(&pool.to_jsonl());
            return Ok(exit_code::SUCCESS);
        };
        write_file(path, &pool.to_jsonl())?;
        let last = self.seed_start + (self.count - 1);
        printer.value(&json!({
            "format": 1,
            "file": file,
            "spec": pool.spec(),
            "split": pool.split(),
            "seed_start": self.seed_start,
            "count": self.count,
            "digest": pool.digest(),
        }));
        printer.text(&format!(
            "wrote {file}: {} people, seeds {} to {last} of spec {} (digest {})\n",
            self.count,
            self.seed_start,
            spec.name(),
            pool.digest().short(),
        ));
        Ok(exit_code::SUCCESS)
    }
}

/// Look for people in training data; exits with 65 if it has met any
#[derive(Args)]
struct Check {
    /// The persona file
    #[arg(long, value_name = "FILE")]
    personas: PathBuf,
    /// The training data, one JSON value a line
    #[arg(long, value_name = "FILE")]
    training: PathBuf,
    /// The spec file they were drawn from, unless it is a library spec
    #[arg(long, value_name = "FILE")]
    spec: Option<String>,
    /// Words in a row from which a match counts
    #[arg(long, default_value_t = Options::default().ngram, value_name = "WORDS")]
    ngram: usize,
}

impl Check {
    fn run(&self, printer: &Printer) -> Outcome {
        let file =
            File::open(&self.training).map_err(|source| unreadable(&self.training, &source))?;
        let search = Search {
            personas: &self.personas,
            spec: self.spec.as_deref(),
            ngram: self.ngram,
        };
        let report = search.run(printer, &self.training, BufReader::new(file))?;
        self.show(printer, &report);
        Ok(if report.is_clean() {
            exit_code::SUCCESS
        } else {
            exit_code::DATA
        })
    }

    fn show(&self, printer: &Printer, report: &LeakReport) {
        let personas = self.personas.display();
        let mut value = json!({ "format": 1, "clean": report.is_clean() });
        let fields = serde_json::to_value(report).expect("a report is plain data");
        for (key, field) in fields.as_object().into_iter().flatten() {
            value[key] = field.clone();
        }
        printer.value(&value);
        for (overlap, leak) in report.leaked() {
            printer.text(&format!(
                "{personas}:{}: persona {} is in {}:{}: {}\n",
                overlap.persona_line,
                overlap.persona,
                report.training,
                leak.training_line(),
                shipworthy_reports::one_line(&leak_text(leak)),
            ));
        }
        let rows: Vec<[String; 4]> = report
            .personas
            .iter()
            .map(|overlap| {
                let longest = overlap.longest.as_ref();
                let verdict = if overlap.leak.is_some() {
                    "LEAKED"
                } else {
                    "held out"
                };
                [
                    overlap.persona.to_string(),
                    verdict.to_owned(),
                    longest.map_or("0".to_owned(), |found| found.words.to_string()),
                    longest.map_or(String::new(), |found| format!("{}", found.training_line)),
                ]
            })
            .collect();
        let heads = [
            "persona",
            "verdict",
            "most shared words in a row",
            "at line",
        ];
        printer.text(&shipworthy_reports::table(heads, &rows, printer.width()));
        let leaked = report.leaked().count();
        printer.text(&format!(
            "\n{leaked} of {} people are in {} ({} lines).\n",
            report.personas.len(),
            report.training,
            report.n_lines
        ));
        if report.is_clean() {
            printer
                .text("A match that training people share with them is vocabulary, not a leak.\n");
        }
    }
}

/// Whom to look for in training data.
pub(super) struct Search<'a> {
    /// The persona file.
    pub(super) personas: &'a Path,
    /// The spec they were drawn from, unless it is a library spec.
    pub(super) spec: Option<&'a str>,
    /// Words in a row from which a match counts.
    pub(super) ngram: usize,
}

impl Search<'_> {
    /// Looks into `lines` of JSON, those of the file `training`.
    pub(super) fn run(
        &self,
        printer: &Printer,
        training: &Path,
        lines: impl BufRead,
    ) -> Result<LeakReport, Failure> {
        let text = std::fs::read_to_string(self.personas)
            .map_err(|source| unreadable(self.personas, &source))?;
        let shown = self.personas.display().to_string();
        let pool = PersonaPool::parse(&text, &shown)?;
        let spec = match self.spec {
            Some(name) => Some(spec_by_name(name, Path::new(""))?),
            None => PersonaSpec::library(&pool.spec().name),
        };
        if let Some(spec) = &spec {
            pool.require_spec(&spec.spec_ref(), &shown)?;
            let drawn = generate(spec, pool.seed_start(), pool.count())
                .map_err(|error| Failure::new(Kind::Data, error))?;
            let mut people = pool.personas().iter().zip(&drawn).enumerate();
            if let Some((index, (persona, _))) = people.find(|(_, (given, drawn))| given != drawn) {
                return Err(PreparationError::EditedPersona {
                    file: shown,
                    line: index + 2,
                    seed: persona.seed,
                }
                .into());
            }
        } else {
            printer.note(&format!(
                "note: spec `{}` is not in the library, so every {} words in a row count; name its \
                 file with --spec to tell shared vocabulary apart",
                pool.spec().name,
                self.ngram
            ));
        }
        let options = Options { ngram: self.ngram };
        let file = training.display().to_string();
        Ok(leak::check(&pool, spec.as_ref(), lines, &file, options)?)
    }
}

fn unreadable(path: &Path, source: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::new(Kind::Usage, format!("failed to read `{path}`: {source}"))
}
