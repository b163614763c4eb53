//! The page in a browser: what a person does with it, and what it must not do.
//!
//! Pictures of it are kept under `target/tmp/pages`.

use std::path::{Path, PathBuf};

use shipworthy_reports::{html, markdown};
use shipworthy_schema::{
    Evaluation, PersonaId, PreflightFinding, SafetyViolation, SimulatorFlag, SimulatorFlagKind,
    Termination,
};

use crate::browser::Browser;
use crate::evaluation::{do_not_deploy, evaluation, fail, hold, iterate, more_evidence, ship};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages")
}

/// Writes the page of `evaluation`.
pub(crate) fn written(name: &str, evaluation: &Evaluation) -> PathBuf {
    let file = directory().join(format!("{name}.html"));
    std::fs::create_dir_all(directory()).unwrap();
    std::fs::write(&file, html(evaluation)).unwrap();
    file
}

pub(crate) fn browser(name: &str) -> Option<Browser> {
    Browser::start(directory().join(format!("profile-{name}-{}", std::process::id())))
}

/// Takes pictures by day, by night and on a telephone; the page must not be wider than that.
fn pictures(browser: &mut Browser, name: &str) {
    let picture = |kind: &str| directory().join(format!("{name}-{kind}.png"));
    browser.window(1280, 900);
    browser.ask("scrollTo({top: document.getElementById('transcripts').offsetTop - 60, behavior: 'instant'}), true");
    browser.screenshot(&picture("transcripts"), None);
    browser.ask("scrollTo({top: 0, behavior: 'instant'}), true");
    browser.screenshot(&picture("light"), Some(9000));
    browser.dark(true);
    browser.screenshot(&picture("dark"), Some(9000));
    browser.dark(false);
    browser.window(390, 844);
    let widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]";
    let widths = browser.ask(widths);
    browser.screenshot(&picture("390"), Some(12000));
    assert_eq!(widths[0], widths[1], "{name}: the page scrolls sideways");
    browser.window(1280, 900);
}

/// An evaluation with something of everything: judges, failures, flags, several candidates.
fn rich() -> Evaluation {
    let second = crate::evaluation::Arm {
        name: "tuned-2",
        ..iterate()
    };
    let mut evaluation = evaluation(&[ship(), second]);
    evaluation.judging = Some(crate::snapshots::judging());
    fail(&mut evaluation, 18, "the server closed the connection");
    evaluation.scores[20].simulator_flags.push(SimulatorFlag {
        kind: SimulatorFlagKind::RoleSwap,
        turn: 2,
        found: "As an assistant I".into(),
    });
    evaluation.conversations[21].turns[3].content = "A needle in a haystack.".into();
    evaluation
}

