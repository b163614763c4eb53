//! What is wrong with a file of conversations is named with line, field and the way to mend it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::PathBuf;

use proptest::prelude::*;
use shipworthy_datasets::{Conversation, DatasetError, read_messages};
use tempfile::TempDir;
use test_case::test_case;

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("train.jsonl");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn error_of(bytes: &[u8]) -> String {
    let (directory, path) = file(bytes);
    let error = read_messages(&path).unwrap_err().to_string();
    error.replace(&format!("{}/", directory.path().display()), "")
}

const GOOD: &str =
    r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}"#;

#[test]
fn good_files_are_read_whatever_their_line_ends_and_extras() {
    let more = r#"{"id":7,"source":"web","tools":[],"messages":[{"role":"system","content":""},{"role":"user","content":[{"type":"text","text":"Hi"}],"name":null},{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}}]},{"role":"tool","content":"1","tool_call_id":"a"},{"role":"assistant","content":"One","weight":1}]}"#;
    let text = format!("\u{feff}{GOOD}\r\n\r\n  \n{more}");
    let (_directory, path) = file(text.as_bytes());
    let read = read_messages(&path).unwrap();
    let ids: Vec<_> = read.iter().map(Conversation::id).collect();
    assert_eq!(ids, ["train.jsonl:1", "train.jsonl:4 (7)"]);
    let messages = read[1].messages();
    assert_eq!(messages[1]["content"], "Hi");
    assert!(messages[1].get("name").is_none());
    let function = &messages[2]["tool_calls"][0]["function"];
    assert_eq!(function["arguments"]["x"], 1);
    assert!(messages[4].get("weight").is_none());
    assert_eq!(read[1].tools(), None);
}

