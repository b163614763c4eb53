use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_datasets::{
    ChunkOptions, DatasetError, Style, StylePrompts, chunk_row, chunks, read_chapter,
};

use super::super::error::{Failure, Kind};
use super::super::page::Page;
use super::super::printer::Printer;
use super::super::{Outcome, exit_code};
use super::check::open_tokenizer;
use super::output::Output;
use super::text::{count, counted};

/// Make chapters of raw text into examples of an author's style
///
/// Pieces are whole sentences, each a reply to a request to write; the system message describes the
/// style. Every row has `source`, its file, so that `data split --group source` keeps chapters whole.
#[derive(Args)]
pub(crate) struct Chunk {
    /// Text files, a chapter each
    #[arg(required = true)]
    chapters: Vec<PathBuf>,
    /// Whose tokens are counted: a directory with its tokenizer and chat template
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The most tokens of a piece
    #[arg(long = "chunk-size", value_name = "TOKENS", default_value_t = 800, value_parser = clap::value_parser!(u32).range(16..=100_000))]
    size: u32,
    /// The most tokens of sentences that a piece repeats of the one before it
    #[arg(long, value_name = "TOKENS", default_value_t = 100)]
    overlap: u32,
    /// The system message; the style as it is measured if left out
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// What the user asks for; several are taken in turn; by what the piece is like if left out
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
}

impl Chunk {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if self.overlap >= self.size {
            return Err(Failure::new(
                Kind::Usage,
                format!(
                    "`--overlap` {} leaves nothing new in `--chunk-size` {}",
                    self.overlap, self.size
                ),
            )
            .hint("an eighth of the size is usual"));
        }
        let tokenizer = open_tokenizer(&self.model)?;
        let texts = self
            .chapters
            .iter()
            .map(|path| read_chapter(path))
            .collect::<Result<Vec<String>, DatasetError>>()?;
        let style = Style::of(texts.iter().map(String::as_str));
        let system = self.system.clone().unwrap_or_else(|| style.system());
        let prompts = StylePrompts {
            own: self.prompt.clone(),
        };
        let options = ChunkOptions {
            size: self.size as usize,
            overlap: self.overlap as usize,
        };
        let mut output = Output::begin(&self.out, self.overwrite)?;
        let mut lengths = Vec::new();
        for (path, text) in self.chapters.iter().zip(&texts) {
            let source = path.display().to_string();
            for (index, chunk) in chunks(text, &tokenizer, options).iter().enumerate() {
                let row = chunk_row(chunk, index, &source, &system, &prompts);
                output.line(&row).map_err(DatasetError::Write)?;
                lengths.push(chunk.tokens);
            }
        }
        if lengths.is_empty() {
            return Err(Failure::new(Kind::Data, "the chapters have no text"));
        }
        output.finish()?;
        lengths.sort_unstable();
        let (rows, tokens) = (lengths.len(), lengths.iter().sum::<usize>());
        let (shortest, middle, longest) = (lengths[0], lengths[rows / 2], lengths[rows - 1]);
        printer.value(&json!({
            "format": 1,
            "out": self.out,
            "chapters": self.chapters.len(),
            "rows": rows,
            "tokens": {"total": tokens, "min": shortest, "p50": middle, "max": longest},
            "style": style,
            "system": system,
        }));
        let mut page = Page::new(printer.width());
        page.wrapped(
            "",
            &format!(
                "wrote {}: {} of {}",
                self.out.display(),
                counted(rows, "row"),
                counted(self.chapters.len(), "chapter")
            ),
            2,
        );
        page.row(
            "tokens",
            format!(
                "{} to {}, half of them up to {}",
                count(shortest),
                count(longest),
                count(middle)
            ),
        );
        page.row(
            "style",
            format!(
                "{:.1} words a sentence, {:.0} % dialogue",
                style.words_per_sentence,
                style.dialogue * 100.0
            ),
        );
        page.row("system", &system);
        printer.text(&page.finish());
        Ok(exit_code::SUCCESS)
    }
}
