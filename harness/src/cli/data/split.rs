use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_datasets::{Format, RowFile, SplitOptions, split};

use super::super::error::{Failure, Kind};
use super::super::page::Page;
use super::super::printer::Printer;
use super::super::{Outcome, exit_code};
use super::format_argument;
use super::output::{Output, write_rows};
use super::text::{count, counted, document, faults};

/// Names of the parts.
const NAMES: [&str; 3] = ["train", "validation", "test"];

/// Divide rows into train.jsonl, validation.jsonl and perhaps test.jsonl
///
/// Duplicates, exact and near, stay together, and so do rows with the same value of a field. The same
/// rows and seed give the same parts, in whichever order the rows are.
#[derive(Args)]
pub(crate) struct Split {
    /// JSON Lines, a JSON list, CSV, TSV or Parquet
    file: PathBuf,
    /// The parts' shares in per cent, for training first
    #[arg(long, value_name = "SHARES", default_value = "90/10", value_parser = shares)]
    ratio: Shares,
    /// A field whose rows stay together, such as a source, a customer or a conversation
    #[arg(long, value_name = "FIELD")]
    group: Option<String>,
    /// Another seed divides otherwise
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The format of the file; told by its columns if left out
    #[arg(long, value_name = "FORMAT", value_parser = format_argument::parser())]
    from: Option<Format>,
    /// The directory to write into
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the files if they are there
    #[arg(long)]
    overwrite: bool,
    /// Write nothing, and exit with 65, if any row is wrong
    #[arg(long)]
    strict: bool,
}

/// Shares in per cent, two or three.
#[derive(Clone, Debug)]
struct Shares(Vec<u32>);

impl Split {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let options = SplitOptions {
            from: self.from,
            shares: self.ratio.0.clone(),
            seed: self.seed,
            group: self.group.clone(),
        };
        let plan = split(RowFile::open(&self.file)?, &options)?;
        if let Some(part) = plan.parts.iter().position(|&rows| rows == 0) {
            let groups = counted(plan.groups, "group");
            let largest = counted(plan.largest_group, "row");
            let name = NAMES[part];
            let message = format!(
                "`{}`: no row is left for {name}: its rows make {groups} that stay together, the \
                 largest of {largest}{}",
                self.file.display(),
                plan.faults
                    .first()
                    .map_or(String::new(), |fault| format!("; {fault}")),
            );
            return Err(Failure::new(Kind::Data, message)
                .hint("give that part a larger share, group by a finer field, or add rows"));
        }
        let is_refused = self.strict && plan.skipped > 0;
        let paths: Vec<PathBuf> = NAMES[..plan.parts.len()]
            .iter()
            .map(|name| self.out.join(format!("{name}.jsonl")))
            .collect();
        if !is_refused {
            std::fs::create_dir_all(&self.out).map_err(|source| {
                let out = self.out.display();
                Failure::new(
                    Kind::InputOutput,
                    format!("failed to make `{out}`: {source}"),
                )
            })?;
            let outputs = paths
                .iter()
                .map(|path| Output::begin(path, self.overwrite))
                .collect::<Result<_, _>>()?;
            write_rows(RowFile::open(&self.file)?, &plan.part_of, outputs)?;
        }
        let files = (!is_refused).then_some(&paths);
        let start = json!({"file": self.file, "out": files, "seed": self.seed});
        printer.value(&document(start, &plan));
        let mut page = Page::new(printer.width());
        if is_refused {
            page.wrapped("", "nothing was written", 2);
        } else {
            for (path, rows) in paths.iter().zip(&plan.parts) {
                page.wrapped(
                    "",
                    &format!("wrote {}: {}", path.display(), counted(*rows, "row")),
                    2,
                );
            }
        }
        page.row(
            "groups",
            format!(
                "{}, the largest of {}; none is in two parts",
                count(plan.groups),
                counted(plan.largest_group, "row")
            ),
        );
        faults(
            &mut page,
            "passed over",
            plan.skipped,
            &plan.faults,
            plan.fault_count,
        );
        printer.text(&page.finish());
        Ok(if is_refused {
            exit_code::DATA
        } else {
            exit_code::SUCCESS
        })
    }
}

/// Reads `90/10` or `80/10/10`.
fn shares(text: &str) -> Result<Shares, String> {
    let shares: Option<Vec<u32>> = text.split('/').map(|share| share.parse().ok()).collect();
    shares
        .filter(|shares| (2..=3).contains(&shares.len()))
        .filter(|shares| shares.iter().all(|&share| (1..100).contains(&share)))
        .filter(|shares| shares.iter().sum::<u32>() == 100)
        .map(Shares)
        .ok_or_else(|| {
            "expected two or three shares in per cent that make 100, such as 90/10 or 80/10/10"
                .to_owned()
        })
}
