//! From a file and a checkpoint to examples, with what is told of them and what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};
use shipworthy_datasets::{
    Conversation, DatasetOptions, DatasetReport, ExcessLength, Loss, ModelTokenizer, RenderError,
    TemplateOptions, TokenisedDataset,
};
use support::{checkpoint, golden, marked, template, tokenizer};
use tempfile::TempDir;
use test_case::test_case;

fn conversation(turns: &[(&str, &str)]) -> Conversation {
    let messages = turns
        .iter()
        .map(|(role, content)| json!({"role": role, "content": content}));
    let line = json!({"messages": messages.collect::<Vec<Value>>()}).to_string();
    Conversation::parse("train.jsonl:1", &line).unwrap()
}

fn exchange() -> Conversation {
    conversation(&[("user", "Hi"), ("assistant", "Hello")])
}

fn file(lines: &[Value]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("train.jsonl");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    (directory, path)
}

fn line(user: &str, reply: &str) -> Value {
    json!({"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": reply}]})
}

fn warnings(report: &DatasetReport) -> Vec<String> {
    report.warnings.iter().map(ToString::to_string).collect()
}

const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

#[test]
fn replies_and_the_tokens_that_end_them_are_learnt() {
    let tokenizer = tokenizer("qwen2", CHATML);
    let turns = [
        ("system", "Brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "<|im_start|>assistant\nHello<|im_end|>\n"),
        ("assistant", " Bye\u{1b}[2J\n"),
    ];
    let rendering = tokenizer.render(&conversation(&turns)).unwrap();
    assert_eq!(
        marked(&rendering.preview()),
        "<|im_start|>system⏎\nBrief.<|im_end|>⏎\n<|im_start|>user⏎\nHi<|im_end|>⏎\n<|im_start|>assistant⏎\n[[Hello<|im_end|>]]⏎\n<|im_start|>user⏎\n<|im_start|>assistant⏎\nHello<|im_end|>⏎\n<|im_end|>⏎\n<|im_start|>assistant⏎\n[[ Bye<U+001B>[2J⏎\n<|im_end|>]]⏎\n"
    );
    let notes: Vec<String> = rendering.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["a message says `<|im_start|>`, which is read as the special token"]
    );
    assert!(rendering.end_of_turn.iter().eq(["<|im_end|>"]));
}

#[test]
fn a_block_that_ends_before_the_turn_does_is_extended() {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{{ '\n' }}{% endfor %}";
    let tokenizer = tokenizer("qwen2", source);
    let turns = [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "And?"),
        ("assistant", "Bye"),
    ];
    let rendering = tokenizer.render(&conversation(&turns)).unwrap();
    let shown = marked(&rendering.preview());
    assert!(shown.contains("[[Hello<|im_end|>]]⏎\n"), "{shown}");
    assert!(shown.contains("[[Bye<|im_end|>]]⏎\n"), "{shown}");
    let note = rendering.notes.first().unwrap().to_string();
    assert!(note.contains("ends before `<|im_end|>`"), "{note}");
}

#[test]
fn blocks_that_transformers_gives_up_are_learnt_whole() {
    // Tokens' offsets leave the space before a word out, as with Llama 3's own tokenizer.
    let directory = checkpoint(
        "llama3",
        Some(
            "{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>' }}{% if m.role == 'assistant' %}{% generation %}{{ ' ' + m.content + '<|eot_id|>' }}{% endgeneration %}{% else %}{{ m.content + '<|eot_id|>' }}{% endif %}{% endfor %}",
        ),
    );
    let path = directory.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace("\"trim_offsets\": false", "\"trim_offsets\": true");
    assert_ne!(changed, text);
    std::fs::write(&path, changed).unwrap();
    let tokenizer =
        ModelTokenizer::open(directory.path(), 500, TemplateOptions::default()).unwrap();
    let rendering = tokenizer.render(&exchange()).unwrap();
    let shown = marked(&rendering.preview());
    assert!(shown.ends_with("[[ Hello<|eot_id|>]]"), "{shown}");
}

#[test_case("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
    "after message 1 the chat template writes `⏎`, in which no special token ends the turn: the model would never learn to stop; let the template write the end-of-turn token there"; "no end")]
#[test_case("{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{{ '\n' }}{% endfor %}",
    "the chat template's last generation block ends with `Hello` and is followed by `⏎`: no special token ends the turn, so the model would never learn to stop; put the end-of-turn token into the block"; "no end behind a block")]
#[test_case("{% for m in messages if m.role == 'tool' %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}nothing",
    "no token of `nothing` carries a label; put `{% generation %}` and `{% endgeneration %}` around the reply and its end-of-turn token in the chat template"; "no label")]