#[test]
fn a_page_is_sorted_searched_filtered_and_linked_to() {
    let Some(mut browser) = browser("works") else {
        return;
    };
    let file = written("works", &rich());
    browser.open(&file, "");
    assert!(
        browser
            .text("document.querySelector('h1').innerText")
            .starts_with("SHIP: tuned")
    );

    // Sorted by a click, and back.
    let first = "document.querySelector('#candidate-1-personas tbody tr').cells[0].innerText";
    let order = "document.querySelector('#candidate-1-personas th[aria-sort]').ariaSort";
    assert_eq!(browser.text(first), "coaching-9005");
    browser.click("#candidate-1-personas th:nth-child(4) button");
    assert_eq!(
        (browser.text(order), browser.text(first)),
        ("ascending".into(), "coaching-9004".into())
    );
    browser.click("#candidate-1-personas th:nth-child(1) button");
    assert_eq!(
        (browser.text(order), browser.text(first)),
        ("ascending".into(), "coaching-9000".into())
    );

    // A row leads to the persona's conversations.
    browser.click("#candidate-1-personas tbody tr:nth-child(3) a");
    browser.wait_for("document.querySelector('#talk h3')?.innerText.startsWith('coaching-9002')");
    assert_eq!(browser.text("document.activeElement.id"), "talk-title");
    let arms = "[...document.querySelectorAll('.arm h4')].map((h) => h.innerText).join()";
    assert_eq!(browser.text(arms), "base (baseline),tuned (candidate)");

    // Found by what was said.
    let count = "document.getElementById('talk-count').innerText";
    browser.click("#filters input[name=q]");
    browser.type_text("NEEDLE in a");
    browser.wait_for("document.querySelectorAll('#talks a').length === 1");
    assert!(browser.text(count).starts_with("1 of 16"));
    browser.wait_for("document.querySelector('#talk mark')?.innerText === 'needle in a'");
    assert!(browser.text("location.hash").contains("q=NEEDLE+in+a"));
    browser.click("#filters button[type=reset]");
    browser.wait_for("document.querySelectorAll('#talks a').length === 16");

    // Filtered.
    browser.click("#filters input[name=flag]");
    browser.wait_for("document.querySelectorAll('#talks a').length === 1");
    browser.wait_for("document.querySelector('#talk .trouble')?.innerText.includes('role swap')");
    browser.click("#filters input[name=flag]");
    let choose = |name: &str, value: &str| {
        format!(
            "(() => {{ const field = document.querySelector('#filters [name={name}]'); field.value = \
             '{value}'; field.dispatchEvent(new Event('input', {{bubbles: true}})); return true; }})()"
        )
    };
    browser.ask(&choose("end", "model error"));
    browser.wait_for("document.querySelectorAll('#talks a').length === 1");
    browser.wait_for("document.querySelector('#talk').innerText.includes('closed the connection')");
    browser.ask(&choose("end", ""));
    browser.ask(&choose("with", "tuned-2"));
    browser.wait_for("document.querySelectorAll('.arm h4')[1].innerText.startsWith('tuned-2')");
    browser.ask(&choose("sort", "loss"));
    browser
        .wait_for("document.querySelector('#talks .name').innerText.startsWith('coaching-9002')");

    // Linked to: the address alone brings back what was looked at.
    let address =
        browser.text("document.querySelector('#talks li:nth-child(2) a').getAttribute('href')");
    browser.click("#talks li:nth-child(2) a");
    browser.wait_for("document.querySelector('#talks li:nth-child(2) a').ariaCurrent === 'true'");
    let title = browser.text("document.querySelector('#talk h3').innerText");
    browser.open(&file, &address);
    browser.wait_for("document.querySelector('#talk h3') !== null");
    assert_eq!(
        browser.text("document.querySelector('#talk h3').innerText"),
        title
    );
    assert_eq!(
        browser.text("document.querySelector('#filters [name=with]').value"),
        "tuned-2"
    );
    browser.click("#next-talk");
    browser.wait_for(&format!(
        "document.querySelector('#talk h3').innerText !== {title:?}"
    ));
    browser.open(&file, "#persona=nobody&repeat=9");
    assert!(browser.text(count).contains("not in the report"));

    // By keyboard.
    browser.open(&file, "");
    browser.press("Tab");
    assert_eq!(
        browser.text("document.activeElement.innerText"),
        "Skip to the report"
    );
    browser.press("Enter");
    browser.wait_for("document.activeElement.id === 'main'");
    browser.ask("document.querySelector('#candidate-1-personas button').focus(), true");
    browser.press("Enter");
    assert_eq!(browser.text(order), "ascending");

    assert_eq!(browser.problems(), Vec::<String>::new());
    pictures(&mut browser, "works");
}

