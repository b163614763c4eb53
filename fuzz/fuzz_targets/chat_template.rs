//! A chat template, then as JSON what it is given: `messages`, `tools`, `documents`, `prompt`, `continue`
//! and `variables`. A panic of the template engine is an error of ours, any other is a finding.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use shipworthy_fuzz::parts;
use shipworthy_models::{ChatInput, ChatTemplate, LocalTime};

fn usual() -> &'static Value {
    static USUAL: OnceLock<Value> = OnceLock::new();
    USUAL.get_or_init(|| {
        json!({"messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi!"}]},
            {"role": "assistant", "content": "Hello.", "tool_calls": [
                {"type": "function", "function": {"name": "f", "arguments": {"x": 1.5, "y": null}}}
            ]},
        ]})
    })
}

/// Aborts unless the template engine panics: that is caught, and an error.
fn expect_panics_of_the_engine() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_engines = panic
            .location()
            .is_some_and(|location| location.file().contains("/minijinja-"));
        if !is_engines {
            abort(panic);
        }
    }));
}

fuzz_target!(
    init: expect_panics_of_the_engine(),
    |data: &[u8]| {
        let mut parts = parts(data);
        let source = String::from_utf8_lossy(parts.next().unwrap_or_default());
        let Ok(template) = ChatTemplate::new("fuzz", &source) else {
            return;
        };
        let given: Option<Value> = parts.next().and_then(|text| serde_json::from_slice(text).ok());
        let given = given.as_ref().filter(|given| given.is_object()).unwrap_or(usual());
        let list = |name: &str| given.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let input = ChatInput {
            messages: list("messages").unwrap_or_default(),
            tools: list("tools"),
            documents: list("documents"),
            add_generation_prompt: given.get("prompt").is_some_and(|it| it == true),
            continue_final_message: given.get("continue").and_then(Value::as_str),
            variables: given.get("variables").and_then(Value::as_object),
            now: LocalTime::new(2024, 2, 29, 13, 5, 9),
            ..ChatInput::default()
        };
        if let Ok(rendered) = template.render(&input) {
            let _ = rendered.generations();
        }
    }
);
