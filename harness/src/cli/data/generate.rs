use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Args;
use serde_json::json;
use shipworthy_harness::config::Count;
use shipworthy_harness::evaluation::{Done, Start};
use shipworthy_harness::generation::{Generated, GenerationError, OutputFiles, Written, prepare};
use shipworthy_harness::progress::RunProgress;
use shipworthy_harness::store::Store;
use shipworthy_reports::amount_text;

use super::super::error::{Failure, Kind};
use super::super::page::Page;
use super::super::prepared_run::{Carried, RunProcess};
use super::super::printer::Printer;
use super::super::project::{ConfigPath, DEFAULT_CONFIG, Project, environment};
use super::super::{Outcome, call_times, dry_run, eval, exit_code};
use super::text::{count, counted};

/// Make training data: training people talk with a teacher, and the rubric keeps what is good
///
/// The teacher is named under `generate` in the configuration; people, simulator, judge and rubric are
/// those of the evaluation, but for their seeds. Exits with 65 if fewer rows are kept than wanted.
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Generate {
    #[command(flatten)]
    path: ConfigPath,
    /// The file to write, in place of `generate.out`
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Conversations kept that are enough, in place of `generate.wanted`
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    wanted: Option<u32>,
    /// Replace the files if they are there
    #[arg(long)]
    overwrite: bool,
    /// Go on with the latest run of the same plan; no stored reply is asked for again
    #[arg(long)]
    resume: bool,
    /// Ask everything anew, whatever earlier runs were answered
    #[arg(long)]
    fresh: bool,
    /// Print the most calls, tokens, money and time it can take, make no call, and exit with 0
    #[arg(long, conflicts_with_all = ["resume", "overwrite"])]
    dry_run: bool,
}

impl Generate {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let file = self.path.file();
        self.generate(printer, &file).map_err(|mut failure| {
            // Hints name the command as it would have to be typed here.
            let mut command = "shipworthy data generate".to_owned();
            if file != Path::new(DEFAULT_CONFIG) {
                command = format!("{command} -c {}", file.display());
            }
            command += " --resume";
            for hint in &mut failure.hints {
                *hint = hint.replace("shipworthy eval --resume", &command);
                *hint = hint.replace("evaluate anew", "generate anew");
            }
            failure
        })
    }

    fn generate(&self, printer: &Printer, file: &Path) -> Outcome {
        let (project, mut config) = Project::load(file)?;
        let shown = file.display().to_string();
        let Some(generate) = &mut config.generate else {
            return Err(GenerationError::NoSection { file: shown }.into());
        };
        if let Some(wanted) = self.wanted.and_then(Count::new) {
            generate.wanted = Some(wanted);
        }
        let configured = project.directory.join(&generate.out);
        let files = OutputFiles::beside(self.out.as_deref().unwrap_or(&configured));
        if self.dry_run {
            let generate = generate.clone();
            let config = config.into_generation(&generate, &shown);
            let config = config.map_err(GenerationError::Yaml)?;
            return dry_run::bound(printer, &project, &config, file);
        }
        let start = if self.resume {
            Start::Resume
        } else {
            Start::New
        };
        if !self.overwrite && !self.resume {
            // Nobody pays for conversations that have no place to go.
            files.check_absent()?;
        }
        let tracing = config.tracing.clone();
        let process = RunProcess::begin();
        let mut prepared = process.prepare(prepare(config, file, &environment))?;
        if self.fresh {
            prepared.reuse = prepared.reuse.fresh();
        }
        let store = Arc::new(Store::open(&project.store())?);
        let (plan, pool) = (&prepared.plan, &prepared.plan.personas);
        printer.note(&format!(
            "plan {}: {} training personas (seeds {} to {}) × {}, at most {} each",
            plan.digest().short(),
            pool.count,
            pool.seed_start,
            u64::from(pool.seed_start) + u64::from(pool.count) - 1,
            counted(pool.repeats as usize, "conversation"),
            counted(pool.max_turns as usize, "turn"),
        ));
        let progress = RunProgress::of(plan, prepared.prices.clone());
        let carried = Carried {
            store: &store,
            start,
            progress: Arc::new(Mutex::new(progress)),
            watch: None,
            tracing: &tracing,
        };
        let done = process.carry_out(printer, prepared, carried, Failure::from)?;
        let Done::Generated(generated) = done else {
            unreachable!("what was prepared generates")
        };
        let Generated {
            plan,
            generation,
            selection,
            ..
        } = &*generated;
        let written = files.write(plan, generation, selection, self.overwrite)?;
        let report = Report {
            generated: &generated,
            files: &files,
            written: &written,
        };
        report.show(printer, &store)?;
        if selection.is_enough() {
            return Ok(exit_code::SUCCESS);
        }
        let message = match selection.wanted {
            Some(wanted) => format!(
                "{} of {wanted} wanted rows were kept, and all people have talked",
                selection.kept()
            ),
            None => "no conversation was kept".to_owned(),
        };
        if printer.json() {
            // The document says it, with `enough`.
            return Ok(exit_code::DATA);
        }
        Err(Failure::new(Kind::Data, message)
            .hint("the table above says why others were left out")
            .hint(
                "let more people talk (`generate.personas`), mend the teacher or its prompt, or lower \
                 `generate.min_score`",
            ))
    }
}

