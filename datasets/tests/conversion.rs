//! Rows there and back between all formats, and what is said of rows that cannot be read.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shipworthy_datasets::{
    ConversionOptions, ConversionReport, DatasetError, Format, Row, RowFile, Unexpressed, convert,
};
use test_case::test_case;

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn converted(value: Value, from: Format, to: Format) -> Result<Value, BTreeSet<Unexpressed>> {
    let row = Row::read(fields(value), from).unwrap();
    row.write(to, false).map(Value::Object)
}

fn text() -> impl Strategy<Value = String> {
    "[a-zäß\\[{\"'<>,. \n]{0,12}[a-z!🙂]"
}

/// What the assistant says to a message: a text, or a call, its result and a text.
fn reply() -> impl Strategy<Value = Vec<Value>> {
    let plain = text().prop_map(|text| vec![json!({"role": "assistant", "content": text})]);
    let calls = proptest::collection::vec((text(), any::<i32>(), any::<bool>()), 1..3);
    let called = (calls, text(), text()).prop_map(|(calls, result, last)| {
        let calls: Vec<Value> = calls
            .into_iter()
            .map(|(name, number, has_id)| {
                let function = json!({"name": name, "arguments": {"n": number, "of": name}});
                if has_id {
                    json!({"type": "function", "function": function, "id": number})
                } else {
                    json!({"type": "function", "function": function})
                }
            })
            .collect();
        vec![
            json!({"role": "assistant", "content": "", "tool_calls": calls}),
            json!({"role": "tool", "content": result, "tool_call_id": "x"}),
            json!({"role": "assistant", "content": last}),
        ]
    });
    prop_oneof![3 => plain, 1 => called]
}

fn turns() -> impl Strategy<Value = Vec<Value>> {
    let turn = (text(), reply()).prop_map(|(user, mut reply)| {
        reply.insert(0, json!({"role": "user", "content": user}));
        reply
    });
    let system = proptest::option::of(text());
    (system, proptest::collection::vec(turn, 1..4)).prop_map(|(system, turns)| {
        let system = system.map(|text| json!({"role": "system", "content": text}));
        system.into_iter().chain(turns.concat()).collect()
    })
}

fn more() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!({"a": [1, {"b": ""}]})),
        Just(json!([])),
    ];
    let names = proptest::sample::select(vec!["id", "source", "score", "prompt_id"]);
    let tools = proptest::option::weighted(
        0.3,
        Just(json!([{"type": "function", "function": {"name": "f"}}])),
    );
    (proptest::collection::vec((names, value), 0..3), tools).prop_map(|(more, tools)| {
        let more = more
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let mut more: Map<String, Value> = more.collect();
        // A number that is none becomes null, and null is nothing.
        more.retain(|_, value| !value.is_null());
        more.extend(tools.map(|tools| ("tools".to_owned(), tools)));
        more
    })
}

fn conversation() -> impl Strategy<Value = Value> {
    (turns(), more()).prop_map(|(turns, mut more)| {
        more.insert("messages".to_owned(), turns.into());
        Value::Object(more)
    })
}

fn pair() -> impl Strategy<Value = Value> {
    (turns(), reply(), reply(), more()).prop_map(|(mut prompt, chosen, rejected, mut more)| {
        while prompt.last().is_some_and(|last| last["role"] != "user") {
            prompt.pop();
        }
        more.insert("prompt".to_owned(), prompt.into());
        more.insert("chosen".to_owned(), chosen.into());
        more.insert("rejected".to_owned(), rejected.into());
        Value::Object(more)
    })
}

/// Goes from the format a row is made in to every format that can express it, and from there to
/// every other one and back.
fn there_and_back(value: &Value, made: Format) -> usize {
    let mut ways = 0;
    for from in Format::ALL {
        let Ok(one) = converted(value.clone(), made, from) else {
            continue;
        };
        for to in Format::ALL {
            let Ok(other) = converted(one.clone(), from, to) else {
                continue;
            };
            assert_eq!(Format::of(&fields(other.clone())), Some(to), "{other}");
            let back = converted(other.clone(), to, from).unwrap();
            assert_eq!(back, one, "{from} -> {to}: {other}");
            ways += 1;
        }
    }
    ways
}

proptest! {
    #[test]
    fn conversations_come_back_from_every_format(value in conversation()) {
        prop_assert!(there_and_back(&value, Format::Messages) >= 9);
    }

    #[test]
    fn pairs_come_back_from_every_format(value in pair()) {
        prop_assert!(there_and_back(&value, Format::Preference) >= 1);
    }
}

