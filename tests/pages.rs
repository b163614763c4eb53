use std::path::{Path, PathBuf};

use crate::support::browser::Browser;
use crate::support::project::Project;
use crate::support::words::project_of;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages")
}

/// Opens the only run's page and looks at what everybody looks at; a picture is kept.
#[expect(clippy::print_stderr, reason = "what was measured is said")]
fn assert_opens(project: &Project, run: &Path, name: &str, conversations: u64) {
    let profile = directory().join(format!("profile-{name}-{}", std::process::id()));
    let Some(mut browser) = Browser::start(profile) else {
        return;
    };
    let page = run.join("evaluation_report.html");
    browser.open(&page, "");
    // The script may be ready before anything is painted.
    browser.wait_for("performance.getEntriesByName('first-contentful-paint').length > 0");
    let paint = browser.ask("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    eprintln!("{name}: first paint after {paint} ms");
    // Far above what an idle machine takes: docs/benchmarks.md.
    assert!(
        paint.as_f64().unwrap() < 5000.0,
        "first paint after {paint} ms"
    );
    let decision: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("decision.json")).unwrap()).unwrap();
    let label = decision["verdict"]
        .as_str()
        .unwrap()
        .replace('_', " ")
        .to_uppercase();
    let headline = browser.text("document.querySelector('h1').innerText");
    assert!(headline.starts_with(&format!("{label}: ")), "{headline}");

    // Each row of the list has both models' conversations.
    let count = browser.text("document.getElementById('talk-count').innerText");
    let pairs = conversations / 2;
    assert!(
        count.starts_with(&format!("{pairs} of {pairs} conversations")),
        "{count}"
    );
    let first = "document.querySelector('.sortable tbody tr').cells[3].innerText";
    let largest = browser.text(first);
    browser.click(".sortable th:nth-child(4) button");
    let smallest = browser.text(first);
    let number = |text: &str| text.parse::<f64>().unwrap();
    assert!(
        number(&smallest) <= number(&largest),
        "{smallest} {largest}"
    );
    browser.click(".sortable tbody tr:nth-child(2) a");
    browser.wait_for("document.activeElement.id === 'talk-title'");
    let title = browser.text("document.getElementById('talk-title').innerText");
    let address = browser.text("location.hash");
    browser.open(&page, &address);
    assert_eq!(
        browser.text("document.getElementById('talk-title').innerText"),
        title
    );
    browser.ask(
        "(() => { const field = document.querySelector('#filters [name=q]'); field.value = \
         'coaching-9003'; field.dispatchEvent(new Event('input', {bubbles: true})); return true; })()",
    );
    browser.wait_for(&format!(
        "document.querySelectorAll('#talks a').length > 0 && \
         document.querySelectorAll('#talks a').length < {pairs}"
    ));
    assert_eq!(browser.problems(), Vec::<String>::new());
    browser.open(&page, "");
    browser.screenshot(&directory().join(format!("run-{name}.png")), Some(6000));
    // The project lives until its page was looked at.
    let _ = project;
}

#[test]
fn the_page_of_two_thousand_conversations_opens() {
    let project = project_of(500, "", 5, |i| 6 + i % 2, "");
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_opens(&project, &project.runs()[0], "large", 2000);
}
