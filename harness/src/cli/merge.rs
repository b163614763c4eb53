use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde_json::json;
use shipworthy_models::{Adapter, Checkpoint, MergeOptions, Merged, OutputFormat, merge};
use shipworthy_reports::one_line;

use super::byte_progress::ByteProgress;
use super::printer::Printer;
use super::tuning_error::check_base;
use super::{Outcome, exit_code};

/// Merge a PEFT adapter into its base: a checkpoint like the base, in one pass and little memory
///
/// LoRA, rsLoRA and DoRA with rank and alpha patterns, trained biases and replaced modules. The
/// arithmetic is done in 32 bits and rounded once. The directory appears whole or not at all.
#[derive(Args)]
pub(crate) struct Merge {
    /// The base: a directory with config.json and safetensors
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// The adapter: a directory as PEFT saves it
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// The directory to make
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// What to write the weights as
    #[arg(long, value_enum, default_value_t = Format::Bf16)]
    dtype: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// bfloat16
    Bf16,
    /// 32 bits: nothing is rounded
    F32,
    /// Every tensor as in the base
    Base,
}

impl Merge {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let base = Checkpoint::open(&self.base)?;
        let adapter = Adapter::open(&self.adapter)?;
        check_base(&self.adapter, &self.base)?;
        let options = MergeOptions {
            output: self.out.clone(),
            format: match self.dtype {
                Format::Bf16 => OutputFormat::Bf16,
                Format::F32 => OutputFormat::F32,
                Format::Base => OutputFormat::Base,
            },
        };
        let progress = ByteProgress::start(printer, "merging");
        let merged = merge(&base, &adapter, &options, &mut progress.callback());
        progress.finish();
        let merged = merged?;
        printer.value(&json!({
            "format": 1,
            "directory": self.out,
            "files": merged.files,
            "tensors": merged.tensors,
            "changed_tensors": merged.changed,
            "weight_bytes": merged.bytes,
            "untied": merged.untied,
            "differing_files": merged.differing,
        }));
        printer.text(&self.text(&merged));
        Ok(exit_code::SUCCESS)
    }

    fn text(&self, merged: &Merged) -> String {
        let out = self.out.display();
        let mut text = format!(
            "wrote {out}: {} tensors, {} of them changed by the adapter, {}\n",
            merged.tensors,
            merged.changed,
            HumanBytes(merged.bytes),
        );
        if merged.untied {
            text.push_str(
                "  head and embedding were one tensor in the base and are two now \
                 (tie_word_embeddings: false)\n",
            );
        }
        for name in &merged.differing {
            let name = one_line(name);
            let _ = writeln!(
                text,
                "  {name} is the base's; the adapter's differs: if it was trained with its own, \
                 copy that",
            );
        }
        text
    }
}
