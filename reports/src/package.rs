//! What a package says of itself: its card, how to serve it, its Modelfile.

use shipworthy_schema::{CandidateTable, Evaluation, ModelName, Package, Verdict};

use crate::candidates::summary_of;
use crate::inert_text::one_line;
use crate::markdown::escape::escaped;
use crate::markdown::{findings_markdown, verdict_markdown};
use crate::model_card::model_index;

/// The ranks that vLLM's `--max-lora-rank` takes.
const VLLM_RANKS: [u32; 8] = [8, 16, 32, 64, 128, 256, 320, 512];

/// How to serve a package with one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The program, with what of the package it takes.
    pub what: &'static str,
    /// Its commands, to be run in the package's directory.
    pub commands: Vec<String>,
}

/// Returns how a package is served, the way it was evaluated first.
pub fn servings(package: &Package) -> Vec<Serving> {
    let name = served_name(package);
    let sampling = &package.sampling;
    let mut llama = format!(
        "llama-server --model {} --alias {name} --host 127.0.0.1 --port 8080 --jinja --temp {} --top-p \
         {} --top-k {} --min-p {}",
        package.gguf, sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p
    );
    if let Some(context) = package.context {
        llama.push_str(&format!(" --ctx-size {context}"));
    }
    let mut servings = vec![
        Serving {
            what: "llama.cpp, the file that was evaluated",
            commands: vec![llama],
        },
        Serving {
            what: "Ollama, the same file",
            commands: vec![
                format!("ollama create {name} -f Modelfile"),
                format!("ollama run {name}"),
            ],
        },
    ];
    if let Some(checkpoint) = &package.checkpoint {
        servings.push(Serving {
            what: "vLLM, the whole checkpoint, which was not evaluated",
            commands: vec![format!(
                "vllm serve {checkpoint} --served-model-name {name} --host 127.0.0.1 --port 8000"
            )],
        });
    }
    if let Some(adapter) = &package.adapter {
        let fitting = VLLM_RANKS.into_iter().find(|rank| *rank >= adapter.rank);
        let rank = fitting.unwrap_or(adapter.rank);
        servings.push(Serving {
            what: "vLLM, base (elsewhere, name your own copy) and adapter, which were not evaluated",
            commands: vec![format!(
                "vllm serve {} --enable-lora --max-lora-rank {rank} --lora-modules {name}={} --host \
                 127.0.0.1 --port 8000",
                quoted(&adapter.base),
                adapter.directory
            )],
        });
    }
    servings
}

/// Returns the name that servers know the model by: letters, digits, `.`, `_` and `-`.
fn served_name(package: &Package) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name = format!("{}-{}", package.project, package.name);
    name.chars().map(plain).collect()
}

