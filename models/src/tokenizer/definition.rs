use serde_json::{Value, json};

use super::error::{TokenizerError, TokenizerProblem, shortened};
use super::tokenizer_json::TokenizerJson;

/// Splits as Llama 3 does: contractions in any case, words, up to three digits, signs, white space.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As Llama 3, but each digit by itself.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Words end where lower case turns into upper case.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// One step of splitting text, before the bytes are spelt as characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Where an expression matches.
    Split(&'static str),
    /// Each digit by itself.
    Digits,
    /// GPT-2's own expression.
    Gpt2,
}

/// A definition and the name llama.cpp gives it.
struct Known {
    name: &'static str,
    steps: &'static [Step],
    /// Whether text is composed (NFC) first. llama.cpp never does; it is allowed for where all
    /// models of the family are so, and text is nearly always composed already.
    composes: bool,
    /// Whether a split that is a token is taken whole, if that has to be one way for the name.
    ignores_merges: Option<bool>,
}

/// The byte-level definitions known.
const KNOWN: [Known; 6] = [
    Known {
        name: "llama-bpe",
        steps: &[Step::Split(LLAMA3)],
        composes: false,
        ignores_merges: Some(true),
    },
    // The same without taking whole tokens: what Llama 3's first files said.
    Known {
        name: "smaug-bpe",
        steps: &[Step::Split(LLAMA3)],
        composes: false,
        ignores_merges: Some(false),
    },
    Known {
        name: "qwen2",
        steps: &[Step::Split(QWEN2)],
        composes: true,
        ignores_merges: Some(false),
    },
    // Every token of Tekken comes of merges, so that taking it whole changes nothing.
    Known {
        name: "tekken",
        steps: &[Step::Split(TEKKEN)],
        composes: false,
        ignores_merges: None,
    },
    Known {
        name: "gpt-2",
        steps: &[Step::Gpt2],
        composes: false,
        ignores_merges: Some(false),
    },
    Known {
        name: "smollm",
        steps: &[Step::Digits, Step::Gpt2],
        composes: false,
        ignores_merges: Some(false),
    },
];

/// How text is split and spelt, as far as the families differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// Bytes spelt as characters; with llama.cpp's name of how text is split.
    ByteLevel { pre: &'static str },
    /// Spaces spelt `▁`, unknown characters as bytes; whether a space is put before text.
    SentencePiece { space_prefix: bool },
}

impl Definition {
    /// Recognises how `tokenizer.json` treats text.
    ///
    /// Errors with the definition, and the names of those known, if it is none of them.
    pub(super) fn recognise(json: &TokenizerJson) -> Result<Self, TokenizerError> {
        let model = &json.model;
        if let Some(kind) = model.kind.as_deref().filter(|kind| *kind != "BPE") {
            let found = format!("a {} model", shortened(kind));
            return Err(TokenizerError::field(
                &json.path,
                "model.type",
                TokenizerProblem::Unsupported { found },
            ));
        }
        for (field, affix) in [
            (
                "continuing_subword_prefix",
                &model.continuing_subword_prefix,
            ),
            ("end_of_word_suffix", &model.end_of_word_suffix),
        ] {
            if let Some(affix) = affix.as_deref().filter(|affix| !affix.is_empty()) {
                let found = format!("a vocabulary with `{}` in parts of words", shortened(affix));
                return Err(TokenizerError::field(
                    &json.path,
                    format!("model.{field}"),
                    TokenizerProblem::Unsupported { found },
                ));
            }
        }
        let recognised = if model.byte_fallback == Some(true) {
            sentencepiece(json)
        } else {
            byte_level(json)
        };
        recognised.ok_or_else(|| unknown(json))
    }
}

fn unknown(json: &TokenizerJson) -> TokenizerError {
    let found = json!({
        "normalizer": json.normalizer,
        "pre_tokenizer": json.pre_tokenizer,
        "byte_fallback": json.model.byte_fallback.unwrap_or(false),
        "ignore_merges": json.model.ignore_merges.unwrap_or(false),
    });
    let names = KNOWN.iter().map(|known| known.name);
    let names: Vec<&str> = names.chain(["SentencePiece's"]).collect();
    TokenizerError::field(
        &json.path,
        "pre_tokenizer",
        TokenizerProblem::Definition {
            found: shortened(&found.to_string()),
            known: names.join(", "),
        },
    )
}

