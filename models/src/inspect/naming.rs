//! What a model's name tells of its training, by the habits of the families' makers.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

/// What a model was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Training {
    /// To continue text.
    Base,
    /// To answer in a conversation.
    Instruct,
    /// Its name does not tell.
    Unknown,
}

/// Parts of a name that say that it was trained to chat.
const INSTRUCT: [&str; 6] = ["instruct", "chat", "thinking", "sft", "dpo", "assistant"];

/// How the families' own names begin; what other people call `base` need not be one.
static FAMILY: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^(?:meta-|code|tiny)?(?:llama|qwen|gemma|mistral|ministral|mixtral|smollm)";
    Regex::new(pattern).expect("the pattern is written here and right")
});

/// Names without such a part that their makers give to base models: of Llama 2 and 3, Qwen up to 2.5
/// and Gemma the plain name, of Mistral the name with a version.
static PLAIN_IS_BASE: LazyLock<Regex> = LazyLock::new(|| {
    let names = [
        r"(?:meta-)?llama-?(?:2|3|3\.\d)-\d+b",
        r"tinyllama.*-(?:step|intermediate).*",
        r"(?:code)?qwen(?:1\.5|2|2\.5)(?:-coder|-math)?-[\d.]+b",
        r"(?:code)?gemma(?:-[23])?-\d+[bm]",
        r"mi(?:ni)?stral-(?:\d+b|nemo|small)-v\d+\.\d+",
    ];
    let pattern = format!("^(?:{})$", names.join("|"));
    Regex::new(&pattern).expect("the pattern is written here and right")
});

/// Names whose makers give them, plain, to models that were trained to chat.
static PLAIN_IS_INSTRUCT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^qwen3-[\d.]+b$").expect("the pattern is written here and right")
});

/// What is put behind a name when the weights are stored in another way.
static STORAGE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"-(?:unsloth|bnb-4bit|4bit|8bit|hf|fp8|fp16|bf16|awq|gptq|gptq-int[48]|int[48]|gguf|q\d_[\dk](?:_[sml])?)$";
    Regex::new(pattern).expect("the pattern is written here and right")
});

impl Training {
    /// Reads a model's name: an id of the hub, a path or a title.
    pub fn of_name(name: &str) -> Self {
        let name = plain(name);
        let is_familys = FAMILY.is_match(&name);
        let has = |wanted: &[&str]| name.split('-').any(|part| wanted.contains(&part));
        let is_instruct = has(&INSTRUCT) || is_familys && has(&["it"]);
        if is_instruct || PLAIN_IS_INSTRUCT.is_match(&name) {
            Self::Instruct
        } else if is_familys && has(&["base", "pt"]) || PLAIN_IS_BASE.is_match(&name) {
            Self::Base
        } else {
            Self::Unknown
        }
    }
}

/// Returns the last part of an id, path or title in small letters, without what tells of its storage,
/// so that `unsloth/Llama-3.2-1B-bnb-4bit` is `llama-3.2-1b`.
pub(super) fn plain(name: &str) -> String {
    let last = name.trim_end_matches(['/', '\\']);
    let last = last.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut plain = last.trim().to_lowercase().replace([' ', '_'], "-");
    // Each pass shortens it.
    while let Some(end) = STORAGE.find(&plain.clone()) {
        plain.truncate(end.start());
    }
    plain
}

/// Returns what a directory is called: its last part, or in the hub's cache
/// (`models--org--name/snapshots/hash`) the model's name.
pub(super) fn directory_name(directory: &Path) -> Option<String> {
    let resolved = directory.canonicalize().ok()?;
    let of_cache = resolved.iter().find_map(|part| {
        let id = part.to_str()?.strip_prefix("models--")?;
        id.rsplit("--").next().map(str::to_owned)
    });
    let last = || resolved.file_name()?.to_str().map(str::to_owned);
    of_cache.or_else(last)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("meta-llama/Llama-3.2-1B", Training::Base)]
    #[test_case("meta-llama/Meta-Llama-3-8B", Training::Base)]
    #[test_case("meta-llama/Llama-3.2-1B-Instruct", Training::Instruct)]
    #[test_case("meta-llama/Llama-2-7b-hf", Training::Base)]
    #[test_case("meta-llama/Llama-2-7b-chat-hf", Training::Instruct)]
    #[test_case("unsloth/Llama-3.2-1B-unsloth-bnb-4bit", Training::Base)]
    #[test_case("Qwen/Qwen2.5-0.5B", Training::Base)]
    #[test_case("Qwen/Qwen2.5-Coder-7B", Training::Base)]
    #[test_case("Qwen2.5 0.5B Instruct", Training::Instruct)]
    #[test_case("Qwen/Qwen3-0.6B", Training::Instruct)]
    #[test_case("Qwen/Qwen3-0.6B-Base", Training::Base)]
    #[test_case("google/gemma-3-1b-pt", Training::Base)]
    #[test_case("google/gemma-3-270m", Training::Base)]
    #[test_case("google/gemma-3-1b-it", Training::Instruct)]
    #[test_case("mistralai/Mistral-7B-v0.3", Training::Base)]
    #[test_case("mistralai/Mistral-7B-Instruct-v0.3", Training::Instruct)]
    #[test_case("mistralai/Mistral-Nemo-Base-2407", Training::Base)]
    #[test_case("TinyLlama/TinyLlama-1.1B-Chat-v1.0", Training::Instruct)]
    #[test_case("me/my-llama-3-coach", Training::Unknown)]
    #[test_case("./base", Training::Unknown; "a directory is called so for other reasons")]
    #[test_case("coaching-base", Training::Unknown; "somebody's baseline")]
    #[test_case("checkpoint-500", Training::Unknown)]
    #[test_case("", Training::Unknown; "nothing")]
    fn names_tell(name: &str, expected: Training) {
        assert_eq!(Training::of_name(name), expected);
    }

    #[test]
    fn storage_is_no_part_of_a_name() {
        assert_eq!(plain("C:\\m\\Qwen2.5-7B-bnb-4bit\\"), "qwen2.5-7b");
        assert_eq!(plain("Mistral_7B v0.1"), "mistral-7b-v0.1");
    }
}
