use std::fmt::Write as _;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use shipworthy_datasets::{
    ExaminationOptions, Format, ModelTokenizer, RowFile, TemplateOptions, examine, pseudonymise,
};
use shipworthy_models::ModelConfig;
use shipworthy_personas::leak;

use super::super::error::Failure;
use super::super::personas::Search;
use super::super::printer::Printer;
use super::super::{Outcome, exit_code};
use super::check_text::check_text;
use super::format_argument;
use super::output::Output;
use super::text::document;

/// Look for what is wrong with training data before anybody trains on it; exits with 65 if anything is
///
/// Wrong are rows that cannot be read or rendered, examples that are too long, and people of an
/// evaluation. Duplicates, conflicting answers, personal data and imbalance are told.
#[derive(Args)]
pub(crate) struct Check {
    /// JSON Lines, a JSON list, CSV, TSV or Parquet
    file: PathBuf,
    /// The model that is to learn: a directory with its tokenizer and chat template
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// The most tokens an example may have; needs --model
    #[arg(long, value_name = "TOKENS", requires = "model", value_parser = clap::value_parser!(u32).range(2..))]
    max_length: Option<u32>,
    /// The people of an evaluation, who must not be in it: a persona file
    #[arg(long, value_name = "FILE")]
    personas: Option<PathBuf>,
    /// The spec file they were drawn from, unless it is a library spec
    #[arg(long, value_name = "FILE", requires = "personas")]
    spec: Option<String>,
    /// The format of the file; told by its columns if left out
    #[arg(long, value_name = "FORMAT", value_parser = format_argument::parser())]
    from: Option<Format>,
    /// Write the rows with stand-ins for personal data
    #[arg(long, value_name = "FILE")]
    pseudonymise: Option<PathBuf>,
    /// Replace that file if it is there
    #[arg(long, requires = "pseudonymise")]
    overwrite: bool,
}

impl Check {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let tokenizer = self.model.as_deref().map(open_tokenizer).transpose()?;
        let options = ExaminationOptions {
            from: self.from,
            tokenizer: tokenizer.as_ref(),
            max_length: self.max_length.map(|tokens| tokens as usize),
        };
        let found = examine(RowFile::open(&self.file)?, options)?;
        let leaks = match &self.personas {
            None => None,
            Some(personas) => {
                let search = Search {
                    personas,
                    spec: self.spec.as_deref(),
                    ngram: leak::Options::default().ngram,
                };
                let rows = super::row_reader::RowReader::new(RowFile::open(&self.file)?);
                Some(search.run(printer, &self.file, BufReader::new(rows))?)
            }
        };
        let stand_ins = self.pseudonymised()?;
        let is_wrong = found.has_errors() || leaks.as_ref().is_some_and(|leaks| !leaks.is_clean());
        let start = json!({
            "ok": !is_wrong,
            "model": self.model,
            "personas": leaks,
            "pseudonymised": stand_ins.map(|count| json!({"file": self.pseudonymise, "count": count})),
        });
        printer.value(&document(start, &found));
        let mut text = check_text(&found, leaks.as_ref(), printer);
        if let (Some(count), Some(path)) = (stand_ins, &self.pseudonymise) {
            let _ = writeln!(
                text,
                "\nwrote {}: {count} stand-ins for personal data",
                path.display()
            );
        }
        printer.text(&text);
        Ok(if is_wrong {
            exit_code::DATA
        } else {
            exit_code::SUCCESS
        })
    }

    /// Writes the rows with stand-ins, if that is asked; returns how many.
    fn pseudonymised(&self) -> Result<Option<usize>, Failure> {
        let Some(path) = &self.pseudonymise else {
            return Ok(None);
        };
        let mut output = Output::begin(path, self.overwrite)?;
        let mut count = 0;
        for row in RowFile::open(&self.file)? {
            let (_, fields) = row?;
            if let Ok(mut fields) = fields {
                count += pseudonymise(&mut fields);
                output
                    .line(&fields)
                    .map_err(shipworthy_datasets::DatasetError::Write)?;
            }
        }
        output.finish()?;
        Ok(Some(count))
    }
}

/// Opens a tokenizer; without a `config.json` beside it nothing is known of the embeddings.
pub(super) fn open_tokenizer(directory: &Path) -> Result<ModelTokenizer, Failure> {
    let vocab_size = if directory.join("config.json").exists() {
        ModelConfig::read(directory)?.hyper_parameters()?.vocab_size
    } else {
        u32::MAX
    };
    let options = TemplateOptions::default();
    Ok(ModelTokenizer::open(directory, vocab_size, options)?)
}
