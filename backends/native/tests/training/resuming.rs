#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use shipworthy_native::{CheckpointProblem, Ending, Optim, TrainingEvent, latest_checkpoint};

use crate::support::{Project, assert_same, example};

/// Goes on from the latest checkpoint, or anew if there is none.
fn go_on(project: &Project, name: &str) {
    let (latest, skipped) = latest_checkpoint(&project.output(name)).unwrap();
    assert_eq!(skipped, []);
    let outcome = project.train(name, latest.as_deref(), |_, _| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Complete);
}

/// Interrupts at every event of a kind, goes on, and compares all bytes with those of a run that was not
/// interrupted.
fn check_everywhere(project: &Project, is_counted: impl Fn(&TrainingEvent) -> bool) {
    project.train_through("whole");
    let mut cut = 0;
    loop {
        cut += 1;
        let name = format!("cut-{cut}");
        let mut seen = 0;
        let outcome = project.train_until(&name, |event| {
            seen += usize::from(is_counted(event));
            seen == cut
        });
        if outcome.ending == Ending::Complete {
            break;
        }
        assert_eq!(outcome.ending, Ending::Interrupted);
        assert!(
            !project
                .output(&name)
                .join("adapter_model.safetensors")
                .exists()
        );
        go_on(project, &name);
        assert_same(&project.output(&name), &project.output("whole"));
    }
    assert!(cut > 3, "nothing was interrupted");
}

#[test]
fn a_run_interrupted_after_any_batch_goes_on_as_if_it_had_not_been() {
    let project = Project::new();
    check_everywhere(&project, |event| {
        matches!(event, TrainingEvent::BatchPassed { .. })
    });
}

#[test]
fn a_run_interrupted_before_any_evaluation_goes_on_as_if_it_had_not_been() {
    let mut project = Project::new();
    project.options.eval_steps = Some(1);
    project.options.logging_steps = 4;
    project.options.optim = Optim::Adamw8bit;
    project.options.packing = Some(12);
    check_everywhere(&project, |event| {
        matches!(event, TrainingEvent::StepTaken(_))
    });
}

#[test]
fn full_fine_tuning_goes_on_as_if_it_had_not_been_interrupted() {
    let mut project = Project::new();
    project.is_full = true;
    check_everywhere(&project, |event| matches!(event, TrainingEvent::Logged(_)));
}

#[test]
fn a_finished_run_goes_on_with_nothing() {
    let project = Project::new();
    project.train_through("one");
    project.train_through("two");
    go_on(&project, "two");
    assert_same(&project.output("two"), &project.output("one"));
}

/// Not a test of its own: the run that [`a_run_killed_while_it_saves_goes_on`] kills.
#[test]
fn killed_child() {
    let Ok(output) = std::env::var("SHIPWORTHY_TEST_KILLED_RUN") else {
        return;
    };
    let project = killed_project();
    project.train_through(&output);
}

/// The same for parent and child.
fn killed_project() -> Project {
    let mut project = Project::new();
    project.options.save_steps = Some(1);
    project.options.eval_steps = None;
    project.data.eval.clear();
    project
}

#[test]
fn a_run_killed_while_it_saves_goes_on() {
    let project = killed_project();
    project.train_through("whole");
    let mut was_killed = 0;
    for round in 1..=3 {
        let name = format!("killed-{round}");
        let output = project.output(&name);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "resuming::killed_child"])
            .env("SHIPWORTHY_TEST_KILLED_RUN", &output)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let saving = output.join(format!(".checkpoint-{}.saving", 2 * round - 1));
        let begun = Instant::now();
        while !saving.exists() && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the run hangs");
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        was_killed += usize::from(!output.join("adapter_model.safetensors").exists());
        go_on(&project, &name);
        assert_same(&output, &project.output("whole"));
    }
    assert!(was_killed > 0, "every run was faster than the kill");
}