#[test]
fn a_plain_row_goes_through_every_format_of_one_reply() {
    let plain = json!({"messages": [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
    ]});
    assert_eq!(there_and_back(&plain, Format::Messages), 25);
    let pair = json!({"prompt": "Hi", "chosen": "Hello", "rejected": "What"});
    assert_eq!(there_and_back(&pair, Format::PreferenceText), 4);
}

const CALL: &str = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "See", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]}, {"role": "tool", "content": "1"}, {"role": "assistant", "content": "One"}], "tools": [{"name": "f"}]}"#;
const TWICE: &str = r#"{"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "name": "Ann"}, {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Bye"}], "prompt": "x", "history": 1}"#;
const PAIR: &str = r#"{"prompt": "Hi", "chosen": "Hello", "rejected": "What"}"#;

#[test_case(CALL, Format::ShareGpt, &["what is said beside a call"]; "text beside a call")]
#[test_case(CALL, Format::Alpaca, &["calls of functions and their results", "`tools`"]; "calls in Alpaca")]
#[test_case(CALL, Format::PromptCompletionText, &["calls of functions and their results", "`tools`"]; "calls in a text")]
#[test_case(CALL, Format::Preference, &["one reply alone, without a rejected one"]; "one reply is no pair")]
#[test_case(TWICE, Format::Messages, &[]; "same format")]
#[test_case(TWICE, Format::Alpaca, &["the field `name` of a message", "the field `history`, which means something else there"]; "a field of a message")]
#[test_case(TWICE, Format::PromptCompletionText, &["the system message", "turns before the last", "the field `prompt`, which means something else there"]; "turns in a text")]
#[test_case(PAIR, Format::Messages, &["the rejected reply"]; "rejected")]
#[test_case(PAIR, Format::PreferenceText, &[]; "pair")]
#[test_case(r#"{"messages": [{"role": "user", "content": "Hi"}]}"#, Format::Alpaca, &["a row without a reply at its end"]; "no reply")]
#[test_case(r#"{"messages": [{"role": "assistant", "content": "Hi"}]}"#, Format::PromptCompletion, &["a row that begins with the reply"]; "no prompt")]
#[test_case(r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Ho"}]}"#, Format::Alpaca, &["messages in which user and assistant do not take turns"]; "no turns")]
fn what_a_format_cannot_express_is_named(row: &str, to: Format, expected: &[&str]) {
    let row = fields(serde_json::from_str(row).unwrap());
    let format = Format::of(&row).unwrap();
    let row = Row::read(row, format).unwrap();
    match row.write(to, false) {
        Ok(_) => assert!(expected.is_empty()),
        Err(lost) => {
            let mut lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
            lost.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(lost, expected);
        }
    }
}

#[test]
fn only_what_a_row_makes_sense_without_is_left_out() {
    let read = |text: &str| {
        let row = fields(serde_json::from_str(text).unwrap());
        let format = Format::of(&row).unwrap();
        Row::read(row, format).unwrap()
    };
    let written = read(TWICE)
        .write(Format::PromptCompletionText, true)
        .unwrap();
    let expected = json!({"prompt": "Bye", "completion": "Bye", "history": 1});
    assert_eq!(Value::Object(written), expected);
    assert!(read(CALL).write(Format::Alpaca, true).is_err());
    let written = read(PAIR).write(Format::Messages, true).unwrap();
    assert_eq!(written["messages"][1]["content"], "Hello");
}

#[test]
fn rows_are_read_as_data_sets_have_them() {
    let cases = [
        (
            json!({"conversations": [
                {"from": "system", "value": "Be brief."}, {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
                {"from": "observation", "value": "1"}, {"from": "gpt", "value": "One"}
            ], "tools": "[{\"name\": \"f\"}]"}),
            json!({"messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "", "tool_calls": [
                    {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
                ]},
                {"role": "tool", "content": "1"}, {"role": "assistant", "content": "One"}
            ], "tools": [{"name": "f"}]}),
        ),
        (
            json!({"instruction": "Add", "input": "1 1", "output": "2", "system": "", "history": [["a", "b"]], "text": "x"}),
            json!({"messages": [
                {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                {"role": "user", "content": "Add\n1 1"}, {"role": "assistant", "content": "2"}
            ], "text": "x"}),
        ),
        (
            json!({"messages": "[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"model\", \"content\": \"Ho\"}]", "tools": null}),
            json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}),
        ),
    ];
    for (row, expected) in cases {
        let from = Format::of(&fields(row.clone())).unwrap();
        assert_eq!(converted(row, from, Format::Messages).unwrap(), expected);
    }
}