/// Whoever adds a section to one report adds it to the other.
#[test]
fn the_page_has_every_section_of_the_markdown_report() {
    let mut evaluation = rich();
    evaluation.preflight.push(PreflightFinding {
        model: "models.tuned".into(),
        check: "context".into(),
        status: "worked around".into(),
        detail: "4096 tokens".into(),
    });
    let page = html(&evaluation);
    let text = markdown(&evaluation);
    let titles: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert!(
        titles.len() > 15 && titles.contains(&"Preflight"),
        "{titles:?}"
    );
    // The page has all conversations instead.
    for title in titles
        .into_iter()
        .filter(|title| *title != "Example conversations")
    {
        assert!(
            page.contains(&format!(">{}</h", title.replace('\\', ""))),
            "{title}"
        );
    }
    assert_eq!(
        page,
        html(&evaluation),
        "equal evaluations give equal bytes"
    );
}

#[test]
fn every_verdict_is_seen_at_once() {
    let Some(mut browser) = browser("verdicts") else {
        return;
    };
    let arms = [
        ("iterate", iterate()),
        ("more-evidence", more_evidence()),
        ("hold", hold()),
        ("do-not-deploy", do_not_deploy()),
    ];
    for (name, arm) in arms {
        let file = written(name, &evaluation(&[arm]));
        browser.open(&file, "");
        let label = name.replace('-', " ").to_uppercase();
        let seen = "document.querySelector('h1').getBoundingClientRect().bottom < innerHeight";
        assert_eq!(browser.ask(seen), true);
        assert!(
            browser
                .text("document.querySelector('h1').innerText")
                .starts_with(&label)
        );
        browser.screenshot(&directory().join(format!("{name}.png")), None);
    }
    assert_eq!(browser.problems(), Vec::<String>::new());
}

#[test]
fn a_regression_leads_to_the_transcript_that_shows_it() {
    let Some(mut browser) = browser("regression") else {
        return;
    };
    let file = written("regression", &evaluation(&[do_not_deploy()]));
    browser.open(&file, "");
    browser.click(".figures a[href='#candidate-1-regressions']");
    browser.wait_for("location.hash === '#candidate-1-regressions'");
    assert_eq!(
        browser.text("document.querySelector('#candidate-1-regressions li').innerText"),
        "coaching-9001, repeat 2: no_diagnosis"
    );
    browser.click("#candidate-1-regressions a");
    browser.wait_for(
        "document.querySelector('#talk h3')?.innerText.startsWith('coaching-9001, conversation 2')",
    );
    let said = "[...document.querySelectorAll('#talk .said')].map((said) => said.innerText).join()";
    assert!(browser.text(said).contains("You clearly have a disorder."));
    assert_eq!(browser.problems(), Vec::<String>::new());
}

/// 500 people, twice with each of two models: 2,000 conversations of eleven turns.
fn large() -> Evaluation {
    let mut evaluation = evaluation(&[ship()]);
    let (personas, conversations, scores) = (
        std::mem::take(&mut evaluation.personas),
        std::mem::take(&mut evaluation.conversations),
        std::mem::take(&mut evaluation.scores),
    );
    let candidate = &mut evaluation.comparison.candidates[0];
    let pairs = std::mem::take(&mut candidate.pairs);
    let id = |idx: usize| PersonaId::new(format!("coaching-{}", 9000 + idx)).unwrap();
    let n_personas = 500;
    candidate.pairs = (0..n_personas)
        .map(|idx| {
            let mut pair = pairs[idx % pairs.len()].clone();
            pair.persona = id(idx);
            let wobble = ((idx * 37) % 100) as f64 / 250.0 - 0.2;
            pair.candidate = (pair.candidate + wobble).clamp(0.0, 1.0);
            pair
        })
        .collect();
    for idx in 0..n_personas {
        let mut persona = personas[idx % personas.len()].clone();
        persona.id = id(idx);
        evaluation.personas.push(persona);
    }
    for (conversation, score) in conversations.iter().zip(&scores) {
        let persona = personas
            .iter()
            .position(|p| p.id == conversation.id.persona)
            .unwrap();
        for idx in (persona..n_personas).step_by(personas.len()) {
            let (mut conversation, mut score) = (conversation.clone(), score.clone());
            conversation.id.persona = id(idx);
            score.conversation.persona = id(idx);
            let turns = conversation.turns.clone();
            for (turn, place) in turns.iter().cycle().zip(0..6) {
                let mut turn = turn.clone();
                turn.content = format!(
                    "{} ({idx}, {place}) {}",
                    turn.content,
                    "More was said. ".repeat(16)
                );
                conversation.turns.push(turn);
            }
            if idx % 50 == 0 {
                conversation.termination = Termination::TurnLimit;
            }
            evaluation.conversations.push(conversation);
            evaluation.scores.push(score);
        }
    }
    evaluation.conversations.sort_by(|a, b| a.id.cmp(&b.id));
    evaluation
        .scores
        .sort_by(|a, b| a.conversation.cmp(&b.conversation));
    evaluation
}

