use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::shard::Shard;
use shipworthy_harness::store::{Run, RunState, Store};
use shipworthy_harness::trend::trend;
use shipworthy_reports::{trend_json, trend_terminal};
use shipworthy_schema::TrendMetric;

use super::diff_runs::DiffRuns;
use super::merge_runs::MergeRuns;
use super::printer::Printer;
use super::project::{ConfigPath, find_run};
use super::{Outcome, eval, exit_code};

/// List the runs of a project, or show one
#[derive(Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List all runs, the latest first
    ///
    /// With `--metric`, a metric over the runs that have a verdict instead: comparable runs (the same
    /// people, asked and scored in the same way) stand together.
    List {
        #[command(flatten)]
        path: ConfigPath,
        /// What to follow: `score`, `pass-rate`, `gain` (over the baseline) or `criterion:ID`
        #[arg(long)]
        metric: Option<TrendMetric>,
        /// Follow this model only
        #[arg(long, requires = "metric")]
        model: Option<String>,
    },
    /// Show a finished run's verdict and tables
    Show {
        /// The run; the latest one if left out
        run: Option<String>,
        #[command(flatten)]
        path: ConfigPath,
    },
    Diff(DiffRuns),
    Merge(MergeRuns),
}

impl Runs {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        match &self.command {
            Command::List {
                path,
                metric,
                model,
            } => {
                let project = path.project()?;
                let store = Store::open_existing(&project.store())?;
                match metric {
                    Some(metric) => follow(printer, &store, metric, model.as_deref()),
                    None => list(printer, &store),
                }
            }
            Command::Show { run, path } => {
                let project = path.project()?;
                let store = Store::open_existing(&project.store())?;
                let run = find_run(&store, run.as_deref())?;
                let evaluation = recall(&store, &run)?;
                eval::show(
                    printer,
                    &run.id,
                    &evaluation,
                    &project.run_directory(&run.id),
                    &eval::Took::of(&store, &run.id)?,
                );
                Ok(exit_code::SUCCESS)
            }
            Command::Diff(diff) => diff.run(printer),
            Command::Merge(merge) => merge.run(printer),
        }
    }
}

/// Prints a metric over runs.
fn follow(printer: &Printer, store: &Store, metric: &TrendMetric, model: Option<&str>) -> Outcome {
    let trend = trend(store, metric, model)?;
    printer.value(&json!({ "format": 1, "trend": trend_json(&trend) }));
    printer.text(&trend_terminal(&trend, printer.width(), printer.color()));
    Ok(exit_code::SUCCESS)
}

fn list(printer: &Printer, store: &Store) -> Outcome {
    let runs = store.runs()?;
    let mut shards = BTreeMap::new();
    for it in store.shard_runs()? {
        shards.insert(it.run.id, (it.shard, it.is_done));
    }
    let values = runs
        .iter()
        .map(|run| value(run, shards.get(&run.id).copied()));
    printer.value(&json!({ "format": 1, "runs": values.collect::<Vec<_>>() }));
    let rows = runs.iter().map(|run| {
        let models: Vec<&str> = run.plan.models.iter().map(|m| m.name.as_str()).collect();
        let verdict = match (&run.state, shards.get(&run.id)) {
            (_, Some((shard, true))) => format!("shard {shard}"),
            (_, Some((shard, false))) => format!("shard {shard}, unfinished"),
            (RunState::Unfinished, None) => "unfinished".to_owned(),
            (RunState::Generated { rows, .. }, None) => format!("{rows} rows of training data"),
            (RunState::Invalid { .. }, None) => "no verdict".to_owned(),
            (RunState::Finished { verdict, .. }, None) if !run.plan.has_baseline() => {
                format!("{} (by a file)", verdict.label())
            }
            (RunState::Finished { verdict, .. }, None) => verdict.label().to_owned(),
        };
        [
            run.id.clone(),
            run.created_at.clone(),
            verdict,
            models.join(", "),
        ]
    });
    let heads = ["run", "begun (UTC)", "verdict", "models"];
    let rows: Vec<[String; 4]> = rows.collect();
    printer.text(&shipworthy_reports::table(heads, &rows, printer.width()));
    Ok(exit_code::SUCCESS)
}

fn value(run: &Run, shard: Option<(Shard, bool)>) -> Value {
    let (finished_at, verdict) = match &run.state {
        RunState::Unfinished | RunState::Invalid { .. } => (None, None),
        RunState::Generated { at, .. } => (Some(at), None),
        RunState::Finished { at, verdict } => (Some(at), Some(verdict)),
    };
    json!({
        "run": run.id,
        "plan": run.plan_digest,
        "project": run.plan.project,
        "baseline": run.plan.has_baseline().then_some(&run.plan.baseline),
        "models": run.plan.models.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        "created_at": run.created_at,
        "finished_at": finished_at,
        "verdict": verdict,
        "shard": shard.map(|(shard, is_done)| json!({
            "part": shard.part(),
            "of": shard.of(),
            "done": is_done,
        })),
        "generated": match &run.state {
            RunState::Generated { rows, conversations, .. } => {
                Some(json!({"rows": rows, "conversations": conversations}))
            }
            _ => None,
        },
        "invalid": match &run.state {
            RunState::Invalid { reason } => Some(reason),
            _ => None,
        },
    })
}
