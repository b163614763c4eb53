use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde_json::json;
use shipworthy_models::gguf::Existing;
use shipworthy_models::{
    Adapter, Checkpoint, ConvertAdapterOptions, ConvertOptions, Converted, ConvertedAdapter,
    Family, FileType, LayerType, ModelConfig, ModelError, OutputProblem, convert, convert_adapter,
};
use shipworthy_reports::one_line;

use super::byte_progress::ByteProgress;
use super::error::Failure;
use super::printer::Printer;
use super::tuning_error::check_base;
use super::{Outcome, exit_code};

/// Make a GGUF file for llama.cpp: merge, convert and quantise in one pass and little memory
///
/// What PEFT's merge, llama.cpp's converter and llama-quantize give one after another, without the
/// files between them. The file appears whole or not at all.
#[derive(Args)]
pub(crate) struct Gguf {
    /// The model: a directory with config.json, safetensors and a tokenizer; with --adapter-only
    /// config.json is enough
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// An adapter to merge into it, or to write alone
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// What to store the weights as; if nothing is said 8 bits, with --adapter-only 16
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    file_type: Option<Type>,
    /// The file to make
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Write the adapter alone, for `llama-server --lora`, as f16, bf16 or f32
    ///
    /// The scale is the one it was trained with, also for rsLoRA and for rank and alpha patterns.
    /// DoRA, trained biases and modules trained in full do not fit into such a file: merge those.
    #[arg(long, requires = "adapter")]
    adapter_only: bool,
    /// Take tokenizer and chat template from another directory, e.g. the adapter's
    #[arg(long, value_name = "DIR", conflicts_with = "adapter_only")]
    tokenizer: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(non_camel_case_types, reason = "they are llama.cpp's names")]
enum Type {
    /// bfloat16
    Bf16,
    /// IEEE half precision
    F16,
    /// 32 bits
    F32,
    /// 8 bits: hardly a loss
    Q8_0,
    /// Mostly 4 bits, the tensors that matter most 6
    Q4_K_M,
    /// Mostly 5 bits, the tensors that matter most 6
    Q5_K_M,
    /// 6 bits
    Q6_K,
}

impl From<Type> for FileType {
    fn from(file_type: Type) -> Self {
        match file_type {
            Type::Bf16 => Self::Bf16,
            Type::F16 => Self::F16,
            Type::F32 => Self::F32,
            Type::Q8_0 => Self::Q8_0,
            Type::Q4_K_M => Self::Q4_K_M,
            Type::Q5_K_M => Self::Q5_K_M,
            Type::Q6_K => Self::Q6_K,
        }
    }
}

