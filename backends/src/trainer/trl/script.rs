use shipworthy_schema::finetune::{
    Distributed, FinetuneConfig, Method, Objective, Optim, ReportTo,
};

use super::limits;
use super::literal::json_literal;
use super::settings::settings;
use crate::trainer::TrainError;

/// Parts of the script; what stands between them is the header and the settings.
const HEAD: &str = include_str!("script/head.py");
const SFT: &str = include_str!("script/sft.py");
const DPO: &str = include_str!("script/dpo.py");
const TAIL: &str = include_str!("script/tail.py");

/// Where the settings go.
const PLACE_OF_SETTINGS: &str = "CONFIG_LITERAL";

/// What the script was run with; each is exact, for all of them change what they mean from week to week.
const ALWAYS: [&str; 8] = [
    "accelerate==1.15.0",
    "datasets==5.2.0",
    "huggingface_hub==2.4.0",
    "peft==0.21.2",
    "safetensors==0.8.0",
    "torch==2.15.0",
    "transformers==5.23.0",
    "trl==1.16.0",
];
const BITSANDBYTES: &str = "bitsandbytes==0.50.2";
const DEEPSPEED: &str = "deepspeed==0.19.8";
const TRACKIO: &str = "trackio==0.43.0";

/// Where a script finds what it needs, seen from where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptPlace {
    /// The model: a directory, or a repository on the Hub.
    pub model: String,
    /// The model's revision on the Hub.
    pub model_revision: Option<String>,
    /// What is learnt from.
    pub dataset: ScriptData,
    /// What is held out; present exactly if the configuration has an `eval_dataset`.
    pub eval_dataset: Option<ScriptData>,
    /// The directory that everything is written into.
    pub output_dir: String,
    /// The adapter to start from: a directory, or a repository on the Hub.
    pub init_adapter: Option<String>,
    /// What to go on from.
    pub resume: ScriptResume,
}

/// A JSON Lines file that a script reads.
///
/// Rows have `input_ids` and `labels` (−100 where nothing is learnt), or `messages` and perhaps `tools`;
/// for preferences `prompt`, `chosen` and `rejected`, each a text or a list of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptData {
    /// A file where the script runs.
    File {
        /// Its path.
        path: String,
        /// The SHA-256 it must have, in hexadecimal; none: any.
        sha256: Option<String>,
    },
    /// A file of a data set on the Hub.
    Hub {
        /// `owner/name`.
        repository: String,
        /// Its path there.
        path: String,
        /// The revision; none: the newest.
        revision: Option<String>,
        /// The SHA-256 it must have, in hexadecimal; none: any.
        sha256: Option<String>,
    },
}

/// What a script goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptResume {
    /// It begins anew.
    Anew,
    /// The latest checkpoint of the output directory.
    Latest,
    /// A checkpoint's directory.
    Checkpoint(String),
}

/// Returns a Python script that fine-tunes with TRL as `config` says: a whole file, for `uv run` or for a
/// Python with the packages that [`script_requirements`] lists.
///
/// It prints one line of JSON for each thing that happens, with the key `shipworthy`, and writes
/// `training_summary.json` beside the weights. Everything that `config` and `place` say stands in one JSON
/// literal; no text of theirs becomes code. Errors if `config` asks for what TRL does not do.
pub fn training_script(config: &FinetuneConfig, place: &ScriptPlace) -> Result<String, TrainError> {
    limits::check(config)?;
    let (what, part) = match config.objective {
        Objective::Sft => ("on replies", SFT),
        Objective::Dpo => ("on preferences", DPO),
    };
    let mut text =
        String::from("# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n");
    for requirement in script_requirements(config) {
        text.push_str("#     \"");
        text.push_str(requirement);
        text.push_str("\",\n");
    }
    text.push_str("# ]\n# ///\n\"\"\"Fine-tunes a model ");
    text.push_str(what);
    text.push_str(
        " with TRL; written by shipworthy. Run it with `uv run`: it brings the packages above.\"\"\"\n\n",
    );
    let literal = json_literal(&settings(config, place));
    let (before, after) = HEAD
        .split_once(PLACE_OF_SETTINGS)
        .expect("the head has a place for the settings");
    for part in [before, &literal, after, part, TAIL] {
        text.push_str(part);
    }
    Ok(text)
}

