#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::sync::Arc;

use serde_json::Value;
use shipworthy_models::{Adapter, Checkpoint};
use shipworthy_native::{Adaptation, Batch, Compute, Decoder, LoraOptions, TrainingEvent};

use crate::support::{Project, assert_same, files};

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_adapter_is_left_with_its_tokenizer_and_checkpoints() {
    let project = Project::new();
    let outcome = project.train_through("out");
    let output = project.output("out");
    let files = files(&output);
    let own: Vec<&str> = files
        .keys()
        .map(String::as_str)
        .filter(|name| !name.contains('/'))
        .collect();
    assert_eq!(
        own,
        [
            "adapter_config.json",
            "adapter_model.safetensors",
            "chat_template.jinja",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
    );
    let inside: Vec<&str> = files
        .keys()
        .filter_map(|name| name.strip_prefix("checkpoint-6/"))
        .collect();
    assert_eq!(
        inside,
        [
            "adapter_config.json",
            "adapter_model.safetensors",
            "optimizer.safetensors",
            "trainer_state.json",
            "training_state.json",
        ]
    );
    assert_eq!(outcome.steps, 6);
    assert_eq!(outcome.epoch, 2.0);
    assert_eq!(outcome.checkpoint, Some(output.join("checkpoint-6")));
    // What our own readers say of it, and that it gives the logits the trained model gave.
    let adapter = Adapter::open(&output).unwrap();
    assert_eq!(adapter.config().rank, 4);
    let checkpoint = Arc::new(Checkpoint::open(&project.base()).unwrap());
    let lora = LoraOptions::of_adapter(&adapter).unwrap();
    let compute = Compute::host(None);
    let load = |adaptation: &Adaptation| {
        Decoder::load(&checkpoint, adaptation, &compute, 1, &mut |_, _| {}).unwrap()
    };
    let mut trained = load(&Adaptation::Lora(lora));
    trained.load_adapter(&adapter).unwrap();
    let loss = |decoder: &Decoder| {
        let batch = Batch::new(project.data.eval.iter().map(|example| (example, 0)));
        let loss = decoder.evaluate(&batch).unwrap();
        loss.nll_sum() / loss.labelled() as f64
    };
    let (best_step, best_loss) = outcome.best.unwrap();
    assert!((loss(&trained) - best_loss).abs() < 1e-6);
    assert!(
        loss(&load(&Adaptation::None)) > best_loss,
        "nothing was learnt"
    );
    let best = output.join(format!("checkpoint-{best_step}"));
    assert!(best.is_dir());
}

#[test]
fn the_log_is_as_transformers_writes_it() {
    let project = Project::new();
    let mut losses = Vec::new();
    let mut rates = Vec::new();
    let watch = |event: &TrainingEvent, _: &_| {
        if let TrainingEvent::StepTaken(record) = event {
            losses.push(record.loss);
            rates.push(record.learning_rate);
        }
    };
    project.train("out", None, watch).unwrap();
    let state = json(
        &project
            .output("out")
            .join("checkpoint-6/trainer_state.json"),
    );
    assert_eq!(state["global_step"], 6);
    assert_eq!(state["max_steps"], 6);
    assert_eq!(state["num_train_epochs"], 2);
    assert_eq!(state["epoch"], 2.0);
    assert_eq!(state["train_batch_size"], 2);
    let log = state["log_history"].as_array().unwrap();
    // Lines of two steps, and an evaluation after each.
    let steps: Vec<u64> = log
        .iter()
        .map(|entry| entry["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [2, 2, 4, 4, 6, 6]);
    assert_eq!(log[0]["loss"], f64::midpoint(losses[0], losses[1]));
    assert_eq!(log[2]["loss"], f64::midpoint(losses[2], losses[3]));
    // The rate a step was taken with: with a warm-up, the first step's is 0.
    assert_eq!(rates[0], 0.0);
    assert_eq!(rates[1], 2e-2);
    assert_eq!(log[0]["learning_rate"], 2e-2);
    assert_eq!(log[0]["epoch"], 4.0 / 6.0);
    assert!(log[1]["eval_loss"].as_f64().unwrap() > 0.0);
    assert!(losses[5] < losses[0], "{losses:?}");
}

#[test]
fn the_same_run_gives_the_same_bytes_and_another_seed_others() {
    let mut project = Project::new();
    project.train_through("one");
    project.train_through("two");
    assert_same(&project.output("two"), &project.output("one"));
    project.options.seed = 43;
    project.train_through("three");
    let weights = |name: &str| files(&project.output(name))["adapter_model.safetensors"].clone();
    assert_ne!(weights("one"), weights("three"));
}

#[test]
fn the_split_of_a_step_changes_no_loss() {
    let mut project = Project::new();
    let mut losses = |batch_size, accumulation| {
        project.options.per_device_train_batch_size = batch_size;
        project.options.gradient_accumulation_steps = accumulation;
        let mut losses = Vec::new();
        let watch = |event: &TrainingEvent, _: &_| {
            if let TrainingEvent::StepTaken(record) = event {
                losses.push(record.loss);
            }
        };
        project
            .train(&format!("out-{batch_size}"), None, watch)
            .unwrap();
        losses
    };
    let expected = losses(4, 1);
    for (batch_size, accumulation) in [(2, 2), (1, 4)] {
        let found = losses(batch_size, accumulation);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{found}, expected {expected}"
            );
        }
    }
}

#[test]
fn full_fine_tuning_leaves_a_checkpoint() {
    let mut project = Project::new();
    project.is_full = true;
    project.options.learning_rate = 1e-3;
    let outcome = project.train_through("out");
    let output = project.output("out");
    let checkpoint = Arc::new(Checkpoint::open(&output).unwrap());
    let compute = Compute::host(None);
    let trained =
        Decoder::load(&checkpoint, &Adaptation::None, &compute, 1, &mut |_, _| {}).unwrap();
    let batch = Batch::new(project.data.eval.iter().map(|example| (example, 0)));
    let loss = trained.evaluate(&batch).unwrap();
    let (_, best_loss) = outcome.best.unwrap();
    assert!((loss.nll_sum() / loss.labelled() as f64 - best_loss).abs() < 1e-6);
}