/// Puts messages into a line.
fn messages(list: &str) -> String {
    format!(r#"{{"messages":[{list}]}}"#)
}

#[test_case("nonsense", "line 1: not JSON: column 2: expected ident; every line is one JSON object"; "no JSON")]
#[test_case("{\"messages\":[", "line 1: not JSON: column 13: EOF while parsing a list; every line is one JSON object"; "cut off")]
#[test_case("{\"messages\":[],\"messages\":[]}", "line 1: not JSON: column 25: `messages` is there twice; every line is one JSON object"; "twice")]
#[test_case("[{\"messages\":[]}]", "line 1: the file is one JSON array; write each of its objects on a line of its own (`jq -c '.[]'` does)"; "array")]
#[test_case("[\n{\"messages\":[]}]", "line 1: the file is one JSON array; write each of its objects on a line of its own (`jq -c '.[]'` does)"; "array of lines")]
#[test_case("7", "line 1: expected an object with `messages`, found the number 7"; "number")]
#[test_case("{}", "line 1: expected an object with `messages`, found an empty object"; "nothing")]
#[test_case(r#"{"message":[],"x\u001b[2J":1}"#, "line 1: expected an object with `messages`, found one with `message`, `x<U+001B>[2J`"; "no messages")]
#[test_case(r#"{"messages":"Hi"}"#, "line 1, `messages`: expected a list of messages, found the text `Hi`"; "messages are text")]
#[test_case(r#"{"messages":[]}"#, "line 1, `messages`: is empty; add messages or remove the line"; "no message")]
#[test_case(r#"{"messages":["Hi"]}"#, "line 1, `messages[0]`: expected an object with `role` and `content`, found the text `Hi`"; "message is text")]
#[test_case(r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],"tools":{}}"#, "line 1, `tools`: expected a list of objects, each a JSON schema of a function, found an object"; "tools")]
#[test_case(r#"{"conversations":[{"from":"human","value":"Hi"}]}"#, "line 1: `conversations` looks like ShareGPT; convert it: `shipworthy data convert FILE --to messages`"; "sharegpt")]
#[test_case(r#"{"instruction":"a","input":"b","output":"c"}"#, "line 1: `instruction` looks like Alpaca; convert it: `shipworthy data convert FILE --to messages`"; "alpaca")]
fn lines(line: &str, expected: &str) {
    assert_eq!(
        error_of(line.as_bytes()),
        format!("`train.jsonl`, {expected}")
    );
}

const USER: &str = r#"{"role":"user","content":"Hi"}"#;
const REPLY: &str = r#"{"role":"assistant","content":"Hello"}"#;
const CALL: &str = r#"{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}"#;
const TOOL: &str = r#"{"role":"tool","content":"1"}"#;
const SYSTEM: &str = r#"{"role":"system","content":"Be brief."}"#;

#[test_case(&[REPLY], "`messages[0].role`: `assistant` cannot follow the beginning; a conversation begins with a user's message, after at most one system message"; "assistant first")]
#[test_case(&[USER, SYSTEM, REPLY], "`messages[1].role`: `system` cannot follow another message; there is one system message at most, and it is the first"; "system later")]
#[test_case(&[USER, USER, REPLY], "`messages[1].role`: `user` cannot follow a user's message; join the two, or add the reply between them"; "users in a row")]
#[test_case(&[USER, REPLY, REPLY], "`messages[2].role`: `assistant` cannot follow the assistant's message; join the two, or add what is said between them"; "replies in a row")]
#[test_case(&[USER, REPLY, TOOL, REPLY], "`messages[2].role`: `tool` cannot follow an assistant's message without `tool_calls`; a tool answers a call; add the call"; "tool without call")]
#[test_case(&[USER, CALL, TOOL, USER, REPLY], "`messages[3].role`: `user` cannot follow a tool's result; add what the assistant makes of the result"; "user after tool")]
#[test_case(&[USER, REPLY, USER], "`messages[2].role`: the conversation ends with `user`; add the assistant's reply or remove that message"; "user last")]
#[test_case(&[SYSTEM, USER], "`messages`: no message is the assistant's, so there is nothing to learn; add its reply or remove the line"; "no reply")]
#[test_case(&[r#"{"role":"human","content":"Hi"}"#, REPLY], "`messages[0].role`: unknown role `human`; write `user`"; "role of another format")]
#[test_case(&[r#"{"role":"bård\u001b[0m","content":"Hi"}"#, REPLY], "`messages[0].role`: unknown role `bård<U+001B>[0m`; expected `system`, `user`, `assistant` or `tool`"; "role nobody knows")]
#[test_case(&[r#"{"content":"Hi"}"#, REPLY], "`messages[0].role`: is missing; expected `system`, `user`, `assistant` or `tool`"; "no role")]
#[test_case(&[r#"{"role":["user"],"content":"Hi"}"#, REPLY], "`messages[0].role`: expected `system`, `user`, `assistant` or `tool`, found a list"; "role is a list")]
#[test_case(&[USER, r#"{"role":"assistant"}"#], "`messages[1].content`: is missing; expected a text"; "no content")]
#[test_case(&[USER, r#"{"role":"assistant","content":null}"#], "`messages[1].content`: is missing; expected a text"; "null content")]
#[test_case(&[USER, r#"{"role":"assistant","content":" \n"}"#], "`messages[1].content`: is empty; the model would learn to say nothing"; "empty reply")]
#[test_case(&[r#"{"role":"user","content":""}"#, REPLY], "`messages[0].content`: is empty; write what the user says or remove the turn"; "empty user")]
#[test_case(&[r#"{"role":"user","content":7}"#, REPLY], "`messages[0].content`: expected a text, found the number 7"; "content is a number")]
#[test_case(&[r#"{"role":"user","content":[{"type":"image"}]}"#, REPLY], "`messages[0].content`: a part that is no text cannot be learnt; only conversations in text are read"; "image")]
#[test_case(&[r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#, REPLY], "`messages[0].content`: a list with several parts, or none, is written by every chat template in its own way; join the texts into one"; "parts")]
#[test_case(&[USER, r#"{"role":"assistant","content":"a","weight":0}"#], "`messages[1].weight`: weights of messages are not read, so the message would be learnt all the same; remove the field, or cut the conversation after the last reply that is to be learnt"; "weight")]
#[test_case(&[USER, r#"{"role":"assistant","content":"a","reasoning_content":["b"]}"#], "`messages[1].reasoning_content`: expected a text, found a list"; "reasoning")]
#[test_case(&[USER, r#"{"role":"assistant","tool_calls":{}}"#], "`messages[1].tool_calls`: expected a list of calls, found an object"; "calls")]
#[test_case(&[USER, r#"{"role":"assistant","tool_calls":[{"function":{}}]}"#], "`messages[1].tool_calls[0].function.name`: expected the function's name, found null"; "call without name")]
#[test_case(&[USER, r#"{"role":"assistant","tool_calls":[{"name":"f","arguments":"x=1"}]}"#], "`messages[1].tool_calls[0].arguments`: expected an object, or a text of one, found the text `x=1`"; "arguments")]
fn conversations(list: &[&str], expected: &str) {
    let text = format!("{GOOD}\n{}\n{GOOD}\n", messages(&list.join(",")));
    let error = error_of(text.as_bytes());
    // A list of calls that is none leaves the reply without content, too.
    let said = error
        .lines()
        .find(|line| line.contains("line 2, "))
        .unwrap();
    let said = said.split_once("line 2, ").unwrap().1;
    assert_eq!(said, expected, "{error}");
}

#[test]
fn all_faults_are_counted_and_the_first_are_told() {
    let bad = messages(USER);
    let error = error_of(format!("{GOOD}\n{bad}\n\nx\n").as_bytes());
    assert_eq!(
        error,
        "`train.jsonl` has 2 faults:\n  line 2, `messages`: no message is the assistant's, so there is nothing to learn; add its reply or remove the line\n  line 4: not JSON: column 1: expected value; every line is one JSON object"
    );
    let error = error_of(format!("{bad}\n").repeat(50).as_bytes());
    assert_eq!(error.lines().count(), 22);
    assert!(error.ends_with("\n  and 30 more"), "{error}");
}

#[test]
fn files_that_are_none_are_named() {
    assert_eq!(
        error_of(b""),
        "`train.jsonl` has no conversation; write one JSON object with `messages` on each line"
    );
    assert!(error_of(b"\n \r\n\n").contains("has no conversation"));
    assert_eq!(
        error_of(b"{\"a\":\"\xff\"}"),
        "`train.jsonl`, line 1: byte 7 is not UTF-8; save the file as UTF-8"
    );
    let directory = tempfile::tempdir().unwrap();
    let absent = read_messages(&directory.path().join("x.jsonl")).unwrap_err();
    assert!(matches!(absent, DatasetError::Read { .. }), "{absent}");
    let folder = read_messages(directory.path()).unwrap_err().to_string();
    assert!(folder.ends_with("not a file"), "{folder}");
}

#[test]
fn what_is_too_large_is_passed_over() {
    let mut text = format!("{{\"messages\":\"{}\"}}\n", "x".repeat(17 << 20));
    text.push_str(&messages(USER));
    let error = error_of(text.as_bytes());
    assert!(error.contains("has 2 faults"), "{error}");
    assert!(error.contains("line 1: the line has more than 16777216 bytes; split"));
    let many = messages(&vec![format!("{USER},{REPLY}"); 1001].join(","));
    let error = error_of(many.as_bytes());
    assert!(
        error.contains("2002 messages, more than the 2000"),
        "{error}"
    );
    let deep = format!("{{\"messages\":{}", "[".repeat(100_000));
    let error = error_of(deep.as_bytes());
    assert!(error.contains("recursion limit exceeded"), "{error}");
}

const WORDS: &[&str] = &[
    "user",
    "assistant",
    "system",
    "tool",
    "Hi",
    "",
    " ",
    "{\"a\":1}",
    "text",
    "\u{1b}[2J",
];
const NAMES: &[&str] = &[
    "role",
    "content",
    "messages",
    "tools",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "type",
    "text",
    "id",
    "weight",
    "from",
    "value",
    "reasoning_content",
];

/// JSON made of what lines are made of, mostly wrong.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        proptest::sample::select(WORDS).prop_map(Into::into),
        "\\PC{0,5}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::vec((proptest::sample::select(NAMES), inner), 0..6).prop_map(
                |fields| {
                    let fields = fields.into_iter();
                    let fields = fields.map(|(name, value)| (name.to_owned(), value));
                    serde_json::Value::Object(fields.collect())
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_panics(list in proptest::collection::vec(value(), 0..5), whole in value()) {
        let line = serde_json::json!({ "messages": list }).to_string();
        let _ = Conversation::parse("x:1", &line);
        let _ = Conversation::parse("x:1", &whole.to_string());
        for cut in (0..line.len()).filter(|&cut| line.is_char_boundary(cut)) {
            let _ = Conversation::parse("x:1", &line[..cut]);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_directory, path) = file(&bytes);
        let _ = read_messages(&path).map_err(|error| error.to_string());
    }
}
