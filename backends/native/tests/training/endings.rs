use shipworthy_native::{Ending, TrainingEvent};

use crate::support::{Project, files};

fn checkpoint_steps(project: &Project, name: &str) -> Vec<usize> {
    let names = files(&project.output(name));
    let mut steps: Vec<usize> = names
        .keys()
        .filter_map(|name| {
            name.strip_prefix("checkpoint-")?
                .split('/')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Examples that teach one token only, so that each step makes the held-out ones less likely.
fn diverging() -> Project {
    let mut project = Project::new();
    for example in &mut project.data.train {
        example.tokens[1..].fill(5);
    }
    project.options.eval_steps = Some(1);
    project.options.save_steps = None;
    project.options.early_stopping_patience = Some(2);
    project
}

#[test]
fn patience_ends_a_run_and_the_best_weights_are_written() {
    let project = diverging();
    let mut events = Vec::new();
    let outcome = project
        .train("out", None, |event, _| events.push(event.clone()))
        .unwrap();
    assert_eq!(outcome.ending, Ending::StoppedEarly);
    let (best_step, _) = outcome.best.unwrap();
    assert_eq!(outcome.steps, best_step + 2);
    assert_eq!(
        checkpoint_steps(&project, "out"),
        [best_step, best_step + 2]
    );
    let files = files(&project.output("out"));
    let best = &files[&format!("checkpoint-{best_step}/adapter_model.safetensors")];
    assert!(files["adapter_model.safetensors"] == *best);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, TrainingEvent::StoppingEarly { .. }))
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, TrainingEvent::BestLoaded { .. }))
    );
}

#[test]
fn only_so_many_checkpoints_are_kept_and_the_best_always() {
    let mut project = diverging();
    project.options.early_stopping_patience = None;
    project.options.save_steps = Some(1);
    project.options.save_total_limit = Some(2);
    let outcome = project.train_through("out");
    assert_eq!(outcome.ending, Ending::Complete);
    let (best_step, _) = outcome.best.unwrap();
    assert!(best_step < 5, "held-out loss did not get worse");
    assert_eq!(checkpoint_steps(&project, "out"), [best_step, 6]);
    project.options.save_total_limit = Some(3);
    project.train_through("three");
    assert_eq!(checkpoint_steps(&project, "three"), [best_step, 5, 6]);
}

#[test]
fn without_evaluation_the_last_step_is_saved_and_written() {
    let mut project = Project::new();
    project.options.eval_steps = None;
    project.options.save_steps = None;
    project.train_through("out");
    assert_eq!(checkpoint_steps(&project, "out"), [6]);
}