/// What became of a teacher's conversations.
struct Report<'a> {
    generated: &'a Generated,
    files: &'a OutputFiles,
    written: &'a [Written],
}

impl Report<'_> {
    fn show(&self, printer: &Printer, store: &Store) -> Result<(), Failure> {
        let Generated {
            run,
            generation,
            selection,
            cost,
            ..
        } = self.generated;
        let (usage, reused) = (store.usage(run)?, store.reused(run)?);
        let files = self.written.iter().map(|file| {
            json!({
                "file": file.path,
                "rows": file.rows,
                "personas": file.personas,
                "digest": file.digest,
            })
        });
        printer.value(&json!({
            "format": 1,
            "run": run,
            "enough": selection.is_enough(),
            "conversations": selection.conversations,
            "kept": selection.kept(),
            "wanted": selection.wanted,
            "rejected": selection.rejected,
            "min_score": generation.filter.min_score,
            "held_out": {"personas": generation.held_out.count(), "found": 0},
            "files": files.collect::<Vec<_>>(),
            "manifest": self.files.manifest,
            "cost": cost,
            "reuse": reused,
            "calls": call_times::value(&usage),
        }));
        let mut page = Page::new(printer.width());
        for file in self.written {
            let (path, rows) = (file.path.display(), counted(file.rows, "row"));
            let people = counted(file.personas, "person");
            page.wrapped("", &format!("wrote {path}: {rows} of {people}"), 2);
        }
        page.wrapped("", &format!("wrote {}", self.files.manifest.display()), 2);
        printer.text(&page.finish());
        printer.text(&format!("\n{}\n", self.table(printer.width())));
        let mut page = Page::new(printer.width());
        let min_score = generation.filter.min_score;
        page.row("least score", format!("{min_score:.2}"));
        let people = generation.held_out.count();
        page.row(
            "held out",
            format!("none of the {people} people who are held out is in any row"),
        );
        if let (Some(currency), Some(money)) = (cost.currency, cost.money()) {
            page.row("cost", format!("{} {currency}", amount_text(money)));
        }
        page.row("run", run);
        printer.text(&page.finish());
        printer.text(&eval::reused_text(&reused));
        if let Some(line) = call_times::line(&usage) {
            printer.note(&line);
        }
        Ok(())
    }
}

impl Report<'_> {
    /// Returns what became of the conversations, as a table.
    fn table(&self, width: usize) -> String {
        let held = self.generated.selection.conversations;
        let row = |what: &str, part: usize| {
            let share = format!("{:.1} %", share(part, held));
            [what.to_owned(), count(part), share]
        };
        let kept = row("kept", self.generated.selection.kept());
        let rejected = self.generated.selection.rejected.iter();
        let rejected =
            rejected.map(|(why, part)| row(&format!("left out: {}", why.label()), *part));
        let rows: Vec<[String; 3]> = std::iter::once(kept)
            .chain(rejected)
            .chain([row("all", held)])
            .collect();
        let heads = ["", "conversations", "share"];
        shipworthy_reports::table(heads, &rows, width)
    }
}

/// Returns a part in per cent of all.
fn share(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}
