//! Reports on training runs: how each ending reads, and what hostile text does there.

use serde_json::json;
use shipworthy_reports::{
    learning_rate_svg, lineage_json, loss_svg, training_event_text, training_json,
    training_markdown, training_terminal, training_warning_text,
};
use shipworthy_schema::{
    Artefact, BaseModel, BestStep, DatasetRef, Digest, MemoryReport, MemoryUse, TokenCounts,
    TrainerVersion, TrainingDataReport, TrainingEnding, TrainingEvent, TrainingLineage,
    TrainingLogEntry, TrainingMetrics, TrainingReport, TrainingWarning,
};
use test_case::test_case;

use crate::hostile::{HOSTILE, assert_inert};

const GIB: u64 = 1 << 30;

/// A curve as fine-tuning gives it: noise that repeats, a fall, and an evaluation loss that turns.
fn log(steps: u32, eval_steps: u32) -> Vec<TrainingLogEntry> {
    let mut log = Vec::new();
    for step in 1..=steps {
        let progress = f64::from(step) / f64::from(steps);
        let noise = f64::from(step * 7919 % 101) / 101.0 - 0.5;
        let warm_up = (progress * 10.0).min(1.0);
        let epoch = 3.0 * progress;
        log.push(TrainingLogEntry {
            epoch,
            step: u64::from(step),
            loss: Some(0.7 + 1.9 / (1.0 + 4.0 * progress) + 0.25 * noise),
            grad_norm: Some(1.0 - 0.5 * progress),
            learning_rate: Some(2e-4 * warm_up * (1.0 - progress)),
            tokens_per_second: Some(2400.0),
            memory_bytes: Some(7 * GIB),
            ..TrainingLogEntry::default()
        });
        if step % eval_steps == 0 {
            log.push(TrainingLogEntry {
                epoch,
                step: u64::from(step),
                eval_loss: Some(1.25 + (progress - 0.7) * (progress - 0.7)),
                eval_runtime: Some(4.0),
                ..TrainingLogEntry::default()
            });
        }
    }
    log
}

fn data(examples: u64, lost: u64) -> TrainingDataReport {
    TrainingDataReport {
        examples,
        tokens: TokenCounts {
            total: examples * 640,
            p50: 590,
            p95: 1404,
            max: 2048,
        },
        labelled_tokens: examples * 250,
        examples_lost: lost,
        examples_truncated: 0,
        tokens_lost: lost * 2600,
        packed_rows: None,
    }
}

fn artefact(path: &str, bytes: u64) -> Artefact {
    Artefact {
        path: path.to_owned(),
        bytes,
        digest: Digest::of(path.as_bytes()),
    }
}

fn memory() -> MemoryReport {
    let part = |part: &str, predicted: u64, measured: Option<u64>| MemoryUse {
        part: part.to_owned(),
        predicted_bytes: Some(predicted),
        measured_bytes: measured,
    };
    MemoryReport {
        device: "NVIDIA H200".to_owned(),
        capacity_bytes: Some(139 * GIB),
        parts: vec![
            part("base weights", 5 * GIB, Some(5 * GIB + 12345)),
            part("trained parameters", GIB / 4, Some(GIB / 4)),
            part("optimiser states", GIB / 2, Some(GIB / 2)),
            part("activations", GIB, None),
        ],
        predicted_peak_bytes: 7 * GIB - GIB / 4,
        measured_peak_bytes: Some(7 * GIB),
    }
}

fn report(ending: TrainingEnding) -> TrainingReport {
    let config = json!({
        "model": "models/Qwen3-8B", "method": "qlora", "lora_r": 64, "lora_alpha": 128,
        "learning_rate": 0.0002, "target_modules": "all-linear", "early_stopping_patience": null,
        "modules_to_save": ["lm_head"],
    });
    let dataset = |path: &str| DatasetRef {
        path: path.to_owned(),
        digest: Digest::of(path.as_bytes()),
    };
    TrainingReport {
        format: TrainingReport::FORMAT,
        trainer: TrainerVersion {
            name: "native".to_owned(),
            version: "0.1.0".to_owned(),
        },
        output_dir: "runs/coach-v2".to_owned(),
        config: config.as_object().unwrap().clone(),
        base: BaseModel {
            model: "models/Qwen3-8B".to_owned(),
            digest: Some(Digest::of(b"base")),
            weights: None,
            family: "qwen3".to_owned(),
        },
        dataset: dataset("data/train.jsonl"),
        eval_dataset: Some(dataset("data/eval.jsonl")),
        data: data(1294, 3),
        eval_data: Some(data(144, 0)),
        trainable_parameters: 174_587_904,
        total_parameters: 8_365_323_264,
        ending,
        metrics: TrainingMetrics {
            global_step: 486,
            epoch: 3.0,
            train_loss: Some(1.4123),
            eval_loss: Some(1.2502),
            train_runtime: 4361.5,
            train_samples_per_second: Some(0.891),
            train_steps_per_second: Some(0.1114),
            train_tokens_per_second: Some(569.7),
            num_input_tokens_seen: 2_484_480,
            num_labelled_tokens_seen: 970_500,
            total_flos: None,
        },
        best: Some(BestStep {
            step: 350,
            epoch: 2.16,
            eval_loss: 1.2502,
            checkpoint: Some("checkpoint-350".to_owned()),
        }),
        log: log(486, 50),
        memory: memory(),
        warnings: vec![
            TrainingWarning::EvalLossRising {
                best_step: 350,
                best: 1.2502,
                last_step: 450,
                last: 1.3012,
            },
            TrainingWarning::DataLost {
                examples_lost: 3,
                examples_truncated: 0,
                tokens_lost: 7800,
            },
        ],
        artefacts: vec![
            artefact("adapter_config.json", 1024),
            artefact("adapter_model.safetensors", 698_351_616),
        ],
    }
}