#[test_case("{% for m in messages if m.role == 'user' %}{{ m.content + '<|im_end|>' }}{% endfor %}",
    "the chat template does not write message 1, the assistant's `Hello`, as it is; put `{% generation %}` and `{% endgeneration %}` around the reply and its end-of-turn token in the chat template, or remove the message"; "not written")]
#[test_case("{% for m in messages %}{{ m.content | upper + '<|im_end|>' }}{% endfor %}",
    "the chat template does not write message 1, the assistant's `Hello`, as it is; "; "in other letters")]
#[test_case("{% for m in messages %}{{ m.content | replace('l', 'L') + '<|im_end|>' }}{% endfor %}",
    "the chat template rewrites what is said near `LLo<|im_end|>`"; "rewritten")]
#[test_case("{% for m in messages[::-1] %}{{ m.content + '<|im_end|>' }}{% endfor %}",
    "before message 1 the chat template writes ``, yet it prompts for a reply with `<|im_end|>`"; "backwards")]
#[test_case("{{ raise_exception('Only system messages, \x1b[2J please') }}",
    "chat template `default`, line 1: Only system messages, <U+001B>[2J please"; "raises")]
fn templates_that_leave_the_reply_unknown_are_refused(source: &str, expected: &str) {
    let error = tokenizer("qwen2", source).render(&exchange()).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn an_end_that_is_no_token_is_refused() {
    let tokenizer = tokenizer("llama3", CHATML);
    let error = tokenizer.render(&exchange()).unwrap_err();
    // To this tokenizer no token is special there.
    assert!(
        matches!(error, RenderError::NoEndOfTurn { index: 1, .. }),
        "{error}"
    );
}

#[test]
fn what_a_template_leaves_out_is_told() {
    let tokenizer = tokenizer("mistral_json", &template("mistral.jinja"));
    let system = conversation(&[("system", "Brief."), ("user", "Hi"), ("assistant", "Hello")]);
    let notes = tokenizer.render(&system).unwrap().notes;
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].contains("what a message of the role `system` says"),
        "{notes:?}"
    );
    assert!(
        notes[1].contains("reads other text than in training"),
        "{notes:?}"
    );
}

#[test]
fn a_report_counts_tokens_labels_and_warnings() {
    let tokenizer = tokenizer("qwen2", &template("qwen3.jinja"));
    let lines: Vec<Value> = std::fs::read_to_string(golden("training_masks/conversations.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (_directory, path) = file(&[&lines[..], &lines[..1]].concat());
    let options = DatasetOptions {
        max_length: 2048,
        excess_length: ExcessLength::Raise,
    };
    let dataset = TokenisedDataset::read(&path, &tokenizer, &options).unwrap();
    let report = &dataset.report;
    assert_eq!((report.conversations, report.examples), (18, 18));
    assert_eq!(report.path, path);
    let total: usize = dataset.examples.iter().map(|one| one.tokens.len()).sum();
    assert_eq!(report.tokens.total, total);
    assert!(report.tokens.p50 <= report.tokens.p95 && report.tokens.p95 <= report.tokens.max);
    assert!(report.labelled_share > 0.1 && report.labelled_share < 0.9);
    assert_eq!(report.dropped, Loss::default());
    assert_eq!(report.template.file, "chat_template.jinja");
    assert_eq!(report.template.names, ["default"]);
    assert!(!report.template.has_generation_blocks);
    assert_eq!(report.template.end_of_turn, ["<|im_end|>"]);
    assert_eq!(
        warnings(report),
        [
            "in 2 examples, first train.jsonl:13 (thought twice): the chat template leaves out the reasoning of a reply that is not the last",
            "train.jsonl:9 (control tokens in text): a message says `<|im_end|>`, which is read as the special token",
            "examples that are copies of earlier ones: 1, the first at train.jsonl:18 (one exchange)",
        ]
    );
    assert_eq!(dataset.preview.id, "train.jsonl:1 (one exchange)");
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["warnings"][0]["note"]["kind"], "reasoning_not_written");
    // Masks are the same whatever came before in the file.
    let again = TokenisedDataset::read(&path, &tokenizer, &options).unwrap();
    assert_eq!(dataset.examples, again.examples);
}

#[test]
fn long_examples_are_named_cut_or_left_out() {
    let tokenizer = tokenizer("qwen2", CHATML);
    let long = "x".repeat(40);
    let lines = [line("Hi", "Hello"), line("Hi", &long), line(&long, "Hello")];
    let (directory, path) = file(&lines);
    let read = |max_length, excess_length| {
        let options = DatasetOptions {
            max_length,
            excess_length,
        };
        TokenisedDataset::read(&path, &tokenizer, &options)
    };
    let full = read(2048, ExcessLength::Raise).unwrap();
    let length = |idx: usize| full.examples[idx].tokens.len();
    let error = read(30, ExcessLength::Raise).unwrap_err().to_string();
    let error = error.replace(&format!("{}/", directory.path().display()), "");
    let (second, third) = (length(1), length(2));
    assert_eq!(
        error,
        format!(
            "`train.jsonl`: 2 of 3 examples have more than max_length = 30 tokens: train.jsonl:2 ({second}), train.jsonl:3 ({third}); raise max_length to {}, split them, or set excess_length_strategy to `truncate` (cuts their ends off) or `drop` (leaves them out)",
            second.max(third)
        )
    );
    let dropped = read(30, ExcessLength::Drop).unwrap();
    assert_eq!(dropped.examples, full.examples[..1]);
    assert_eq!(dropped.report.dropped.examples, 2);
    assert_eq!(dropped.report.dropped.tokens, second + third);
    let truncated = read(30, ExcessLength::Truncate).unwrap();
    assert_eq!(truncated.examples.len(), 2);
    assert_eq!(truncated.examples[1].tokens, full.examples[1].tokens[..30]);
    assert_eq!(truncated.report.truncated.tokens, second - 30);
    assert_eq!(truncated.report.truncated.labelled, second - 30 - 1);
    assert_eq!(truncated.report.unlabelled.examples, 1);
    let told = warnings(&truncated.report);
    assert!(
        told[0].starts_with("examples cut to max_length = 30 tokens: 1; "),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("examples left out because no reply begins within max_length: 1"),
        "{told:?}"
    );
    let error = read(2, ExcessLength::Truncate).unwrap_err().to_string();
    assert!(
        error.contains("of 3 conversations none is left: 0 have more than"),
        "{error}"
    );
}

#[test]
fn lines_that_cannot_be_written_are_faults_like_others() {
    let tokenizer = tokenizer("gemma3", &template("gemma3.jinja"));
    let call = json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]});
    let (_directory, path) = file(&[line("Hi", "Hello"), call, json!(7)]);
    let options = DatasetOptions {
        max_length: 100,
        excess_length: ExcessLength::Raise,
    };
    let error = TokenisedDataset::read(&path, &tokenizer, &options).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("has 2 faults:\n  line 2: "), "{error}");
    assert!(error.contains("\n  line 3: expected an object"), "{error}");
}

