use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use shipworthy_backends::likelihood::{
    Likelihood, LikelihoodError, LikelihoodSource, open_likelihood,
};
use shipworthy_datasets::{
    DatasetOptions, ExcessLength, ModelTokenizer, TemplateOptions, TokenisedDataset,
};
use shipworthy_models::ModelConfig;
use shipworthy_models::gguf::GgufFile;
use shipworthy_reports::one_line;
use shipworthy_schema::finetune::DeviceChoice;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::{Outcome, exit_code};

/// How well a model foretells conversations: the mean negative log likelihood of their labelled tokens
///
/// The labelled tokens are those that training would teach: what the assistant says, and the end of
/// its turns. Checkpoints and GGUF files of one model can be compared.
#[derive(Args)]
pub(crate) struct Perplexity {
    /// The model: a directory with config.json, safetensors and tokenizer, or a GGUF file
    #[arg(long, value_name = "DIR|GGUF")]
    model: PathBuf,
    /// An adapter on top of it, as PEFT saves it
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Compute on the checkpoint in NF4 (double quantisation), as QLoRA trains on it
    #[arg(long)]
    load_in_4bit: bool,
    /// Conversations: JSON Lines with `messages`
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Where tokenizer and chat template are, if not with the model; needed for a GGUF file
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// What to compute on (a GGUF file: the processor)
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    device: Device,
}

#[derive(Clone, Copy, ValueEnum)]
enum Device {
    /// A CUDA card where there is one, else the processor
    Auto,
    /// The processor
    Cpu,
    /// The first CUDA card
    Cuda,
}

impl Perplexity {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let tokenizer = self.open_tokenizer()?;
        // A longer example is no example of a model's.
        let options = DatasetOptions {
            max_length: 1 << 20,
            excess_length: ExcessLength::Raise,
        };
        let data = TokenisedDataset::read(&self.data, &tokenizer, &options)?;
        let mut model = open_likelihood(&self.source(data.report.tokens.max)?)?;
        let bar = bar(printer, data.examples.len() as u64);
        let mut found = Vec::with_capacity(data.examples.len());
        for example in &data.examples {
            found.push((example.id.as_str(), model.likelihood(example)?));
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.show(printer, &found);
        Ok(exit_code::SUCCESS)
    }

    fn is_gguf(&self) -> bool {
        self.model.is_file()
    }

    fn source(&self, longest: usize) -> Result<LikelihoodSource, Failure> {
        if !self.is_gguf() {
            return Ok(LikelihoodSource::Checkpoint {
                directory: self.model.clone(),
                adapter: self.adapter.clone(),
                load_in_4bit: self.load_in_4bit,
                device: match self.device {
                    Device::Auto => DeviceChoice::Auto,
                    Device::Cpu => DeviceChoice::Cpu,
                    Device::Cuda => DeviceChoice::Cuda,
                },
            });
        }
        if self.load_in_4bit {
            return Err(Failure::new(
                Kind::Usage,
                "`--load-in-4bit` goes with a checkpoint, not with a GGUF file",
            )
            .hint("a GGUF file is computed in its own types; leave the flag out"));
        }
        if self.adapter.is_some() {
            return Err(Failure::new(
                Kind::Usage,
                "`--adapter` goes with a checkpoint, not with a GGUF file",
            )
            .hint(
                "put both into one file: `shipworthy gguf --model DIR --adapter DIR --out FILE`",
            ));
        }
        Ok(LikelihoodSource::Gguf {
            path: self.model.clone(),
            longest,
        })
    }

    fn open_tokenizer(&self) -> Result<ModelTokenizer, Failure> {
        let (directory, vocab_size) = if self.is_gguf() {
            let Some(tokenizer) = &self.tokenizer else {
                return Err(Failure::new(
                    Kind::Usage,
                    format!(
                        "`{}` is a GGUF file: `--tokenizer` is needed",
                        self.model.display()
                    ),
                )
                .hint("name the directory of the checkpoint that it was converted from"));
            };
            (tokenizer, gguf_vocab_size(&self.model)?)
        } else {
            let sizes = ModelConfig::read(&self.model)?.hyper_parameters()?;
            let directory = self.tokenizer.as_ref().unwrap_or(&self.model);
            (directory, sizes.vocab_size)
        };
        let tokenizer = ModelTokenizer::open(directory, vocab_size, TemplateOptions::default())?;
        Ok(tokenizer)
    }

    fn show(&self, printer: &Printer, found: &[(&str, Likelihood)]) {
        let nll_sum: f64 = found.iter().map(|(_, one)| one.nll_sum).sum();
        let labelled: usize = found.iter().map(|(_, one)| one.labelled).sum();
        let mean = nll_sum / labelled as f64;
        let examples: Vec<_> = found
            .iter()
            .map(|(id, one)| {
                json!({
                    "id": id,
                    "mean_nll": one.nll_sum / one.labelled as f64,
                    "nll": one.nll_sum,
                    "labelled_tokens": one.labelled,
                })
            })
            .collect();
        printer.value(&json!({
            "format": 1,
            "model": self.model,
            "adapter": self.adapter,
            "load_in_4bit": self.load_in_4bit,
            "data": self.data,
            "mean_nll": mean,
            "perplexity": mean.exp(),
            "labelled_tokens": labelled,
            "examples": examples,
        }));
        let width = found.iter().map(|(id, _)| one_line(id).chars().count());
        let width = width.max().unwrap_or(0).max("Example".len());
        let mut text = format!("{:width$}  Labelled  Mean NLL  Perplexity\n", "Example");
        let mut line = |name: &str, labelled: usize, mean: f64| {
            let perplexity = mean.exp();
            let _ = writeln!(
                text,
                "{name:width$}  {labelled:>8}  {mean:>8.4}  {perplexity:>10.3}"
            );
        };
        for (id, one) in found {
            line(
                &one_line(id),
                one.labelled,
                one.nll_sum / one.labelled as f64,
            );
        }
        line("All", labelled, mean);
        printer.text(&text);
    }
}

/// Returns how many tokens a GGUF file's vocabulary has.
fn gguf_vocab_size(path: &Path) -> Result<u32, Failure> {
    let file = GgufFile::open(path)?;
    file.vocab_size().ok_or_else(|| {
        let path = path.display();
        Failure::new(
            Kind::Data,
            format!("`{path}` has no `tokenizer.ggml.tokens`"),
        )
    })
}

fn bar(printer: &Printer, length: u64) -> ProgressBar {
    if !printer.progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{pos}/{len} examples {bar:16} {eta} left")
        .expect("the template is well formed");
    ProgressBar::new(length).with_style(style.progress_chars("━╸─"))
}

impl From<LikelihoodError> for Failure {
    fn from(error: LikelihoodError) -> Self {
        match error {
            LikelihoodError::Model(error) => error.into(),
            LikelihoodError::Open(error) => error.into(),
            LikelihoodError::NotBuilt { .. } => Self::new(Kind::Usage, error),
            LikelihoodError::Mismatch { .. } | LikelihoodError::NotFinite { .. } => {
                Self::new(Kind::Data, error)
            }
            LikelihoodError::Computation { .. } => Self::new(Kind::Internal, error),
        }
    }
}
