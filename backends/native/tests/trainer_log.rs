//! Holds whole runs against the log that transformers' `Trainer` writes of the same batches.
//!
//! `tests/golden/training/generate.py` made the numbers, and says with which versions.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Deserialize;
use shipworthy_models::Adapter;
use shipworthy_native::{
    Adaptation, AdapterDescription, LrSchedulerType, ModelForm, Optim, TrainedModel, TrainingData,
    TrainingJob, TrainingLength, TrainingOptions, Warmup, Watch, train,
};
use support::{Reference, compute, examples, folder};
use test_case::test_case;

#[derive(Deserialize)]
struct TrainerState {
    log_history: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    step: usize,
    epoch: f64,
    loss: f64,
    grad_norm: f64,
    learning_rate: f64,
}

#[test_case("llama2", "lora")]
#[test_case("llama2", "rslora")]
fn ten_steps_are_logged_as_transformers_does(case: &str, name: &str) {
    let reference = Reference::read(case, name);
    let base = folder().join(case).join("base");
    let adapter = Adapter::open(&folder().join(case).join(name)).unwrap();
    let lora = shipworthy_native::LoraOptions::of_adapter(&adapter).unwrap();
    let adaptation = Adaptation::Lora(lora.clone());
    let checkpoint = std::sync::Arc::new(shipworthy_models::Checkpoint::open(&base).unwrap());
    let mut decoder =
        shipworthy_native::Decoder::load(&checkpoint, &adaptation, &compute(), 0, &mut |_, _| {})
            .unwrap();
    decoder.load_adapter(&adapter).unwrap();
    let options = TrainingOptions {
        learning_rate: reference.learning_rate,
        lr_scheduler_type: LrSchedulerType::Cosine,
        warmup: Warmup::Steps(reference.warmup_steps),
        weight_decay: reference.weight_decay,
        max_grad_norm: Some(reference.max_grad_norm),
        optim: Optim::AdamwTorch,
        length: TrainingLength::MaxSteps(reference.steps),
        // All sequences are in every step: their order does not matter.
        per_device_train_batch_size: 2,
        per_device_eval_batch_size: 1,
        gradient_accumulation_steps: 2,
        packing: None,
        shuffle: true,
        seed: 0,
        logging_steps: 1,
        eval_steps: None,
        save_steps: None,
        save_total_limit: None,
        early_stopping_patience: None,
        gradient_checkpointing: true,
        loss_chunk: 16,
        memory_knobs: Vec::new(),
    };
    let place = tempfile::tempdir().unwrap();
    let config = adapter.config();
    let model = TrainedModel {
        base,
        base_name: format!("{case}/base"),
        base_digest: String::new(),
        form: ModelForm::Adapter(AdapterDescription {
            r: config.rank,
            lora_alpha: config.alpha,
            lora_dropout: 0.0,
            use_rslora: config.use_rslora,
            bias: "none".to_owned(),
            target_modules: adapter.module_names().map(str::to_owned).collect(),
            modules_to_save: config.modules_to_save.clone(),
        }),
        settings: Vec::new(),
    };
    let data = TrainingData {
        train: examples(),
        eval: Vec::new(),
    };
    let job = TrainingJob {
        data: &data,
        options: &options,
        model: &model,
        output: place.path(),
        resume: None,
    };
    let mut watch = Watch {
        observe: &mut |_| {},
        stop: &AtomicBool::new(false),
        clock: &|| Duration::ZERO,
    };
    train(&mut decoder, &job, &mut watch).unwrap();
    let state = place.path().join("checkpoint-10/trainer_state.json");
    let state: TrainerState = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    assert_eq!(state.log_history.len(), reference.log.len());
    for (idx, (found, expected)) in state.log_history.iter().zip(&reference.log).enumerate() {
        assert_eq!((found.step, found.epoch), (idx + 1, idx as f64 + 1.0));
        let loss = (found.loss - expected.loss).abs();
        assert!(
            loss <= 1e-4,
            "step {}: {}, expected {}",
            found.step,
            found.loss,
            expected.loss
        );
        let norm = (found.grad_norm - expected.grad_norm).abs() / expected.grad_norm;
        assert!(
            norm <= 1e-3,
            "step {}: norm {}",
            found.step,
            found.grad_norm
        );
        let rate = (found.learning_rate - expected.learning_rate).abs();
        assert!(
            rate <= 1e-12,
            "step {}: rate {}",
            found.step,
            found.learning_rate
        );
    }
}
