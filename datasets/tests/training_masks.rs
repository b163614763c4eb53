//! Holds what is learnt of conversations against transformers' `return_assistant_tokens_mask` and TRL's
//! training templates, token by token.
//!
//! The data, the versions and the script that made them lie in `tests/golden/training_masks`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use shipworthy_datasets::{Conversation, ModelTokenizer, RenderError, read_messages};
use support::{golden, template, tokenizer};

fn conversations() -> BTreeMap<String, Conversation> {
    let path = golden("training_masks/conversations.jsonl");
    let read = read_messages(&path).unwrap();
    let named = read.into_iter().map(|conversation| {
        let id = conversation.id().split_once(" (").unwrap().1;
        (id.trim_end_matches(')').to_owned(), conversation)
    });
    named.collect()
}

#[test]
fn masks_are_those_of_transformers_and_trl() {
    let conversations = conversations();
    let text = std::fs::read_to_string(golden("training_masks/masks.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let mut tokenizers: BTreeMap<(String, String), ModelTokenizer> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut derived = 0;
    let mut refused = 0;
    for case in expected["cases"].as_array().unwrap() {
        let field = |name: &str| case[name].as_str().unwrap().to_owned();
        let key = (field("tokenizer"), field("template"));
        let tokenizer = tokenizers
            .entry(key.clone())
            .or_insert_with(|| tokenizer(&key.0, &template(&key.1)));
        let what = format!("{key:?} {}", field("id"));
        let rendering = match tokenizer.render(&conversations[&field("id")]) {
            Ok(rendering) => rendering,
            // The reference would have an empty reply learnt where a template writes no calls.
            Err(RenderError::NotWritten { .. }) if writes_no_calls(&key.1) => {
                refused += 1;
                continue;
            }
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
        };
        let example = &rendering.example;
        let ids: Vec<String> = example.tokens.iter().map(u32::to_string).collect();
        let mask = example
            .labelled
            .iter()
            .map(|&is| if is { '1' } else { '0' });
        let mask: String = mask.collect();
        if ids.join(" ") != field("ids") {
            wrong.push(format!("{what}: ids"));
        } else if mask != field("mask") {
            let shown = support::marked(&rendering.preview());
            wrong.push(format!(
                "{what}:\n{mask}, expected\n{}\n{shown}",
                field("mask")
            ));
        }
        derived += usize::from(case.get("reference").is_some());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(derived > 100, "only {derived} masks were derived");
    assert_eq!(refused, 5);
}

fn writes_no_calls(name: &str) -> bool {
    !template(name).contains("tool_calls")
}