impl Gguf {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if self.overwrite {
            self.keep_inputs()?;
        }
        match &self.adapter {
            Some(adapter) if self.adapter_only => {
                let opened = Adapter::open(adapter)?;
                check_base(adapter, &self.model)?;
                self.write_adapter(&opened, printer)
            }
            adapter => {
                let model = Checkpoint::open(&self.model)?;
                let opened = adapter.as_deref().map(Adapter::open).transpose()?;
                if let Some(adapter) = adapter {
                    check_base(adapter, &self.model)?;
                }
                let adapter = opened;
                self.write_model(&model, adapter.as_ref(), printer)
            }
        }
    }

    /// Errors if what is read would be replaced.
    fn keep_inputs(&self) -> Result<(), Failure> {
        let out = self.out.canonicalize().ok();
        let Some(directory) = out.as_deref().and_then(Path::parent) else {
            return Ok(());
        };
        let is_gguf = self
            .out
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
        let inputs = [
            Some(&self.model),
            self.adapter.as_ref(),
            self.tokenizer.as_ref(),
        ];
        for input in inputs.into_iter().flatten() {
            if !is_gguf && input.canonicalize().is_ok_and(|input| input == directory) {
                let input = input.clone();
                return Err(ModelError::Output {
                    path: self.out.clone(),
                    problem: OutputProblem::Input { input },
                }
                .into());
            }
        }
        Ok(())
    }

    fn write_model(
        &self,
        model: &Checkpoint,
        adapter: Option<&Adapter>,
        printer: &Printer,
    ) -> Outcome {
        let options = ConvertOptions {
            output: self.out.clone(),
            file_type: self.file_type(),
            existing: self.existing(),
            tokenizer: self.tokenizer.clone(),
        };
        let progress = ByteProgress::start(printer, "writing");
        let converted = convert(model, adapter, &options, &mut progress.callback());
        progress.finish();
        let converted = converted?;
        printer.value(&self.json(&converted));
        printer.text(&self.text(&converted));
        Ok(exit_code::SUCCESS)
    }

    fn write_adapter(&self, adapter: &Adapter, printer: &Printer) -> Outcome {
        let options = ConvertAdapterOptions {
            output: self.out.clone(),
            file_type: self.file_type(),
            existing: self.existing(),
        };
        let progress = ByteProgress::start(printer, "writing");
        let converted = convert_adapter(&self.model, adapter, &options, &mut progress.callback());
        progress.finish();
        let converted = converted?;
        printer.value(&self.adapter_json(&converted));
        printer.text(&self.adapter_text(&converted));
        Ok(exit_code::SUCCESS)
    }

    fn file_type(&self) -> FileType {
        match self.file_type {
            Some(file_type) => file_type.into(),
            None if self.adapter_only => FileType::F16,
            None => FileType::Q8_0,
        }
    }

    fn existing(&self) -> Existing {
        if self.overwrite {
            Existing::Overwrite
        } else {
            Existing::Keep
        }
    }

    fn json(&self, converted: &Converted) -> serde_json::Value {
        let types = converted.types.iter().map(|(tensor_type, tensors, bytes)| {
            json!({ "type": tensor_type.name(), "tensors": tensors, "bytes": bytes })
        });
        json!({
            "format": 1,
            "file": self.out,
            "file_type": self.file_type().name(),
            "bytes": converted.bytes,
            "tensors": converted.tensors,
            "types": types.collect::<Vec<_>>(),
            "fallback_tensors": converted.fallbacks,
            "left_out_tensors": converted.left_out,
            "differing_files": converted.differing,
            "sliding_window_left_out": self.window_left_out(),
        })
    }

    /// Returns the model's window where llama.cpp knows none of its architecture.
    fn window_left_out(&self) -> Option<u32> {
        let config = ModelConfig::read(&self.model).ok()?;
        let sizes = config.hyper_parameters().ok()?;
        let is_used = sizes.layer_types.contains(&LayerType::Sliding);
        let is_known = config.family() == Family::Gemma3;
        let window = sizes.sliding_window.filter(|_| is_used && !is_known)?;
        (window < sizes.max_position_embeddings).then_some(window)
    }

    fn text(&self, converted: &Converted) -> String {
        let types = converted.types.iter();
        let types: Vec<String> = types
            .map(|(tensor_type, tensors, _)| format!("{tensors} {}", tensor_type.name()))
            .collect();
        let mut text = format!(
            "wrote {}: {}, {} tensors ({})\n",
            self.out.display(),
            HumanBytes(converted.bytes),
            converted.tensors,
            types.join(", "),
        );
        if converted.fallbacks > 0 {
            let _ = writeln!(
                text,
                "  {} of them have rows that do not fill the blocks of {} and got another type, as \
                 llama-quantize does it",
                converted.fallbacks,
                self.file_type().name(),
            );
        }
        if converted.left_out > 0 {
            let _ = writeln!(
                text,
                "  {} tensors are no part of the language model and were left out",
                converted.left_out,
            );
        }
        if let Some(window) = self.window_left_out() {
            let _ = writeln!(
                text,
                "  the model's window of {window} tokens is left out, for llama.cpp has none for its \
                 architecture: with longer texts it is another model",
            );
        }
        for name in &converted.differing {
            let _ = writeln!(
                text,
                "  {} is the model's; the adapter's differs: if it was trained with its own, give \
                 `--tokenizer` its directory",
                one_line(name),
            );
        }
        text
    }

    fn adapter_json(&self, converted: &ConvertedAdapter) -> serde_json::Value {
        json!({
            "format": 1,
            "file": self.out,
            "file_type": self.file_type().name(),
            "bytes": converted.bytes,
            "tensors": 2 * converted.modules,
            "modules": converted.modules,
            "alpha": converted.alpha,
            "rescaled_modules": converted.rescaled,
            "left_out_tensors": converted.left_out,
            "not_compared": converted.not_compared,
        })
    }

    fn adapter_text(&self, converted: &ConvertedAdapter) -> String {
        let mut lines = vec![format!(
            "wrote {}: {}, {} modules, alpha {} ({})",
            self.out.display(),
            HumanBytes(converted.bytes),
            converted.modules,
            converted.alpha,
            converted.tensor_type.name(),
        )];
        if converted.rescaled > 0 {
            lines.push(format!(
                "  {} of them have another scale; it is in their B, because a file has one alpha only",
                converted.rescaled,
            ));
        }
        if converted.left_out > 0 {
            lines.push(format!(
                "  {} changes are to no part of the language model and were left out",
                converted.left_out,
            ));
        }
        for name in &converted.not_compared {
            lines.push(format!(
                "  the adapter brings {} of its base; whether the model has the same was not looked at, \
                 its weights are not in {}",
                one_line(name),
                self.model.display(),
            ));
        }
        lines.join("\n") + "\n"
    }
}