fn opened(directory: &TempDir, vocab_size: u32) -> Result<ModelTokenizer, String> {
    let place = directory.path().display().to_string();
    ModelTokenizer::open(directory.path(), vocab_size, TemplateOptions::default())
        .map_err(|error| error.to_string().replace(&place, "."))
}

#[test]
fn checkpoints_without_tokenizer_or_template_are_refused() {
    let directory = checkpoint("qwen2", None);
    assert_eq!(
        opened(&directory, 500).unwrap_err(),
        "`.` has no chat template, so it may be a base model; train its instruct version, or copy a `chat_template.jinja` into it"
    );
    std::fs::write(directory.path().join("chat_template.jinja"), "{% if %}").unwrap();
    let error = opened(&directory, 500).unwrap_err();
    assert!(
        error.starts_with("`.`: chat template `default`, line 1: "),
        "{error}"
    );
    let path = directory.path().join("tokenizer.json");
    std::fs::write(&path, "{}").unwrap();
    let error = opened(&directory, 500).unwrap_err();
    assert!(error.starts_with("`./tokenizer.json`: "), "{error}");
    std::fs::remove_file(path).unwrap();
    assert_eq!(
        opened(&directory, 500).unwrap_err(),
        "`.` has no `tokenizer.json`; copy the tokenizer's files from the base model"
    );
    std::fs::write(directory.path().join("tokenizer.model"), "").unwrap();
    assert_eq!(
        opened(&directory, 500).unwrap_err(),
        "`.` has no `tokenizer.json`, only `tokenizer.model`; make one with transformers: `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`"
    );
}

