use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_datasets::{Format, RowFile, deduplicate};

use super::super::page::Page;
use super::super::printer::Printer;
use super::super::{Outcome, exit_code};
use super::format_argument;
use super::output::{Output, write_rows};
use super::text::{count, counted, document, duplicates, faults};

/// Leave out rows that say the same as an earlier one, or nearly
///
/// Near is where about 72 % of five words in a row are shared, of what user and assistant say
/// (`MinHash`). The first of several rows stays, as it is.
#[derive(Args)]
pub(crate) struct Dedupe {
    /// JSON Lines, a JSON list, CSV, TSV or Parquet
    file: PathBuf,
    /// The format of the file; told by its columns if left out
    #[arg(long, value_name = "FORMAT", value_parser = format_argument::parser())]
    from: Option<Format>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
    /// Keep rows that are near others
    #[arg(long)]
    exact: bool,
}

impl Dedupe {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let output = Output::begin(&self.out, self.overwrite)?;
        let found = deduplicate(RowFile::open(&self.file)?, self.from, self.exact)?;
        let is_refused = found.kept == 0;
        if !is_refused {
            let part_of: Vec<Option<usize>> =
                found.stays.iter().map(|stays| stays.then_some(0)).collect();
            write_rows(RowFile::open(&self.file)?, &part_of, vec![output])?;
        }
        let out = (!is_refused).then_some(&self.out);
        printer.value(&document(json!({"file": self.file, "out": out}), &found));
        let mut page = Page::new(printer.width());
        let title = if is_refused {
            "nothing was written".to_owned()
        } else {
            let (kept, rows) = (count(found.kept), counted(found.rows, "row"));
            format!("wrote {}: {kept} of {rows}", self.out.display())
        };
        page.wrapped("", &title, 2);
        let (exact, near) = (&found.exact_duplicates, &found.near_duplicates);
        duplicates(&mut page, "left out", "repeating an earlier one", exact);
        duplicates(
            &mut page,
            "left out",
            "nearly repeating an earlier one",
            near,
        );
        faults(
            &mut page,
            "passed over",
            found.skipped,
            &found.faults,
            found.fault_count,
        );
        printer.text(&page.finish());
        Ok(if is_refused {
            exit_code::DATA
        } else {
            exit_code::SUCCESS
        })
    }
}
