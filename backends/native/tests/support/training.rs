//! Training on the golden sequences.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shipworthy_native::{
    AdapterDescription, Bias, Decoder, LogLine, LrSchedulerType, ModelForm, Optim, TrainedModel,
    TrainingData, TrainingEvent, TrainingJob, TrainingLength, TrainingOptions, Warmup, Watch,
    train,
};

use super::support::{Reference, examples, folder, lora_options};

/// Returns how the reference was trained, split into batches of two.
fn options(reference: &Reference) -> TrainingOptions {
    TrainingOptions {
        learning_rate: reference.learning_rate,
        lr_scheduler_type: LrSchedulerType::Cosine,
        warmup: Warmup::Steps(reference.warmup_steps),
        weight_decay: reference.weight_decay,
        max_grad_norm: Some(reference.max_grad_norm),
        optim: Optim::AdamwTorch,
        length: TrainingLength::MaxSteps(reference.steps),
        per_device_train_batch_size: 2,
        per_device_eval_batch_size: 2,
        gradient_accumulation_steps: 2,
        packing: None,
        shuffle: false,
        seed: 0,
        logging_steps: 1,
        eval_steps: None,
        save_steps: None,
        save_total_limit: None,
        early_stopping_patience: None,
        gradient_checkpointing: true,
        loss_chunk: 16,
        memory_knobs: Vec::new(),
    }
}

/// Returns how what `CASE/ADAPTER` was trained as is written.
fn form(case: &str, adapter: &str) -> ModelForm {
    if adapter == "full" {
        return ModelForm::Full;
    }
    let options = lora_options(case, adapter);
    let bias = match options.bias {
        Bias::None => "none",
        Bias::All => "all",
        Bias::LoraOnly => "lora_only",
    };
    ModelForm::Adapter(AdapterDescription {
        r: options.r,
        lora_alpha: options.alpha,
        lora_dropout: options.dropout,
        use_rslora: options.use_rslora,
        bias: bias.to_owned(),
        target_modules: super::support::target_modules(case, adapter),
        modules_to_save: options.modules_to_save,
    })
}

/// Trains as the reference was, writes the model into `output`, and returns what was logged.
pub(crate) fn ten_steps(
    decoder: &mut Decoder,
    case: &str,
    adapter: &str,
    output: &Path,
) -> Vec<LogLine> {
    let model = TrainedModel {
        base: folder().join(case).join("base"),
        base_name: format!("{case}/base"),
        base_digest: String::new(),
        form: form(case, adapter),
        settings: Vec::new(),
    };
    let data = TrainingData {
        train: examples(),
        eval: Vec::new(),
    };
    let job = TrainingJob {
        data: &data,
        options: &options(&Reference::read(case, adapter)),
        model: &model,
        output,
        resume: None,
    };
    let mut log = Vec::new();
    let ticks = Cell::new(0);
    let mut watch = Watch {
        observe: &mut |event| {
            if let TrainingEvent::Logged(line) = event {
                log.push(line);
            }
        },
        stop: &AtomicBool::new(false),
        clock: &|| {
            ticks.set(ticks.get() + 1);
            Duration::from_secs(ticks.get())
        },
    };
    train(decoder, &job, &mut watch).unwrap();
    log
}