/// Returns the packages that the script of a configuration needs, each with its version.
pub fn script_requirements(config: &FinetuneConfig) -> Vec<&'static str> {
    let mut requirements = ALWAYS.to_vec();
    if config.method == Method::Qlora || config.optim == Optim::Adamw8bit {
        requirements.push(BITSANDBYTES);
    }
    let is_deepspeed = matches!(config.distributed, Distributed::Zero2 | Distributed::Zero3);
    if config.num_processes > 1 && is_deepspeed {
        requirements.push(DEEPSPEED);
    }
    if config.report_to == ReportTo::Trackio {
        requirements.push(TRACKIO);
    }
    requirements.sort_unstable();
    requirements
}

/// Returns the version of TRL that scripts are written for.
pub(super) fn trl_version() -> &'static str {
    let trl = ALWAYS.iter().find_map(|one| one.strip_prefix("trl=="));
    trl.expect("TRL is among the requirements")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn place() -> ScriptPlace {
        let file = |path: &str| ScriptData::File {
            path: path.to_owned(),
            sha256: None,
        };
        ScriptPlace {
            model: "../base".to_owned(),
            model_revision: None,
            dataset: file("data/train.jsonl"),
            eval_dataset: None,
            output_dir: ".".to_owned(),
            init_adapter: None,
            resume: ScriptResume::Anew,
        }
    }

    fn script(more: &str, place: &ScriptPlace) -> String {
        let least = "model: m\ndataset: d\noutput_dir: o\ntrainer: trl\n";
        let (config, _) = FinetuneConfig::parse(&format!("{least}{more}"), "f").unwrap();
        training_script(&config, place).unwrap()
    }

    /// The header and the settings, the rest being the same for all runs of an objective.
    fn varying(script: &str) -> &str {
        let end = script.find("\n''')").unwrap();
        &script[..end]
    }

    #[test]
    fn replies_are_learnt_with_an_adapter_of_four_bits() {
        assert_snapshot!(script("", &place()));
    }

    #[test]
    fn preferences_are_learnt() {
        assert_snapshot!(script(
            "objective: dpo\nmethod: lora\nlora_r: 8\nlora_alpha: 16\n",
            &place()
        ));
    }

    #[test]
    fn a_run_on_the_hub_names_what_is_there() {
        let hub = |path: &str| ScriptData::Hub {
            repository: "someone/conversations".to_owned(),
            path: path.to_owned(),
            revision: Some("main".to_owned()),
            sha256: Some("0".repeat(64)),
        };
        let place = ScriptPlace {
            model: "google/gemma-3-12b-it".to_owned(),
            model_revision: Some("abc".to_owned()),
            dataset: hub("train.jsonl"),
            eval_dataset: Some(hub("eval.jsonl")),
            output_dir: "out".to_owned(),
            init_adapter: None,
            resume: ScriptResume::Latest,
        };
        let more = "eval_dataset: e\neval_steps: 50\nreport_to: trackio\nproject: coaching\n\
                    run_name: gemma3-12b\ntrackio_space_id: someone/trackio\n\
                    hub_model_id: someone/gemma-3-12b-coach\nhub_strategy: checkpoint\n\
                    early_stopping_patience: 3\n";
        assert_snapshot!(varying(&script(more, &place)));
    }

    #[test]
    fn a_whole_model_is_shared_out() {
        let more = "method: full\nnum_processes: 8\ndistributed: zero3\ncpu_offload: true\n";
        assert_snapshot!(varying(&script(more, &place())));
    }

    #[test]
    fn hostile_texts_stay_texts() {
        let hostile = "'''\nimport os\n# ///\n# dependencies = [\"evil\"]\n# ///\n\\";
        let place = ScriptPlace {
            model: hostile.to_owned(),
            output_dir: "\u{2028}\u{202e}CONFIG_LITERAL".to_owned(),
            ..place()
        };
        let script = script("", &place);
        let comments = script.lines().filter(|line| line.starts_with("# ///"));
        assert_eq!(comments.count(), 2, "{script}");
        assert_eq!(script.matches("'''").count(), 2);
        let literal = script.split("'''").nth(1).unwrap();
        let read: serde_json::Value = serde_json::from_str(literal).unwrap();
        assert_eq!(read["model"], hostile);
    }
}
