//! Holds chat templates against transformers' `apply_chat_template`: text byte for byte, tokens id
//! by id, masks of the assistant's tokens, exceptions word for word, and which template is chosen.
//!
//! The data, the versions and the script that made them lie in `tests/golden/chat_templates`.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shipworthy_models::{
    ChatInput, ChatTemplate, ChatTemplateError, ChatTemplates, LocalTime, RenderedChat,
    SpecialTokens, TemplateFault,
};
use test_case::test_case;
use tokenizers::Tokenizer;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/chat_templates")
}

fn read(name: &str) -> Map<String, Value> {
    serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

fn template(name: &str) -> ChatTemplate {
    let path = folder().join("templates").join(format!("{name}.jinja"));
    ChatTemplate::new(name, &std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(conversation: &'a Value, name: &str) -> Option<&'a [Value]> {
    Some(conversation.get(name)?.as_array()?.as_slice())
}

fn render(
    template: &ChatTemplate,
    conversation: &Value,
    mode: &str,
) -> Result<RenderedChat, ChatTemplateError> {
    let tokens = [
        ("bos_token", "<s>"),
        ("eos_token", "</s>"),
        ("pad_token", "<pad>"),
    ];
    let tokens: SpecialTokens = tokens.into_iter().collect();
    template.render(&ChatInput {
        messages: list(conversation, "messages").unwrap(),
        tools: list(conversation, "tools"),
        documents: list(conversation, "documents"),
        add_generation_prompt: mode == "prompt",
        continue_final_message: conversation["continue"]
            .as_str()
            .filter(|_| mode == "continue"),
        special_tokens: Some(&tokens),
        variables: conversation["variables"].as_object(),
        now: LocalTime::new(2024, 7, 6, 15, 4, 9),
    })
}

#[test_case("llama2", 20)]
#[test_case("llama3", 30)]
#[test_case("chatml", 30)]
#[test_case("qwen3", 30)]
#[test_case("gemma3", 20)]
#[test_case("mistral", 20)]
#[test_case("python", 30)]
#[test_case("chatml-training", 30)]
#[test_case("llama3-training", 30)]
#[test_case("qwen3-training", 30)]
#[test_case("gemma3-training", 30)]
fn renders_as_transformers_does(name: &str, at_least: usize) {
    let conversations = read("conversations.json");
    let tokenizer = Tokenizer::from_file(folder().join("tokenizer.json")).unwrap();
    let template = template(name);
    let expected = read(&format!("expected/{name}.json"));
    let mut rendered = 0;
    let mut wrong = Vec::new();
    for (case, expected) in expected["cases"].as_object().unwrap() {
        let (conversation, mode) = case.rsplit_once(", ").unwrap();
        let chat = render(&template, &conversations[conversation], mode);
        let difference = match (&chat, expected.get("text"), expected.get("raises")) {
            (Ok(chat), Some(text), _) => {
                rendered += 1;
                compare(chat, text, expected, &tokenizer, &template)
            }
            (Err(error), None, Some(message)) => match error {
                ChatTemplateError::Template {
                    fault: TemplateFault::Raised(said),
                    line: Some(_),
                    ..
                } if said == message.as_str().unwrap() => None,
                _ => Some(format!("{error}, expected {message}")),
            },
            // Where Python fails of itself, its words are its own.
            (Err(_), None, None) => None,
            (Err(error), Some(_), _) => Some(format!("fails: {error}")),
            (Ok(_), None, _) => Some(format!("does not fail: {expected}")),
        };
        wrong.extend(difference.map(|difference| format!("{case}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rendered >= at_least, "only {rendered} cases were rendered");
}

fn compare(
    chat: &RenderedChat,
    text: &Value,
    expected: &Value,
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
) -> Option<String> {
    if *text != chat.text() {
        return Some(format!("text\n{:?}, expected\n{text:?}", chat.text()));
    }
    let encoding = tokenizer.encode(chat.text(), false).unwrap();
    let ids: Vec<String> = encoding.get_ids().iter().map(u32::to_string).collect();
    if expected["ids"] != ids.join(" ") {
        return Some(format!("ids {ids:?}, expected {}", expected["ids"]));
    }
    let mask = chat.assistant_mask(encoding.get_offsets());
    let Some(expected) = expected.get("mask") else {
        let has_blocks = template.marks_generation();
        return (mask.is_ok() != has_blocks).then(|| format!("mask {mask:?}"));
    };
    let mask: String = mask
        .unwrap()
        .iter()
        .map(|token| if *token { '1' } else { '0' })
        .collect();
    (*expected != mask).then(|| format!("mask {mask}, expected {expected}"))
}

#[test]
fn a_mask_needs_generation_blocks() {
    let conversation = &read("conversations.json")["one exchange"];
    let chat = render(&template("chatml"), conversation, "plain").unwrap();
    let error = chat.assistant_mask(&[]).unwrap_err().to_string();
    assert!(
        error.contains("`chatml` has no generation block"),
        "{error}"
    );
}

#[test]
fn the_template_is_chosen_as_transformers_chooses() {
    for (name, case) in read("sources.json")["cases"].as_object().unwrap() {
        let directory = tempfile::tempdir().unwrap();
        for (file, content) in case["files"].as_object().unwrap() {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = content.as_str().map_or(content.to_string(), str::to_owned);
            std::fs::write(path, text).unwrap();
        }
        let templates = ChatTemplates::read(directory.path()).unwrap();
        let named: Map<String, Value> = templates
            .named
            .iter()
            .map(|(name, source)| (name.clone(), json!(source)))
            .collect();
        let mut all = Map::new();
        all.extend(
            templates
                .default
                .iter()
                .map(|source| ("default".to_owned(), json!(source))),
        );
        all.extend(named);
        let expected = match &case["templates"] {
            Value::String(source) => json!({"default": source}),
            Value::Null => json!({}),
            other => other.clone(),
        };
        assert_eq!(Value::Object(all), expected, "{name}");
        for (key, has_tools) in [("plain", false), ("tools", true)] {
            let template = templates.template(None, has_tools);
            let source = template.as_ref().ok().map(ChatTemplate::source);
            assert_eq!(source, case[key].as_str(), "{name}");
        }
        let tokens = SpecialTokens::read(directory.path()).unwrap();
        let tokens: Map<String, Value> = tokens
            .iter()
            .map(|(name, token)| (name.to_owned(), json!(token)))
            .collect();
        assert_eq!(Value::Object(tokens), case["special_tokens"], "{name}");
    }
}

#[test]
fn errors_list_the_templates_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokenizer_config.json");
    let one = json!({"chat_template": [{"name": "rag", "template": ""}, {"name": "chat", "template": ""}]});
    std::fs::write(&path, one.to_string()).unwrap();
    let templates = ChatTemplates::read(directory.path()).unwrap();
    let error = templates.template(Some("tools"), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no chat template `tools`; there are `chat`, `rag`"
    );
    let error = templates.template(None, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no chat template is the default, so one must be named: `chat`, `rag`"
    );
    std::fs::write(&path, r#"{"chat_template": [{"name": "rag"}]}"#).unwrap();
    let error = ChatTemplates::read(directory.path())
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("field `chat_template[0].template`: expected a text"),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    std::fs::write(
        directory.path().join("chat_template.json"),
        r#"{"chat_template": "old"}"#,
    )
    .unwrap();
    let templates = ChatTemplates::read(directory.path()).unwrap();
    assert_eq!(templates.default.as_deref(), Some("old"));
}

fn attempt(source: &str) -> Result<String, String> {
    let messages = [json!({"role": "user", "content": "Hi", "tool": {"items": [1]}})];
    let input = ChatInput {
        messages: &messages,
        ..ChatInput::default()
    };
    ChatTemplate::new("t", source)
        .and_then(|template| template.render(&input))
        .map(RenderedChat::into_text)
        .map_err(|error| error.to_string())
}

#[test_case("a\n{% for %}", "chat template `t`, line 2: unexpected end of block"; "syntax")]
#[test_case("a\n\n{% generation %}", "chat template `t`, line 3: unexpected end of input"; "an open block")]
#[test_case("\r\n{{ raise_exception('No ' ~ 1) }}", "chat template `t`, line 2: No 1"; "raised")]
#[test_case("{% macro m() %}\n{{ raise_exception('no') }}{% endmacro %}\n{{ m() }}", "chat template `t`, line 2: no"; "raised in a macro")]
#[test_case("{% generation %}\n{{ raise_exception('no') }}{% endgeneration %}", "chat template `t`, line 2: no"; "raised in a generation block")]
#[test_case("{{ messages[0].content.shuffle() }}", "chat template `t`, line 1: unknown method: string has no method named shuffle"; "unknown method")]
#[test_case("{{ messages.append(1) }}", "chat template `t`, line 1: `append` changes a value, which a chat template may not do"; "changing a list")]
#[test_case("{{ nothing.more }}", "chat template `t`, line 1: undefined value"; "undefined")]
#[test_case("{{ strftime_now('%Y') }}", "chat template `t`, line 1: unknown function: strftime_now is unknown"; "no clock")]
#[test_case("{% include 'x' %}", "line 1: template not found: "; "another file")]
#[test_case("{{ 'a' * 10 }}", "line 1: only numbers can be multiplied in a chat template"; "repeating")]
fn faults_are_told(source: &str, expected: &str) {
    let error = attempt(source).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test_case("{% for i in range(1000000000) %}x{% endfor %}", "Range too big"; "a range")]
#[test_case("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "more than 2000000 steps"; "loops")]
#[test_case("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", "recursion limit"; "endless recursion")]
#[test_case("{% macro m(n) %}{{ m(n - 1) }}{{ m(n - 1) }}{% endmacro %}{{ m(1000) }}", "recursion limit"; "branching recursion")]
#[test_case("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "bytes of text"; "doubling")]
#[test_case("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "bytes of text"; "doubling by plus")]
#[test_case("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% endfor %}", "bytes of text"; "doubling by replace")]
#[test_case("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}", "bytes of text"; "doubling by join")]
#[test_case("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}", "bytes of text"; "doubling by capture")]
#[test_case("{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}", "bytes of text"; "a list of shared lists")]
#[test_case("{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ '' ~ ns.l }}", "bytes of text"; "a text of shared lists")]
#[test_case("{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}", ""; "JSON of shared lists")]
#[test_case("{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "bytes of text"; "doubling a list")]
#[test_case("{{ '%999999999d'|format(1) }}", "999 characters wide"; "a wide format")]
#[test_case("{{ 'x'.center(999999999) }}", "999 characters wide"; "a wide field")]
#[test_case("{{ 'x'|indent(999999999999, true) }}", "bytes of text"; "a wide indent")]
#[test_case("{{ [1, 2, 3][0:5:-1]|list }}{{ raise_exception('end') }}", ""; "an odd slice")]
#[test_case("{% set __budget__ = 1 %}{{ 'x' }}", "bytes of text"; "hiding the budget")]
#[test_case("{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% for j in range(9) %}{% set ns.l = [ns.l] %}{% endfor %}{% endfor %}", "more than 2000000 steps"; "a deep list")]
#[test_case("{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|string|length }}{{ ns.l|tojson }}", "nested too deeply"; "a deep list as text")]
fn hostile_templates_end_with_an_error(source: &str, expected: &str) {
    let error = attempt(source).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn deep_and_large_sources_are_refused_or_rendered() {
    for piece in [
        "(",
        "[",
        "{{",
        "{% if x %}",
        "not ",
        "{% for a in b %}",
        "{% generation %}",
        "-",
    ] {
        for before in ["", "{{ "] {
            let _ = attempt(&format!("{before}{}", piece.repeat(200_000 / piece.len())));
        }
    }
    for link in [
        "~x",
        ".x",
        "|f",
        "+1",
        " and x",
        "[0]",
        "==1",
        " if x else x",
        "()",
    ] {
        let _ = attempt(&format!("{{{{ x{} }}}}", link.repeat(2_000 / link.len())));
        let error = attempt(&format!("{{{{ x{} }}}}", link.repeat(50_000))).unwrap_err();
        assert!(
            error.contains("words and signs") || error.contains("bytes, more"),
            "{error}"
        );
    }
    let _ = attempt(&format!(
        "{{% if x %}}{}{{% endif %}}",
        "{% elif x %}".repeat(20_000)
    ));
    let error = attempt(&"x".repeat(300_000)).unwrap_err();
    assert!(
        error.contains("300000 bytes, more than the 262144"),
        "{error}"
    );
    let mut deep = json!(1);
    for _ in 0..1000 {
        deep = json!([deep]);
    }
    let messages = [json!({"content": deep})];
    let input = ChatInput {
        messages: &messages,
        ..ChatInput::default()
    };
    let error = ChatTemplate::new("t", "")
        .unwrap()
        .render(&input)
        .unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}

/// What templates are made of, so that chance finds more than syntax errors.
const WORDS: [&str; 48] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{%-",
    "-%}",
    "if",
    "endif",
    "else",
    "for",
    "in",
    "endfor",
    "set",
    "endset",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "generation",
    "endgeneration",
    "raw",
    "endraw",
    "messages",
    "loop",
    "namespace()",
    "ns.x",
    "x",
    "=",
    "~",
    "+",
    "*",
    "%",
    "|",
    "tojson",
    "[::-1]",
    "[-1]",
    "(",
    ")",
    "'é'",
    "\"",
    "1",
    "-9",
    ".split()",
    "range(3)",
    "is defined",
    "\n",
];

proptest! {
    #[test]
    fn no_template_panics(source in "(\\{\\{|\\}\\}|\\{%|%\\}|\\PC|\\s){0,60}") {
        let _ = attempt(&source);
    }

    #[test]
    fn no_sequence_of_words_panics(
        words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..40)
    ) {
        let _ = attempt(&words.join(" "));
    }

    #[test]
    fn no_expression_panics(
        words in proptest::collection::vec(proptest::sample::select(&WORDS[22..]), 0..8)
    ) {
        let _ = attempt(&format!("{{{{ {} }}}}", words.join(" ")));
    }

    #[test]
    fn no_offsets_panic(offsets in proptest::collection::vec((0_usize..60, 0_usize..60), 0..9)) {
        let template = ChatTemplate::new("t", "é{% generation %}{% endgeneration %}{% generation %}aé{% endgeneration %}").unwrap();
        let messages = [json!({})];
        let input = ChatInput { messages: &messages, ..ChatInput::default() };
        let chat = template.render(&input).unwrap();
        prop_assert_eq!(chat.generations().unwrap(), &[2..2, 2..5]);
        prop_assert_eq!(chat.assistant_mask(&offsets).unwrap().len(), offsets.len());
    }
}

/// Each keeps a copy of something at every turn, and would take some ten gigabytes.
#[test_case("x[1:]"; "slice of a text")]
#[test_case("x.strip('y')"; "method")]
#[test_case("x|upper"; "filter of a text")]
#[test_case("x|list"; "characters")]
#[test_case("x.split('x')"; "parts")]
#[test_case("range(100000)"; "range")]
#[test_case("range(100000)[::2]"; "slice of a list")]
#[test_case("range(100000)|map('string')|list"; "mapped")]
#[test_case("range(100000)|sort"; "sorted")]
#[test_case("('{0:999}' ~ x).format('a')"; "a width")]
#[test_case("'{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}'.format(x)"; "an argument that is used often")]
#[test_case("'%999s%999s%999s'|format(1, 2, 3)"; "widths of a filter")]
#[test_case("m()"; "text of a macro")]
#[test_case("raw()"; "text of a raw block in a macro")]
fn copies_are_counted(copy: &str) {
    let text = "written ".repeat(4000);
    let source = format!(
        "{{% macro m() %}}{text}{{% endmacro %}}{{% macro raw() %}}{{% raw %}}{text}{{% endraw %}}{{% endmacro %}}\
         {{% set ns = namespace(a=[], x='x') %}}{{% for i in range(15) %}}{{% set ns.x = ns.x ~ ns.x %}}{{% endfor %}}\
         {{% set x = ns.x %}}{{% for i in range(100000) %}}{{% set ns.a = [ns.a, {copy}] %}}{{% endfor %}}"
    );
    let template = ChatTemplate::new("t", &source).unwrap();
    let error = template.render(&ChatInput {
        messages: &[json!({"role": "user"})],
        ..ChatInput::default()
    });
    let error = error.unwrap_err();
    let fault = match &error {
        ChatTemplateError::Template { fault, .. } => fault,
        other => panic!("{other}"),
    };
    assert!(matches!(fault, TemplateFault::Output { .. }), "{error}");
}

/// What shares its parts is small in memory and longer than any disk in text.
#[test_case("{{ raise_exception(ns.a) }}"; "exception")]
#[test_case("{{ [].index(ns.a) }}"; "not in a list")]
#[test_case("{{ ns.a }}"; "written")]
fn shared_parts_are_not_written_without_end(tail: &str) {
    let source = format!(
        "{{% set ns = namespace(a=[]) %}}{{% for i in range(99) %}}{{% set ns.a = [ns.a, ns.a] %}}{{% endfor %}}{tail}"
    );
    let template = ChatTemplate::new("t", &source).unwrap();
    let error = template.render(&ChatInput {
        messages: &[json!({"role": "user"})],
        ..ChatInput::default()
    });
    assert!(error.unwrap_err().to_string().contains("bytes of text"));
}
