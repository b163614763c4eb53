//! What to do with what training left, as commands to copy.

use shipworthy_schema::{TrainingEnding, TrainingReport};

use crate::inert_text::one_line;

/// A step with its command.
pub(super) struct NextStep {
    /// What it is for.
    pub(super) text: String,
    /// The command, in parts between which a line may end.
    pub(super) command: Vec<String>,
}

/// Returns what to do after the run, the first thing first.
pub(super) fn next_steps(report: &TrainingReport) -> Vec<NextStep> {
    let out = report.output_dir.trim_end_matches('/');
    let train = || {
        vec![format!(
            "shipworthy train -c {}",
            quoted(&format!("{out}/finetune_config.yaml"))
        )]
    };
    match &report.ending {
        TrainingEnding::Finished | TrainingEnding::EarlyStopping { .. } => {
            with_weights(report, out)
        }
        TrainingEnding::Interrupted {
            checkpoint: Some(checkpoint),
        } => vec![NextStep {
            text: format!(
                "Go on where it stopped, with resume_from_checkpoint: {out}/{checkpoint} in the \
                 configuration:"
            ),
            command: train(),
        }],
        TrainingEnding::Interrupted { checkpoint: None } | TrainingEnding::Failed { .. } => {
            vec![NextStep {
                text: "Mend the cause named above, then train again:".to_owned(),
                command: train(),
            }]
        }
    }
}

fn with_weights(report: &TrainingReport, out: &str) -> Vec<NextStep> {
    let mut artefacts = report.artefacts.iter();
    let is_adapter = artefacts.any(|artefact| artefact.path.starts_with("adapter_model."));
    let out_file = format!("--out {}", quoted(&format!("{out}.gguf")));
    let q8 = "--type q8_0".to_owned();
    let gguf = "shipworthy gguf".to_owned();
    let mut steps = Vec::new();
    if is_adapter {
        let base = quoted(&report.base.model);
        let adapter = format!("--adapter {}", quoted(out));
        steps.push(NextStep {
            text: "Make a GGUF file for llama.cpp, the adapter merged into its base:".to_owned(),
            command: vec![
                gguf,
                format!("--model {base}"),
                adapter.clone(),
                q8,
                out_file,
            ],
        });
        let merged = format!("--out {}", quoted(&format!("{out}-merged")));
        steps.push(NextStep {
            text: "Or a merged checkpoint, for vLLM and transformers:".to_owned(),
            command: vec![
                "shipworthy merge".to_owned(),
                format!("--base {base}"),
                adapter,
                merged,
            ],
        });
    } else {
        steps.push(NextStep {
            text: "Make a GGUF file for llama.cpp:".to_owned(),
            command: vec![gguf, format!("--model {}", quoted(out)), q8, out_file],
        });
    }
    steps.push(NextStep {
        text: "A loss ships nothing: name the model in shipworthy.yaml beside its baseline, and \
               let people it never met decide:"
            .to_owned(),
        command: vec!["shipworthy eval".to_owned()],
    });
    steps
}

/// Returns `path` as one word of a shell's command, inert.
fn quoted(path: &str) -> String {
    let path = one_line(path);
    // What looks like an option is none behind `./`.
    let path = if path.starts_with('-') {
        format!("./{path}")
    } else {
        path
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=,".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_stays_one_word() {
        assert_eq!(quoted("out/tuned-1.0"), "out/tuned-1.0");
        assert_eq!(quoted("-rf"), "./-rf");
        assert_eq!(quoted("a b; rm $HOME"), "'a b; rm $HOME'");
        assert_eq!(quoted("it's\n`x`"), r"'it'\''s `x`'");
    }
}