#[test]
fn what_a_killed_run_left_under_hidden_names_is_put_back_or_removed() {
    let project = Project::new();
    project.train_through("whole");
    project.train_until(
        "cut",
        |event| matches!(event, TrainingEvent::Logged(line) if line.step == 4),
    );
    let output = project.output("cut");
    // As if killed between the two renamings of a replacement, with the new one half-written.
    std::fs::rename(
        output.join("checkpoint-4"),
        output.join(".checkpoint-4.replaced"),
    )
    .unwrap();
    std::fs::create_dir(output.join(".checkpoint-4.saving")).unwrap();
    std::fs::write(
        output.join(".checkpoint-4.saving/adapter_model.safetensors"),
        "x",
    )
    .unwrap();
    let (latest, _) = latest_checkpoint(&output).unwrap();
    assert_eq!(latest, Some(output.join("checkpoint-4")));
    go_on(&project, "cut");
    assert_same(&output, &project.output("whole"));
}

fn damaged(change: impl FnOnce(&Path)) -> CheckpointProblem {
    let project = Project::new();
    project.train_through("out");
    let output = project.output("out");
    change(&output.join("checkpoint-6"));
    let (latest, skipped) = latest_checkpoint(&output).unwrap();
    let before = latest.unwrap();
    assert_ne!(before, output.join("checkpoint-6"));
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].path, output.join("checkpoint-6"));
    // Asking for it by name is an error, and the one before it still serves.
    let error = project
        .train("out", Some(&skipped[0].path), |_, _| {})
        .unwrap_err();
    assert_eq!(error.to_string(), skipped[0].to_string());
    project.train("out", Some(&before), |_, _| {}).unwrap();
    project.train_through("again");
    assert_same(&output, &project.output("again"));
    skipped[0].problem.clone()
}

#[test]
fn a_checkpoint_that_is_not_whole_is_passed_over_and_named() {
    let problem = damaged(|path| std::fs::remove_file(path.join("training_state.json")).unwrap());
    assert_eq!(problem, CheckpointProblem::NoState);
    let problem = damaged(|path| {
        let path = path.join("optimizer.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    });
    let file = "optimizer.safetensors".to_owned();
    assert_eq!(problem, CheckpointProblem::Digest { file });
    let problem = damaged(|path| {
        let path = path.join("training_state.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            path,
            text.replace("\"format_version\": 1", "\"format_version\": 9"),
        )
        .unwrap();
    });
    assert_eq!(
        problem,
        CheckpointProblem::Version {
            found: 9,
            expected: 1
        }
    );
    let problem = damaged(|path| std::fs::write(path.join("training_state.json"), "{").unwrap());
    assert!(matches!(problem, CheckpointProblem::State { .. }));
    let problem = damaged(|path| std::fs::remove_file(path.join("adapter_config.json")).unwrap());
    assert!(matches!(problem, CheckpointProblem::Unreadable { .. }));
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_what_differs() {
    let refused = |change: fn(&mut Project)| {
        let mut project = Project::new();
        project.train_through("out");
        change(&mut project);
        let checkpoint = project.output("out").join("checkpoint-3");
        let error = project
            .train("out", Some(&checkpoint), |_, _| {})
            .unwrap_err();
        error.to_string()
    };
    let error = refused(|project| project.options.learning_rate = 1e-3);
    assert!(
        error.contains("`learning_rate` was 0.02, is 0.001;"),
        "{error}"
    );
    let error = refused(|project| project.base_digest = "other".to_owned());
    assert!(
        error.contains("`base model` was \"digest\", is \"other\";"),
        "{error}"
    );
    let error = refused(|project| project.data.train.push(example("train", 20)));
    assert!(error.contains("`dataset` was "), "{error}");
    let error = refused(|project| project.data.eval[0].tokens[1] ^= 1);
    assert!(
        error.contains("another run's: `eval_dataset` was "),
        "{error}"
    );
    let error = refused(|project| {
        project.options.seed = 7;
        project.options.eval_steps = None;
    });
    assert!(
        error.contains("`seed` was 42, is 7, `eval_steps` was 2, is null;"),
        "{error}"
    );
}

#[test]
fn what_changes_no_weight_may_be_another() {
    let mut project = Project::new();
    project.train_through("whole");
    project.train_until("cut", |event| matches!(event, TrainingEvent::Logged(_)));
    project.options.gradient_checkpointing = true;
    go_on(&project, "cut");
    let weights =
        |name: &str| std::fs::read(project.output(name).join("adapter_model.safetensors"));
    assert_eq!(weights("cut").unwrap(), weights("whole").unwrap());
}