#[test]
fn what_two_replies_begin_with_is_their_prompt() {
    let user = json!({"role": "user", "content": "Hi"});
    let one = json!({"role": "assistant", "content": "Hello"});
    let other = json!({"role": "assistant", "content": "What"});
    let expected = json!({"prompt": [user], "chosen": [one], "rejected": [other]});
    for row in [
        json!({"chosen": [user, one], "rejected": [user, other]}),
        json!({"prompt": "Hi", "chosen": [user, one], "rejected": [user, other]}),
        json!({"prompt": "Hi", "chosen": [one], "rejected": [other]}),
        json!({"prompt": "Hi", "chosen": "Hello", "rejected": "What"}),
    ] {
        let from = Format::of(&fields(row.clone())).unwrap();
        assert_eq!(converted(row, from, Format::Preference).unwrap(), expected);
    }
}

fn written(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn convert_file(path: &Path, to: Format) -> Result<(Vec<Value>, ConversionReport), DatasetError> {
    let mut rows = Vec::new();
    let options = ConversionOptions {
        from: None,
        to,
        is_lossy: false,
    };
    let report = convert(RowFile::open(path)?, options, &mut |row| {
        rows.push(Value::Object(row.clone()));
        Ok(())
    })?;
    Ok((rows, report))
}

#[test]
fn the_same_rows_are_read_from_every_kind_of_file() {
    let directory = tempfile::tempdir().unwrap();
    let alpaca = |input: &str| json!({"instruction": "Say \"hi\",\nplease", "input": input, "output": "Hi", "n": "1"});
    let (one, two) = (alpaca(""), alpaca("x"));
    let files = [
        ("a.jsonl", format!("\u{feff}{one}\n\n{two}\r\n")),
        ("b.json", format!("\n [\n{one},{two:#}\n]\n ")),
        ("c.csv", "\u{feff}instruction,input,output,n\n\"Say \"\"hi\"\",\nplease\",,Hi,1\n\"Say \"\"hi\"\",\nplease\",x,Hi,1\n".to_owned()),
        ("d.TSV", "instruction\tinput\toutput\tn\n\"Say \"\"hi\"\",\nplease\"\t\tHi\t1\n\"Say \"\"hi\"\",\nplease\"\tx\tHi\t1\n".to_owned()),
    ];
    let expected = [
        json!({"messages": [{"role": "user", "content": "Say \"hi\",\nplease"}, {"role": "assistant", "content": "Hi"}], "n": "1"}),
        json!({"messages": [{"role": "user", "content": "Say \"hi\",\nplease\nx"}, {"role": "assistant", "content": "Hi"}], "n": "1"}),
    ];
    for (name, text) in files {
        let path = written(directory.path(), name, text.as_bytes());
        let (rows, report) = convert_file(&path, Format::Messages).unwrap();
        assert_eq!(rows, expected, "{name}");
        assert_eq!(report.from, Some(Format::Alpaca));
        assert_eq!((report.notes.len(), report.skipped), (1, 0));
    }
}

#[test]
fn parquet_files_of_the_hub_are_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/datasets");
    for name in ["snappy", "zstd"] {
        let path = golden.join(format!("{name}.parquet"));
        let (rows, report) = convert_file(&path, Format::Messages).unwrap();
        let expected = std::fs::read_to_string(golden.join("rows.jsonl")).unwrap();
        let expected: Vec<Value> = expected
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(rows, expected, "{name}: {report:?}");
    }
}

#[test]
fn broken_parquet_files_are_errors() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/datasets");
    let whole = std::fs::read(golden.join("snappy.parquet")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for at in (0..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        for bytes in [&bytes[..], &whole[..at]] {
            let path = written(directory.path(), "x.parquet", bytes);
            // A changed text is another text; what matters is that it ends.
            let _ = convert_file(&path, Format::Messages).map_err(|error| error.to_string());
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..4_usize) {
        let directory = tempfile::tempdir().unwrap();
        let (name, start) = [("x.jsonl", ""), ("x.json", "["), ("x.csv", ""), ("x.parquet", "PAR1")][kind];
        let path = written(directory.path(), name, &[start.as_bytes(), &bytes].concat());
        let _ = convert_file(&path, Format::Messages).map_err(|error| error.to_string());
    }
}

#[test]
fn a_row_without_an_end_is_not_taken_into_memory() {
    let directory = tempfile::tempdir().unwrap();
    let long = "x".repeat(17 << 20);
    let path = written(directory.path(), "x.csv", format!("a\n\"{long}").as_bytes());
    let error = convert_file(&path, Format::Messages)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("a row has more than 16777216 bytes; a quotation mark may be missing"),
        "{error}"
    );
    let good = r#"{"prompt":"a","completion":"b"}"#;
    let text = format!("[{{\"prompt\":\"{long}\"}},\n{good}]");
    let path = written(directory.path(), "x.json", text.as_bytes());
    let (rows, report) = convert_file(&path, Format::Messages).unwrap();
    assert_eq!((rows.len(), report.skipped), (1, 1));
}