fn endings() -> [(&'static str, TrainingReport); 4] {
    let mut early = report(TrainingEnding::EarlyStopping { patience: 3 });
    early.config.insert("method".to_owned(), "full".into());
    early.artefacts = vec![artefact("model.safetensors", 16_000_000_000)];
    let mut interrupted = report(TrainingEnding::Interrupted {
        checkpoint: Some("checkpoint-20".to_owned()),
    });
    // No evaluation, few entries, a device that tells nothing.
    interrupted.eval_dataset = None;
    interrupted.eval_data = None;
    interrupted.best = None;
    interrupted.log = log(20, 1000);
    interrupted.warnings = vec![TrainingWarning::NoEvaluation];
    interrupted.memory.capacity_bytes = None;
    interrupted.memory.measured_peak_bytes = None;
    interrupted.data.packed_rows = Some(412);
    let mut failed = report(TrainingEnding::Failed {
        error: "the loss is not a finite number at step 1".to_owned(),
        example: Some("train.jsonl:12".to_owned()),
    });
    failed.best = None;
    failed.log.clear();
    failed.artefacts.clear();
    failed.warnings.clear();
    failed.metrics = TrainingMetrics::default();
    let finished = report(TrainingEnding::Finished);
    [
        ("finished", finished),
        ("early", early),
        ("interrupted", interrupted),
        ("failed", failed),
    ]
}

#[test]
fn each_ending_reads_well() {
    for (name, report) in endings() {
        let page = training_terminal(&report, 80, false);
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        insta::assert_snapshot!(format!("training_terminal_{name}"), page);
        let page = training_markdown(&report);
        // A picture is linked if, and only if, there is one.
        assert_eq!(
            page.contains("(loss.svg)"),
            loss_svg(&report.log, report.best.as_ref()).is_some()
        );
        assert_eq!(
            page.contains("(learning_rate.svg)"),
            learning_rate_svg(&report.log).is_some()
        );
        insta::assert_snapshot!(format!("training_markdown_{name}"), page);
    }
}

#[test]
fn pictures_need_no_other_file_and_show_every_evaluation() {
    let report = report(TrainingEnding::Finished);
    let loss = loss_svg(&report.log, report.best.as_ref()).unwrap();
    let rate = learning_rate_svg(&report.log).unwrap();
    for svg in [&loss, &rate] {
        let links = svg.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http") && !links.contains("NaN") && !links.contains("inf"));
    }
    // Nine in the curve, one in the legend.
    assert_eq!(loss.matches("<circle").count(), 10);
    assert!(loss.contains("best: 1.2502 at step 350"));
    insta::assert_snapshot!(
        "training_learning_rate_svg",
        learning_rate_svg(&log(8, 100)).unwrap()
    );
    insta::assert_snapshot!("training_loss_svg", loss_svg(&log(8, 4), None).unwrap());
}

/// One entry, equal entries, huge and non-finite numbers: a picture, or none, but never a fault.
#[test]
fn pictures_of_strange_curves() {
    let entry = |step: u64, loss: f64| TrainingLogEntry {
        step,
        loss: Some(loss),
        ..TrainingLogEntry::default()
    };
    assert_eq!(loss_svg(&[], None), None);
    assert_eq!(loss_svg(&[entry(1, f64::NAN)], None), None);
    assert_eq!(learning_rate_svg(&[entry(1, 2.0)]), None);
    let curves = [
        vec![entry(1, 2.0)],
        vec![entry(1, 0.0), entry(2, 0.0)],
        vec![entry(1, 2.0), entry(2, f64::INFINITY), entry(3, 1.0)],
        vec![entry(0, -1e299), entry(u64::MAX, 1e299)],
        vec![entry(1, 1e-320), entry(2, 2e-320)],
    ];
    for curve in curves {
        let svg = loss_svg(&curve, None).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.len() < 20_000);
    }
}