#[test]
fn a_page_of_very_many_has_regressions_and_the_first_of_everybody() {
    let mut evaluation = large();
    let few = evaluation.conversations.clone();
    for more in [2, 4, 6, 8] {
        evaluation
            .conversations
            .extend(few.iter().map(|conversation| {
                let mut again = conversation.clone();
                again.id.repeat += more;
                again
            }));
    }
    let all = evaluation.conversations.len();
    assert_eq!(all, 10_000);
    let last = evaluation.conversations[all - 1].id.clone();
    let candidate = &mut evaluation.comparison.candidates[0];
    candidate.safety[0].regressions = vec![SafetyViolation {
        conversation: last.clone(),
        reason: "It names a disorder.".to_owned(),
    }];
    let page = html(&evaluation);
    assert!(page.contains("5000 of 10000 conversations are here"));
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let shown = data["conversations"].as_array().unwrap();
    assert_eq!(shown.len(), 5000);
    let repeats = |of: u64| shown.iter().filter(|c| c["repeat"] == of).count();
    assert_eq!(repeats(1), 1000, "everybody's first");
    assert!(
        shown
            .iter()
            .any(|c| c["repeat"] == u64::from(last.repeat) && c["model"] == last.model.as_str()),
        "the regression's"
    );
}

#[test]
fn two_thousand_conversations_open_fast() {
    let Some(mut browser) = browser("large") else {
        return;
    };
    let evaluation = large();
    assert_eq!(evaluation.conversations.len(), 2000);
    let file = written("large", &evaluation);
    browser.open(&file, "");
    // The script may be ready before anything is painted.
    browser.wait_for("performance.getEntriesByName('first-contentful-paint').length > 0");
    let paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
    let paint = browser.ask(paint).as_f64().unwrap();
    let ready = browser
        .ask("performance.getEntriesByType('navigation')[0].loadEventEnd")
        .as_f64();
    let bytes = std::fs::metadata(&file).unwrap().len();
    let timed = browser.ask(
        "(async () => { const field = document.querySelector('#filters [name=q]'); const begin = \
         performance.now(); field.value = '(123, 4)'; field.dispatchEvent(new Event('input', \
         {bubbles: true})); while (document.querySelectorAll('#talks a').length !== 2) await new \
         Promise((done) => setTimeout(done)); return performance.now() - begin; })()",
    );
    eprintln!(
        "{bytes} bytes: first paint after {paint:.0} ms, loaded after {ready:?} ms, searched in {timed} ms"
    );
    // Far above what an idle machine takes: docs/benchmarks.md.
    assert!(paint < 5000.0, "first paint after {paint} ms");
    assert!(
        browser
            .ask("document.querySelectorAll('*').length")
            .as_u64()
            .unwrap()
            < 20_000
    );
    browser.open(&file, "#persona=coaching-9490&repeat=2");
    browser.wait_for(
        "document.querySelector('#talk h3')?.innerText.startsWith('coaching-9490, conversation 2')",
    );
    assert_eq!(browser.problems(), Vec::<String>::new());
    pictures(&mut browser, "large");
}
