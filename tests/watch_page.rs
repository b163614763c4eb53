use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;

use crate::live_view::slow_project;
use crate::support::browser::Browser;
use crate::support::hostile_texts::hostile_texts;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages")
}

/// Every hostile text, said to one person or another.
fn hostile_replies() -> String {
    let texts: Vec<String> = hostile_texts()
        .into_iter()
        .filter(|hostile| hostile.text.len() < 10_000)
        .map(|hostile| hostile.text)
        .collect();
    let line = |person: usize| {
        let said: Vec<&str> = texts
            .iter()
            .skip(person)
            .step_by(8)
            .map(String::as_str)
            .collect();
        let persona = format!("coaching-{}", 9000 + person);
        json!({ "persona": persona, "reply": format!("Gladly. {}", said.join("\n")) }).to_string()
    };
    let lines: Vec<String> = (0..8).map(line).collect();
    lines.join("\n") + "\n"
}

#[test]
fn a_browser_watches_a_run_and_gets_its_report() {
    let profile = directory().join(format!("profile-watch-{}", std::process::id()));
    let Some(mut browser) = Browser::start(profile) else {
        return;
    };
    let (project, _server) = slow_project(&hostile_replies());
    let mut child = project
        .command(&["eval", "--watch", "--exit-zero"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("the address is told").unwrap();
        if line.trim().starts_with("http://") {
            break line.trim().to_owned();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    browser.visit(&address);
    browser.wait_for("document.querySelectorAll('#talks button').length > 2");
    let speakers = browser.text("document.getElementById('speakers').innerText");
    for name in ["base", "tuned <U+202E>desrever", "judge"] {
        assert!(speakers.contains(name), "{speakers}");
    }

    // What was said is text, whatever it looks like; the page compares nothing.
    let hostile = "[...document.querySelectorAll('#talks button')]\
        .findIndex((button) => button.innerText.includes('desrever'))";
    browser.wait_for(&format!("{hostile} >= 0"));
    browser.ask(&format!(
        "document.querySelectorAll('#talks button')[{hostile}].click()"
    ));
    browser.wait_for("document.querySelectorAll('#talk .turn.assistant').length > 0");
    let said = browser.text("document.getElementById('talk').innerText");
    assert!(said.contains("Gladly."), "{said}");
    let elements = browser.ask(
        "[...new Set([...document.querySelectorAll('#talk *')].map((node) => node.localName))].sort()",
    );
    for element in elements.as_array().unwrap() {
        let known = ["b", "div", "h2", "li", "p", "ul"];
        assert!(known.contains(&element.as_str().unwrap()), "{elements}");
    }
    assert!(
        said.contains("<U+202E>desrever") && !said.contains('\u{202e}'),
        "{said}"
    );
    let all = browser.text("document.querySelector('main .wide').innerText");
    for word in ["p =", "p-value", "%", "interval", "significan"] {
        assert!(!all.contains(word), "{word}: {all}");
    }
    for dark in [false, true] {
        let name = if dark { "dark" } else { "light" };
        browser.dark(dark);
        let picture = |browser: &mut Browser, name: &str| {
            browser.screenshot(&directory().join(format!("watch-{name}.png")), Some(2400));
        };
        picture(&mut browser, name);
        browser.window(390, 844);
        let sideways = "document.documentElement.scrollWidth > innerWidth";
        assert_eq!(browser.ask(sideways), false);
        picture(&mut browser, &format!("{name}-390"));
        browser.window(1280, 900);
    }

    // In the end the page becomes the report, and the command ends as it would.
    browser.wait_for(
        "location.pathname.endsWith('/report') && document.documentElement?.dataset.ready === 'true'",
    );
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    let count = browser.text("document.getElementById('talk-count').innerText");
    assert!(count.starts_with("8 of 8 conversations"), "{count}");
    assert_eq!(browser.problems(), Vec::<String>::new());
    let page = std::fs::read_to_string(project.runs()[0].join("evaluation_report.html")).unwrap();
    let title = page
        .split("<title>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    assert!(
        title.starts_with(&browser.text("document.title")[..4]),
        "{title}"
    );
}

#[test]
fn a_run_that_nobody_watches_any_more_ends_at_once() {
    let (project, _server) = slow_project("{\"reply\": \"Gladly.\"}\n");
    let done = project.run(&["eval", "--watch", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("watch the run at"), "{}", done.stderr);
}
