use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_datasets::{ConversionOptions, ConversionReport, Counted, Format, RowFile, convert};

use super::super::page::Page;
use super::super::printer::Printer;
use super::super::{Outcome, exit_code};
use super::format_argument;
use super::output::Output;
use super::text::{counted, document, faults};

/// Convert training data from one format to another, into JSON Lines
///
/// Rows that are wrong, or that the format cannot express, are passed over and told with line, field
/// and reason. Fields that no format has a meaning for are kept.
#[derive(Args)]
pub(crate) struct Convert {
    /// JSON Lines, a JSON list, CSV, TSV or Parquet
    file: PathBuf,
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = format_argument::parser())]
    to: Format,
    /// The format of the file; told by its columns if left out
    #[arg(long, value_name = "FORMAT", value_parser = format_argument::parser())]
    from: Option<Format>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
    /// Write nothing, and exit with 65, if any row cannot be converted
    #[arg(long)]
    strict: bool,
    /// Leave out what the format cannot express, such as system messages or rejected replies
    #[arg(long)]
    lossy: bool,
}

impl Convert {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let options = ConversionOptions {
            from: self.from,
            to: self.to,
            is_lossy: self.lossy,
        };
        let rows = RowFile::open(&self.file)?;
        let mut output = Output::begin(&self.out, self.overwrite)?;
        let report = convert(rows, options, &mut |row| output.line(row))?;
        let is_refused = report.written == 0 || self.strict && report.skipped > 0;
        if !is_refused {
            output.finish()?;
        }
        let out = (!is_refused).then_some(&self.out);
        let value = document(json!({"file": self.file, "out": out}), &report);
        printer.value(&value);
        printer.text(&self.page(&report, is_refused, printer.width()));
        Ok(if is_refused {
            exit_code::DATA
        } else {
            exit_code::SUCCESS
        })
    }

    fn page(&self, report: &ConversionReport, is_refused: bool, width: usize) -> String {
        let mut page = Page::new(width);
        let from = report.from.map_or("no known format", Format::name);
        let title = if is_refused {
            "nothing was written".to_owned()
        } else {
            format!(
                "wrote {}: {}",
                self.out.display(),
                counted(report.written, "row")
            )
        };
        page.wrapped("", &title, 2);
        page.row("from", format!("{from} ({})", counted(report.rows, "row")));
        page.row("to", report.to.name());
        faults(
            &mut page,
            "passed over",
            report.skipped,
            &report.faults,
            report.fault_count,
        );
        listed(&mut page, "left out", &report.left_out);
        listed(&mut page, "note", &report.notes);
        page.finish()
    }
}

fn listed(page: &mut Page, key: &str, list: &[Counted]) {
    for Counted { what, rows, first } in list {
        let rows = counted(*rows, "row");
        page.row(key, format!("{what}: {rows}, first {first}"));
    }
}
