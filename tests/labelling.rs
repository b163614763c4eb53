use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::labelling::{Page, answers, judged_run, keys};
use crate::support::project::{Done, Project};

#[test]
fn two_raters_at_once_are_stored_survive_a_reload_and_the_report_shows_what_they_say() {
    let project = judged_run(15, "");
    let before = project.artefact("decision.json");
    let page = Page::open(&project, &["--count", "12"]);
    assert!(page.get("").contains("<script src=\"label.js\""));
    let (ada, ben) = (page.items("Ada"), page.items("Ben"));
    assert_eq!(keys(&ada).len(), 12);
    assert_ne!(
        keys(&ada),
        keys(&ben),
        "everybody has an order of their own"
    );
    let set = |shown: &Value| {
        keys(shown)
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(set(&ada), set(&ben), "and the same conversations");
    let text = ada.to_string();
    for hidden in ["secret", "tuned", "coaching-9", "So it is"] {
        assert!(!text.contains(hidden), "{hidden} is told");
    }

    // Both go on at the same time; Ben is against the judge in one conversation.
    let against = &ben["items"][0]["key"];
    for n in 0..12 {
        let item = &ada["items"][n];
        let (status, told) = page.label("Ada", &item["key"], &answers(item, None));
        assert_eq!((status, &told["done"]), (StatusCode::OK, &json!(n + 1)));
        let item = &ben["items"][n];
        // The first answer alone, then both: what is given stays while the rest is missing.
        let all = answers(item, Some(against));
        let (status, told) = page.label("Ben", &item["key"], &json!({ "kind": all["kind"] }));
        assert_eq!((status, &told["done"]), (StatusCode::OK, &json!(n)));
        let shown = page.items("Ben");
        assert_eq!(shown["items"][n]["answers"], json!({ "kind": all["kind"] }));
        assert_eq!(page.label("Ben", &item["key"], &all).0, StatusCode::OK);
    }
    let reloaded = page.items("Ada");
    assert_eq!(keys(&reloaded), keys(&ada));
    for item in reloaded["items"].as_array().unwrap() {
        assert_eq!(item["answers"], answers(item, None));
    }
    drop(page);

    // Another process later: the same conversations in the same order, and all that was said.
    let page = Page::open(&project, &["--count", "14", "--rater", "Ada"]);
    let shown: Value = serde_json::from_str(&page.get("items")).unwrap();
    let answered = |item: &&Value| item["answers"] != json!({});
    let items = shown["items"].as_array().unwrap();
    assert_eq!(items.len(), 14);
    assert_eq!(
        items.iter().filter(answered).count(),
        12,
        "a larger sample holds the smaller"
    );
    assert_eq!(page.items("Ben")["rater"], "Ada", "the page is hers alone");
    drop(page);

    let done = project.run(&["report"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("Human check"), "{}", done.stdout);
    let decision: Value = serde_json::from_str(&project.artefact("decision.json")).unwrap();
    let human = &decision["human"];
    assert_eq!(
        human["raters"],
        json!([{"rater": "Ada", "conversations": 12}, {"rater": "Ben", "conversations": 12}])
    );
    let kind = &human["criteria"][0];
    assert_eq!(
        (&kind["criterion"], &kind["pairs"]),
        (&json!("kind"), &json!(24))
    );
    assert_eq!(kind["equal"], json!(23.0 / 24.0));
    assert_eq!(kind["shared"], 12);
    assert!(kind["kappa"].as_f64().unwrap() > 0.8 && kind["kappa"].as_f64().unwrap() < 1.0);
    let difference = &human["differences"][0];
    assert_eq!(
        (&difference["labelled"], &difference["personas"]),
        (&json!(6), &json!(15))
    );
    assert!(difference["corrected"].is_number() && difference["human_ci95"].is_array());
    assert_eq!(human["conflicts"].as_array().unwrap().len(), 2, "{human}");
    let report = project.artefact("evaluation_report.md");
    assert!(report.contains("## Human check") && report.contains("### Conflicts"));
    // But for the labels the artefact is what it was.
    let mut without = decision.clone();
    without.as_object_mut().unwrap().remove("human");
    assert_eq!(without, serde_json::from_str::<Value>(&before).unwrap());
    assert!(!before.contains("\"human\""));
}

#[test]
fn nobody_else_gets_in_and_nothing_else_is_taken() {
    let project = judged_run(8, "");
    let page = Page::open(&project, &["--count", "4"]);
    let (address, client) = (&page.address, &page.client);
    let base = &address[..address.len() - 33];
    let token = address[base.len()..].trim_matches('/');
    let other = format!("{}0", &token[..31]);
    let other = if other == token {
        format!("{}1", &token[..31])
    } else {
        other
    };
    for path in [
        "",
        "label.js",
        "items",
        &format!("{other}/"),
        &format!("{other}/items"),
        &token[..31],
    ] {
        let (status, ..) = page.send(client.get(format!("{base}{path}")));
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let foreign = [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for (header, value) in foreign {
        let (status, headers, _) = page.send(client.get(address).header(header, value));
        assert_eq!(status, StatusCode::FORBIDDEN, "{header}: {value}");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    let (status, headers, _) = page.send(client.get(address));
    assert_eq!(status, StatusCode::OK);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(headers["cache-control"], "no-store");
    assert!(!headers.contains_key("access-control-allow-origin"));

    let shown = page.items("Ada");
    let key = &shown["items"][0]["key"];
    for (key, wrong) in [
        (key, json!({ "kind": "5" })),
        (key, json!({ "useful": "met" })),
        (key, json!({ "says-yes": "met" })),
        (&json!("000000000000"), json!({ "kind": "met" })),
    ] {
        let (status, told) = page.label("Ada", key, &wrong);
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
    }
    let (status, _) = page.label("", key, &json!({ "kind": "met" }));
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let post = || client.post(format!("{address}labels"));
    let body = json!({ "rater": "Ada", "key": key, "answers": {}, "note": "" }).to_string();
    let as_form = post().header("content-type", "text/plain").body(body);
    assert_eq!(page.send(as_form).0, StatusCode::BAD_REQUEST);
    let json_of = |text: String| post().header("content-type", "application/json").body(text);
    assert_eq!(
        page.send(json_of("{".to_owned())).0,
        StatusCode::BAD_REQUEST
    );
    let (status, headers, _) = page.send(json_of(" ".repeat(1 << 20)));
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        !headers.contains_key("connection"),
        "all of it was read, so the next request may follow"
    );
    // A body that nobody reads ends the connection, and the answer says so.
    let elsewhere = client.post(format!("{base}{other}/labels"));
    let (status, headers, _) = page.send(elsewhere.body("unread"));
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(headers["connection"], "close");
    // So that whoever keeps connections can go on.
    let keeping = reqwest::Client::new();
    for n in 0..50 {
        let (path, expected) = match n % 3 {
            0 => (format!("{base}{other}/labels"), StatusCode::FORBIDDEN),
            1 => (format!("{address}labels"), StatusCode::BAD_REQUEST),
            _ => (format!("{address}labels"), StatusCode::PAYLOAD_TOO_LARGE),
        };
        let size = if n % 3 == 2 { 1 << 20 } else { 10 };
        let request = keeping.post(path).body(" ".repeat(size));
        assert_eq!(page.send(request).0, expected, "request {n}");
    }
    assert_eq!(page.items("Ada"), shown, "nothing of it was stored");
    assert_eq!(
        page.send(client.delete(format!("{address}items"))).0,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

/// Answers with `typed` in a terminal.
fn in_terminal(project: &Project, typed: &str) -> Done {
    let arguments = ["label", "--terminal", "--rater", "Ada", "--count", "4"];
    let mut command = project.command(&arguments);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(typed.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_terminal_asks_the_same_and_goes_on_where_it_was_left() {
    let project = judged_run(8, "");
    // One conversation and a half, one answer that is none among them.
    let done = in_terminal(&project, "2\n9\n3\n1\nq\n");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("one of 1, 2, 3, 4, 5, 0, s or q"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("secret"), "{}", done.stderr);
    let page = Page::open(&project, &["--count", "4"]);
    let shown = page.items("Ada");
    assert_eq!(
        shown["items"][0]["answers"],
        json!({ "kind": "met", "useful": "3" })
    );
    assert_eq!(shown["items"][1]["answers"], json!({ "kind": "not_met" }));
    drop(page);
    let done = in_terminal(&project, "0\n1\n1\n2\n5\n");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("Ada: 4 of 4 scored"),
        "{}",
        done.stderr
    );
    assert!(
        !done.stderr.contains("Conversation 1 of 4"),
        "{}",
        done.stderr
    );
    let counted: BTreeMap<String, Value> =
        serde_json::from_str(&project.run(&["report", "--format", "json"]).stdout).unwrap();
    assert_eq!(counted["human"]["conversations"], 4);
}

#[test]
fn what_nobody_can_label_is_refused_with_a_reason() {
    let project = judged_run(8, "");
    let done = project.run(&["label", "--candidate", "other"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr.contains("it has secret-tuned"),
        "{}",
        done.stderr
    );
    let done = project.run(&["label", "--rater", " "]);
    assert_eq!(done.code, 2, "{done:?}");
    let done = project.run(&["label", "--terminal"]);
    assert_eq!(done.code, 2, "{done:?}");
}