/// What is wrong with these is told as it is in the snapshot.
const MALFORMED: [(&str, &str); 34] = [
    ("jsonl", "nonsense"),
    ("jsonl", "{\"messages\": ["),
    ("jsonl", "{\"prompt\": \"a\", \"prompt\": \"b\"}"),
    ("jsonl", "7"),
    ("jsonl", "{}"),
    ("jsonl", "{\"question\": \"a\", \"answer\": \"b\"}"),
    ("jsonl", "{\"text\": \"a\"}"),
    ("jsonl", "{\"messages\": {}}"),
    ("jsonl", "{\"messages\": \"Hi\"}"),
    ("jsonl", "{\"messages\": []}"),
    ("jsonl", "{\"messages\": [\"Hi\"]}"),
    (
        "jsonl",
        "{\"messages\": [{\"role\": \"nobody\", \"content\": \"Hi\"}]}",
    ),
    ("jsonl", "{\"messages\": [{\"content\": \"Hi\"}]}"),
    (
        "jsonl",
        "{\"messages\": [{\"role\": 1, \"content\": \"Hi\"}]}",
    ),
    (
        "jsonl",
        "{\"messages\": [{\"role\": \"user\"}, {\"role\": \"assistant\", \"content\": \" \"}]}",
    ),
    (
        "jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}",
    ),
    (
        "jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\", \"tool_calls\": [{}]}]}",
    ),
    (
        "jsonl",
        "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"\", \"arguments\": \"x\"}}]}]}",
    ),
    (
        "jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"tools\": \"none\"}",
    ),
    (
        "jsonl",
        "{\"conversations\": [{\"from\": \"alien\", \"value\": \"Hi\"}]}",
    ),
    (
        "jsonl",
        "{\"conversations\": [{\"from\": \"human\", \"value\": 7}, {\"from\": \"gpt\"}]}",
    ),
    (
        "jsonl",
        "{\"conversations\": [{\"from\": \"function_call\", \"value\": \"f(x)\"}]}",
    ),
    ("jsonl", "{\"instruction\": \"\", \"output\": \"b\"}"),
    (
        "jsonl",
        "{\"instruction\": \"a\", \"input\": 1, \"output\": [\"b\"]}",
    ),
    (
        "jsonl",
        "{\"instruction\": \"a\", \"output\": \"b\", \"history\": [[\"c\"]]}",
    ),
    ("jsonl", "{\"prompt\": 1, \"completion\": \"\"}"),
    ("jsonl", "{\"chosen\": \"a\", \"rejected\": \"b\"}"),
    (
        "jsonl",
        "{\"chosen\": [{\"role\": \"user\", \"content\": \"a\"}], \"rejected\": [{\"role\": \"user\", \"content\": \"b\"}]}",
    ),
    (
        "jsonl",
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}",
    ),
    (
        "jsonl",
        "{\"prompt\": \"a\u{1b}[2J\", \"completion\": \"b\", \"m\u{1b}\": 1, \"messages\": 1}",
    ),
    (
        "json",
        "[{\"prompt\": \"a\", \"completion\": \"b\"}, {\"prompt\": }, 3",
    ),
    ("json", "[{\"prompt\": \"a\", \"completion\": \"b\"}] {}"),
    ("csv", "prompt,completion\na\nb,c,d\n"),
    ("csv", "prompt,prompt\na,b\n"),
];

#[test]
fn malformed_rows_are_reported() {
    use std::fmt::Write as _;
    let directory = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for (kind, text) in MALFORMED {
        let path = written(directory.path(), &format!("x.{kind}"), text.as_bytes());
        let (_, report) = convert_file(&path, Format::Messages).unwrap();
        assert!(report.fault_count > 0, "{text}");
        let _ = writeln!(told, "{}", text.escape_debug());
        for fault in &report.faults {
            let _ = writeln!(told, "  {fault}");
        }
    }
    let path = written(directory.path(), "x.jsonl", b"{\"a\":\"\xff\"}");
    let (_, report) = convert_file(&path, Format::Messages).unwrap();
    let _ = writeln!(told, "bytes that are no UTF-8\n  {}", report.faults[0]);
    insta::assert_snapshot!("malformed", told);
}