/// Returns a word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let word = one_line(word);
    if !word.is_empty() && word.chars().all(is_plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Returns Ollama's `Modelfile`: the file, and how it was evaluated.
///
/// A system prompt with three quotes in a row cannot be written there and is left out.
pub fn modelfile(package: &Package) -> String {
    let sampling = &package.sampling;
    let mut text = format!(
        "FROM ./{}\nPARAMETER temperature {}\nPARAMETER top_p {}\nPARAMETER top_k {}\nPARAMETER min_p \
         {}\nPARAMETER num_predict {}\n",
        package.gguf,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.min_p,
        sampling.max_tokens
    );
    if let Some(context) = package.context {
        text.push_str(&format!("PARAMETER num_ctx {context}\n"));
    }
    let prompt = package.system_prompt.as_deref();
    if let Some(prompt) = prompt.filter(|prompt| !prompt.contains("\"\"\"")) {
        text.push_str(&format!("SYSTEM \"\"\"{prompt}\"\"\"\n"));
    }
    text
}

/// Returns a package's `README.md`: a model card with results, verdict, how to serve it, and where it
/// comes from.
///
/// Names, prompts and configurations are escaped, so that they render as plain text.
pub fn package_card(
    package: &Package,
    evaluation: &Evaluation,
    table: Option<&CandidateTable>,
) -> String {
    let model = ModelName::new(package.name.as_str()).ok();
    let remark = if package.refuted_by.is_some() {
        Some("refuted by other people")
    } else {
        is_unconfirmed(package).then_some("not confirmed")
    };
    let index = model.and_then(|model| model_index(evaluation, &model, remark));
    let mut sections = vec![format!(
        "---\ntags:\n- gguf\n- shipworthy\n{}---\n",
        index.unwrap_or_default()
    )];
    sections.push(format!("# {}\n", escaped(&package.name)));
    if let Some(text) = force_text(package) {
        sections.push(text);
    }
    // The card has a title of its own.
    let verdict = if is_unconfirmed(package) || package.refuted_by.is_some() {
        // That it be shipped does not follow from what was not to ship it.
        findings_markdown(evaluation)
    } else {
        verdict_markdown(evaluation)
    };
    sections.push(verdict.replacen("# ", "## ", 1));
    if let Some(summary) = table.and_then(|table| summary_of(table, &package.name)) {
        sections.push(format!("{}\n", escaped(&summary)));
    }
    sections.push(format!("## Serve\n\n{}", serve(package)));
    sections.push(whence(package, table));
    sections.join("\n")
}

/// Tells whether it passes with the people it was chosen with alone.
fn is_unconfirmed(package: &Package) -> bool {
    package.verdict == Verdict::Ship && package.confirmed == Some(false)
}

/// Returns what a reader must know first of a package that was forced.
fn force_text(package: &Package) -> Option<String> {
    let refuted_by = package.refuted_by.as_deref();
    let text = if let (Some(run), Verdict::Ship) = (refuted_by, package.verdict) {
        let met = if is_unconfirmed(package) {
            "The evaluation below is of the people it was chosen with"
        } else {
            "The evaluation below is of other people"
        };
        format!(
            "**This model is refuted; it was packaged by force.** The verdict of run `{run}`, of people \
             nobody had met, is not “ship”. {met}."
        )
    } else if is_unconfirmed(package) {
        "**This model is not confirmed; it was packaged by force.** It passes with the people it was chosen \
         with, which chooses a candidate and ships none: nobody it was not chosen with has confirmed it. \
         The evaluation below is of the people it was chosen with."
            .to_owned()
    } else if package.verdict != Verdict::Ship || package.forced {
        format!(
            "**This model was packaged although its verdict is “{}”.**",
            package.verdict.label()
        )
    } else {
        return None;
    };
    Some(format!("> {text} Somebody wanted it with `--force`.\n"))
}

fn serve(package: &Package) -> String {
    let mut text = "In this directory:\n".to_owned();
    for serving in servings(package) {
        text.push_str(&format!(
            "\n{}:\n\n```sh\n{}\n```\n",
            serving.what,
            serving.commands.join("\n")
        ));
    }
    if let Some(prompt) = &package.system_prompt {
        text.push_str(&format!(
            "\nIt was evaluated with this system prompt: {}\n",
            escaped(prompt)
        ));
    }
    text
}

fn whence(package: &Package, table: Option<&CandidateTable>) -> String {
    let confirmed = match package.confirmed {
        Some(true) => ", of people nobody had met before",
        Some(false) => ", of people it was chosen with",
        None => "",
    };
    let mut text = format!(
        "## Where it comes from\n\n- {} is SHA-256 `{}`; [package.json](package.json) has every file.\n- The \
         verdict is that of run `{}` against {}{confirmed}: [the whole \
         evaluation](evaluation/evaluation_report.md).\n",
        escaped(&package.gguf),
        package.digest,
        package.run,
        escaped(&package.baseline),
    );
    let has = |path: &str| package.files.iter().any(|file| file.path == path);
    if has("training/lineage.json") {
        text.push_str(
            "- [lineage.json](training/lineage.json): base, data and configuration that its weights \
             follow from; [the training](training/finetune_report.md).\n",
        );
    }
    if has("candidates.md") {
        let best = table.and_then(|table| table.recommended.as_deref());
        text.push_str(if best == Some(package.name.as_str()) {
            "- [All candidates](candidates.md) that it was the best of.\n"
        } else {
            "- [All candidates](candidates.md), of which it was not the best.\n"
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{Digest, PackagedAdapter, Sampling};

    use super::*;

    fn package() -> Package {
        Package {
            format: Package::FORMAT,
            project: "coach".to_owned(),
            name: "good lora_r=8; rm -rf".to_owned(),
            baseline: "base".to_owned(),
            run: "r-1".to_owned(),
            verdict: Verdict::Ship,
            confirmed: Some(true),
            refuted_by: None,
            forced: false,
            gguf: "model-q8_0.gguf".to_owned(),
            digest: Digest::of(b""),
            context: Some(2048),
            sampling: Sampling::default(),
            system_prompt: Some("Be kind.".to_owned()),
            adapter: Some(PackagedAdapter {
                directory: "adapter".to_owned(),
                base: "models/my base".to_owned(),
                rank: 24,
            }),
            checkpoint: None,
            files: Vec::new(),
        }
    }

    #[test]
    fn names_become_no_shell_code() {
        let all = servings(&package());
        let commands: Vec<&str> = all
            .iter()
            .flat_map(|it| &it.commands)
            .map(String::as_str)
            .collect();
        assert_eq!(
            commands,
            [
                "llama-server --model model-q8_0.gguf --alias coach-good-lora_r-8--rm--rf --host 127.0.0.1 \
                 --port 8080 --jinja --temp 0.7 --top-p 0.95 --top-k 0 --min-p 0 --ctx-size 2048",
                "ollama create coach-good-lora_r-8--rm--rf -f Modelfile",
                "ollama run coach-good-lora_r-8--rm--rf",
                "vllm serve 'models/my base' --enable-lora --max-lora-rank 32 --lora-modules \
                 coach-good-lora_r-8--rm--rf=adapter --host 127.0.0.1 --port 8000",
            ]
        );
    }

    #[test]
    fn a_modelfile_says_how_it_was_evaluated() {
        let mut package = package();
        assert_eq!(
            modelfile(&package),
            "FROM ./model-q8_0.gguf\nPARAMETER temperature 0.7\nPARAMETER top_p 0.95\nPARAMETER top_k 0\n\
             PARAMETER min_p 0\nPARAMETER num_predict 256\nPARAMETER num_ctx 2048\nSYSTEM \"\"\"Be \
             kind.\"\"\"\n"
        );
        package.system_prompt = Some("\"\"\"\nFROM /etc/passwd".to_owned());
        assert!(!modelfile(&package).contains("passwd"));
    }
}