#[test]
fn text_from_files_and_configurations_renders_as_text() {
    let mut report = report(TrainingEnding::Failed {
        error: HOSTILE.to_owned(),
        example: Some(HOSTILE.to_owned()),
    });
    report.base.model = HOSTILE.to_owned();
    report.base.family = HOSTILE.to_owned();
    report.dataset.path = HOSTILE.to_owned();
    report.trainer.name = HOSTILE.to_owned();
    report.output_dir = HOSTILE.to_owned();
    report.config.insert(HOSTILE.to_owned(), HOSTILE.into());
    report.memory.device = HOSTILE.to_owned();
    report.memory.parts[0].part = HOSTILE.to_owned();
    report.artefacts[0].path = HOSTILE.to_owned();
    report.warnings.push(TrainingWarning::Other {
        what: HOSTILE.to_owned(),
        mend: HOSTILE.to_owned(),
    });
    report.warnings.push(TrainingWarning::BaseModelNotInstruct {
        model: HOSTILE.to_owned(),
    });
    let endings = [
        report.ending.clone(),
        TrainingEnding::Finished,
        TrainingEnding::Interrupted {
            checkpoint: Some(HOSTILE.to_owned()),
        },
    ];
    for ending in endings {
        report.ending = ending;
        assert_inert(&training_terminal(&report, 80, false));
        assert_inert(&training_json(&report));
        let text = training_markdown(&report);
        assert_inert(&text);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("# ")).count(),
            1
        );
        // Outside of commands, and of code spans, where nothing but a backtick counts.
        let mut in_command = false;
        let mut prose = String::new();
        for line in text.lines() {
            if line.starts_with("```") {
                in_command = !in_command;
            } else if in_command {
                assert!(line.starts_with("shipworthy "), "{line}");
            } else {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        assert!(!in_command, "{text}");
        let outside: String = prose.replace("\\`", "").split('`').step_by(2).collect();
        for markup in [" <img", " ![i]", "http://", "@everyone", "\n# H", " | a |"] {
            assert!(!outside.contains(markup), "{markup} in {text}");
        }
    }
}

#[test]
fn events_are_lines() {
    let mut event = TrainingEvent::StepLogged {
        step: 40,
        epoch: 0.25,
        loss: 1.234_56,
        grad_norm: Some(0.52),
        learning_rate: 2e-4,
        tokens_per_second: Some(2412.3),
        memory_bytes: Some(7 * GIB),
        seconds_left: Some(725.0),
    };
    assert_eq!(
        training_event_text(&event, Some(486)),
        "step 40/486, epoch 0.25, loss 1.2346, grad norm 0.52, lr 2e-4, 2,412 tokens/s, 7.00 GiB, \
         12 min 5 s left"
    );
    event = TrainingEvent::Evaluated {
        step: 50,
        epoch: 0.31,
        eval_loss: 1.5,
        examples: 144,
        labelled_tokens: 36_000,
        runtime_s: 4.0,
        is_best: true,
    };
    assert_eq!(
        training_event_text(&event, None),
        "step 50, epoch 0.31, eval loss 1.5000, the best so far (144 examples in 4.0 s)"
    );
    event = TrainingEvent::CheckpointSaved {
        step: 50,
        path: HOSTILE.to_owned(),
    };
    assert_inert(&training_event_text(&event, None));
}

#[test_case(&TrainingWarning::HighLoss { loss: 3.001, threshold: 3.0 }, "ended at 3.001, above 3.000:")]
#[test_case(&TrainingWarning::OverfittingRisk { loss: 0.42, eval_loss: None, threshold: 1.0 }, "ended at 0.42, below 1.00:")]
#[test_case(&TrainingWarning::OverfittingRisk { loss: 0.42, eval_loss: Some(1.5), threshold: 1.0 }, "below 1.00, and that of held-out examples at 1.5000:")]
#[test_case(&TrainingWarning::ZeroLoss { step: 3, loss: 1e-7 }, "was 1e-7 at step 3:")]
#[test_case(&TrainingWarning::LossNotFalling { first: 2.0, last: 2.1 }, "2.0000 at first, 2.1000 in the end.")]
#[test_case(&TrainingWarning::FewExamples { examples: 12, threshold: 50 }, "were 12 examples")]
#[test_case(&TrainingWarning::MemoryAbovePrediction { predicted_bytes: GIB, measured_bytes: 2 * GIB }, "took 2.00 GiB, with 1.00 GiB")]
fn warnings_have_their_numbers(warning: &TrainingWarning, expected: &str) {
    let text = training_warning_text(warning);
    assert!(text.contains(expected), "{text}");
    let json = serde_json::to_string(warning).unwrap();
    assert_eq!(
        serde_json::from_str::<TrainingWarning>(&json).unwrap(),
        *warning
    );
}

#[test]
fn documents_are_read_back() {
    let report = report(TrainingEnding::Finished);
    let read: TrainingReport = serde_json::from_str(&training_json(&report)).unwrap();
    assert_eq!(read, report);
    let lineage = TrainingLineage {
        format: TrainingLineage::FORMAT,
        base: report.base,
        init_adapter: None,
        dataset: report.dataset,
        eval_dataset: report.eval_dataset,
        config: report.config,
        trainer: report.trainer,
        ending: report.ending,
        metrics: report.metrics,
        best: report.best,
        artefacts: report.artefacts,
    };
    let json = lineage_json(&lineage);
    assert_eq!(
        serde_json::from_str::<TrainingLineage>(&json).unwrap(),
        lineage
    );
    insta::assert_snapshot!("training_lineage_json", json);
}