fn byte_level(json: &TokenizerJson) -> Option<Definition> {
    let composes = match kind(&json.normalizer) {
        None if json.normalizer.is_null() => false,
        Some("NFC") => true,
        Some("Sequence") if list(&json.normalizer, "normalizers")?.is_empty() => false,
        _ => return None,
    };
    let steps = steps(&json.pre_tokenizer)?;
    let ignores_merges = json.model.ignore_merges.unwrap_or(false);
    let known = KNOWN.iter().find(|known| {
        known.steps == steps
            && (known.composes || !composes)
            && known
                .ignores_merges
                .is_none_or(|value| value == ignores_merges)
    })?;
    Some(Definition::ByteLevel { pre: known.name })
}

/// Returns the steps of a pre-tokenizer that ends by spelling bytes as characters.
fn steps(pre_tokenizer: &Value) -> Option<Vec<Step>> {
    let parts = match kind(pre_tokenizer)? {
        "Sequence" => list(pre_tokenizer, "pretokenizers")?.as_slice(),
        _ => std::slice::from_ref(pre_tokenizer),
    };
    let (last, parts) = parts.split_last()?;
    // The longest known has two; whoever lists thousands is told that they are not known.
    if parts.len() > 2 || kind(last)? != "ByteLevel" || flag(last, "add_prefix_space", true)? {
        return None;
    }
    let mut steps = parts.iter().map(step).collect::<Option<Vec<Step>>>()?;
    if flag(last, "use_regex", true)? {
        steps.push(Step::Gpt2);
    }
    Some(steps)
}

fn step(part: &Value) -> Option<Step> {
    match kind(part)? {
        "Digits" => flag(part, "individual_digits", false)?.then_some(Step::Digits),
        "Split" => {
            // Both say that the matches are the parts: every expression matches all of the text.
            let isolated = part.get("behavior")?.as_str()? == "Isolated";
            let removed = part.get("behavior")?.as_str()? == "Removed";
            let invert = flag(part, "invert", false)?;
            if !(isolated && !invert || removed && invert) {
                return None;
            }
            let expression = part.get("pattern")?.get("Regex")?.as_str()?;
            let known = [LLAMA3, QWEN2, TEKKEN];
            let found = known.into_iter().find(|known| *known == expression)?;
            Some(Step::Split(found))
        }
        _ => None,
    }
}

fn sentencepiece(json: &TokenizerJson) -> Option<Definition> {
    if json.model.ignore_merges == Some(true) {
        return None;
    }
    let spaces = |value: &Value| {
        kind(value) == Some("Replace")
            && value.get("pattern").and_then(|it| it.get("String")) == Some(&json!(" "))
            && value.get("content") == Some(&json!("▁"))
    };
    let normalizer = &json.normalizer;
    let (spelt, prefixed) = match kind(normalizer) {
        None if normalizer.is_null() => (false, false),
        Some("Replace") if spaces(normalizer) => (true, false),
        Some("Sequence") => match list(normalizer, "normalizers")?.as_slice() {
            [] => (false, false),
            [one] if spaces(one) => (true, false),
            [first, second]
                if kind(first) == Some("Prepend")
                    && first.get("prepend") == Some(&json!("▁"))
                    && spaces(second) =>
            {
                (true, true)
            }
            _ => return None,
        },
        _ => return None,
    };
    let pre_tokenizer = &json.pre_tokenizer;
    let space_prefix = match (spelt, kind(pre_tokenizer)) {
        (true, None) if pre_tokenizer.is_null() => prefixed,
        // Gemma's finds no space any more: they are spelt `▁` by then.
        (true, Some("Split"))
            if pre_tokenizer.get("pattern").and_then(|it| it.get("String"))
                == Some(&json!(" ")) =>
        {
            prefixed
        }
        (false, Some("Metaspace")) => {
            let replaced = pre_tokenizer.get("replacement") == Some(&json!("▁"));
            if !replaced || flag(pre_tokenizer, "split", true)? {
                return None;
            }
            match pre_tokenizer.get("prepend_scheme").and_then(Value::as_str) {
                // llama.cpp puts the space after every control token, as `always` does.
                Some("always" | "first") => true,
                Some("never") => false,
                Some(_) => return None,
                None => flag(pre_tokenizer, "add_prefix_space", true)?,
            }
        }
        _ => return None,
    };
    Some(Definition::SentencePiece { space_prefix })
}

fn kind(value: &Value) -> Option<&str> {
    value.get("type")?.as_str()
}

fn list<'a>(value: &'a Value, field: &str) -> Option<&'a Vec<Value>> {
    value.get(field)?.as_array()
}

/// Returns a truth value, `usual` where it is not given, none where it is none.
fn flag(value: &Value, field: &str, usual: bool) -> Option<bool> {
    match value.get(field) {
        None | Some(Value::Null) => Some(usual),
        Some(value) => value.as_bool(),
    }
}