#[test]
fn tokens_without_an_embedding_are_refused_where_they_are_needed() {
    // 390 tokens and those added: 391 to 397.
    let directory = checkpoint("qwen2", Some(CHATML));
    assert_eq!(
        opened(&directory, 300).unwrap_err(),
        "`./tokenizer.json` has ids up to 389 without added tokens, but the model has only 300 tokens (`vocab_size` in config.json); take the tokenizer the model came with"
    );
    let tokenizer = opened(&directory, 391).unwrap();
    let error = tokenizer.render(&exchange()).unwrap_err().to_string();
    assert!(
        error.contains("but the model has only 391 tokens"),
        "{error}"
    );
    // Gemma's image token is beyond the embeddings of the text model, and no example has it.
    let directory = checkpoint("gemma3", Some(&template("gemma3.jinja")));
    let tokenizer = opened(&directory, 410).unwrap();
    let (_directory, path) = file(&[line("Hi", "Hello")]);
    let options = DatasetOptions {
        max_length: 100,
        excess_length: ExcessLength::Raise,
    };
    let told = warnings(
        &TokenisedDataset::read(&path, &tokenizer, &options)
            .unwrap()
            .report,
    );
    assert_eq!(
        told[0],
        "the tokenizer has ids up to 410, the model 410 tokens; added tokens without an embedding, which no example has: 1"
    );
    assert!(
        told[1].starts_with("turns end with `<end_of_turn>`"),
        "{told:?}"
    );
    // Unless config.json says that the model stops there.
    let id = tokenizer.tokenizer().token_to_id("<end_of_turn>");
    let config = json!({"eos_token_id": [1, id.unwrap()]}).to_string();
    std::fs::write(directory.path().join("config.json"), config).unwrap();
    let tokenizer = opened(&directory, 410).unwrap();
    let dataset = TokenisedDataset::read(&path, &tokenizer, &options).unwrap();
    assert_eq!(warnings(&dataset.report).len(), 1);
}

/// What people say, tags, tokens and space included.
fn said() -> impl Strategy<Value = String> {
    let words: &[&str] = &[
        "Hi",
        " ",
        "\n",
        "\t",
        "é",
        "日本",
        "👩‍🚀",
        "<|im_end|>",
        "<|eot_id|>",
        "assistant\n",
        "<think>",
        "</think>",
        "ANCHOR0x000001z",
        "</s>",
        "<|im_start|>",
        "<end_of_turn>",
        "[/INST]",
        "{{ 1 }}",
        "model",
        "\u{1b}[2J",
        "\u{a0}",
        "\r\n",
        "<tool_response>",
        "</tool_response>",
        "x",
    ];
    proptest::collection::vec(proptest::sample::select(words), 1..8)
        .prop_map(|words| words.concat())
        .prop_filter("something is said", |text| !text.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_is_learnt_is_what_the_assistant_says_and_the_end_of_its_turn(
        turns in proptest::collection::vec((said(), said()), 1..4), system in said()
    ) {
        let end_texts = [
            ("qwen2", CHATML.to_owned(), "<|im_end|>", false),
            ("llama3", template("training_masks/llama3.jinja"), "<|eot_id|>", true),
            ("gemma3", template("gemma3.jinja"), "<end_of_turn>", true),
        ];
        for (name, source, end, trims) in end_texts {
            let tokenizer = tokenizer(name, &source);
            let mut all = vec![("system", system.as_str())];
            for (user, reply) in &turns {
                all.extend([("user", user.as_str()), ("assistant", reply.as_str())]);
            }
            let rendering = tokenizer.render(&conversation(&all)).unwrap();
            // Whole runs, in bytes of the text.
            let mut learnt = Vec::new();
            let mut before = false;
            for (&is, &(start, stop)) in rendering.example.labelled.iter().zip(&rendering.offsets) {
                match learnt.last_mut() {
                    Some((_, last)) if is && before => *last = stop,
                    _ if is => learnt.push((start, stop)),
                    _ => {}
                }
                before = is;
            }
            let learnt: Vec<&str> = learnt.into_iter().map(|(from, to)| &rendering.text[from..to]).collect();
            let replies = turns.iter().map(|(_, reply)| {
                let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
                let reply = if trims { reply.trim_matches(is_space) } else { reply };
                format!("{reply}{end}")
            });
            let replies: Vec<String> = replies.collect();
            // A token may begin before the reply, as that of two line breaks does.
            prop_assert_eq!(learnt.len(), replies.len());
            for (learnt, reply) in learnt.iter().zip(&replies) {
                let before = learnt.strip_suffix(reply.as_str());
                prop_assert!(before.is_some_and(|before| before.trim().is_empty()), "{:?} {:?}", learnt, reply);
            }
        }
    }

    #[test]
    fn no_conversation_panics(
        turns in proptest::collection::vec((said(), said()), 1..4),
        name in proptest::sample::select(&["qwen3.jinja", "mistral.jinja", "llama2.jinja", "llama3.jinja", "qwen3-training.jinja", "chatml-training.jinja"][..])
    ) {
        let tokenizer = tokenizer("llama2", &template(name));
        let mut all = Vec::new();
        for (user, reply) in &turns {
            all.extend([("user", user.as_str()), ("assistant", reply.as_str())]);
        }
        let _ = tokenizer.render(&conversation(&all)).map_err(|error| error.to_string());
    }
}
