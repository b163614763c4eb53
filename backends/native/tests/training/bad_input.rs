#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use shipworthy_native::{TrainingError, TrainingEvent, TrainingWarning};

use crate::support::{HIDDEN, Project, VOCABULARY, files, write_base};

fn error(project: &Project) -> TrainingError {
    let error = project.train("out", None, |_, _| {}).unwrap_err();
    let output = project.output("out");
    assert!(
        !output.exists() || files(&output).is_empty(),
        "something was written"
    );
    error
}

#[test]
fn data_that_nothing_can_be_learnt_from_is_named() {
    let mut project = Project::new();
    project.data.train.clear();
    assert_eq!(
        error(&project).to_string(),
        "the training data has no example"
    );
    let mut project = Project::new();
    project.data.eval.clear();
    let said = error(&project).to_string();
    assert!(
        said.starts_with("`eval_steps` needs evaluation data"),
        "{said}"
    );
    let mut project = Project::new();
    project.options.eval_steps = None;
    project.options.early_stopping_patience = Some(1);
    let said = error(&project).to_string();
    assert!(
        said.starts_with("`early_stopping_patience` counts evaluations"),
        "{said}"
    );
    let mut project = Project::new();
    project.options.per_device_train_batch_size = 1;
    project.data.train[3].labelled.fill(false);
    let said = error(&project).to_string();
    assert!(
        said.starts_with("no token of a batch carries a label: `train.jsonl:4`;"),
        "{said}"
    );
    let mut project = Project::new();
    project.data.train[3].tokens[1] = u32::try_from(VOCABULARY).unwrap();
    let said = error(&project).to_string();
    assert!(
        said.starts_with(
            "example `train.jsonl:4` has token 32, and the model's vocabulary ends at 32"
        ),
        "{said}"
    );
}

#[test]
fn an_example_without_a_label_among_others_is_a_warning() {
    let mut project = Project::new();
    project.options.per_device_train_batch_size = 4;
    project.data.train[3].labelled.fill(false);
    let mut warned = Vec::new();
    let watch = |event: &TrainingEvent, _: &_| {
        if let TrainingEvent::Warning(TrainingWarning::Unlabelled { ids }) = event {
            warned.clone_from(ids);
        }
    };
    project.train("out", None, watch).unwrap();
    assert_eq!(warned, ["train.jsonl:4"]);
}

#[test]
fn an_output_that_cannot_be_written_is_said_before_anything_runs() {
    let project = Project::new();
    std::fs::write(project.output("file"), "").unwrap();
    let mut events = 0;
    let error = project
        .train("file/out", None, |_, _| events += 1)
        .unwrap_err();
    assert!(matches!(error, TrainingError::Output { .. }), "{error}");
    assert_eq!(events, 0);
}

#[test]
fn what_an_earlier_run_wrote_is_not_overwritten() {
    let project = Project::new();
    project.train_through("out");
    let before = files(&project.output("out"));
    let error = project
        .train("out", None, |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds `checkpoint-"), "{error}");
    assert_eq!(files(&project.output("out")), before);
}

/// A token after which the logits overflow, and no other token's do: the first of the hidden values is its
/// alone, and the head multiplies it by a number that is nearly too large.
const OVERFLOWING: usize = VOCABULARY - 1;

fn overflowing() -> Project {
    let mut project = Project::new();
    // The first value stays nobody else's.
    project.options.learning_rate = 0.0;
    write_base(&project.base(), |name, values| {
        let is_layers = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
        if name == "model.embed_tokens.weight" {
            values
                .iter_mut()
                .step_by(HIDDEN)
                .for_each(|value| *value = 0.0);
            values[OVERFLOWING * HIDDEN] = 1e4;
        } else if is_layers {
            let inputs = values.len() / HIDDEN;
            values[..inputs].fill(0.0);
        } else if name == "lm_head.weight" {
            values[0] = 2e38;
        }
    });
    project
}

#[test]
fn examples_that_make_the_loss_not_finite_are_named() {
    let mut project = overflowing();
    project.data.train[6].tokens[2] = u32::try_from(OVERFLOWING).unwrap();
    let mut steps = 0;
    let watch = |event: &TrainingEvent, _: &_| {
        steps += usize::from(matches!(event, TrainingEvent::StepTaken(_)));
    };
    let error = project.train("out", None, watch).unwrap_err();
    let TrainingError::NotFinite { what, step, ids } = &error else {
        panic!("{error}");
    };
    assert_eq!(*what, "the loss");
    assert_eq!(*step, steps + 1);
    assert_eq!(ids, &["train.jsonl:7"]);
    assert!(
        !project
            .output("out")
            .join("adapter_model.safetensors")
            .exists()
    );
}

#[test]
fn held_out_examples_that_make_the_loss_not_finite_are_named() {
    let mut project = overflowing();
    project.data.eval[2].tokens[2] = u32::try_from(OVERFLOWING).unwrap();
    let said = project
        .train("out", None, |_, _| {})
        .unwrap_err()
        .to_string();
    let expected = "the evaluation loss is not finite at step 2: `eval.jsonl:3`;";
    assert!(said.starts_with(expected), "{said}");
}
