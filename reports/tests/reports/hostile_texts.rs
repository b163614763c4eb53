//! The corpus of hostile texts in every format: as replies, reasons, failures, criteria and names.

use serde_json::Value;
use shipworthy_reports::{
    compare_terminal, decision_json, eval_results, github_annotations, html, inspect_log, junit,
    lm_eval_results, lm_eval_samples, markdown, model_index, regression_markdown,
    regression_terminal, run_difference_markdown, run_difference_terminal, scores_csv, terminal,
    transcripts_jsonl, trend_terminal,
};
use shipworthy_schema::{Evaluation, ModelName, Outcome, PersonaId};

use crate::corpus::{HostileText, as_name, hostile_texts};
use crate::evaluation::{do_not_deploy, evaluation, fail};
use crate::gate::regression;
use crate::history::{run_difference, trend};
use crate::human::human_check;
use crate::pages::{browser, written};

/// Returns an evaluation in which `text` is said, given as reason, warned of, and a name.
pub(crate) fn full_of(text: &str) -> Evaluation {
    let mut evaluation = evaluation(&[do_not_deploy()]);
    evaluation.judging = Some(crate::snapshots::judging());
    if text.len() > 1 << 16 {
        // Once in each kind of place; everywhere it would be half a gigabyte.
        for turn in &mut evaluation.conversations[3].turns {
            text.clone_into(&mut turn.content);
        }
        text.clone_into(&mut evaluation.scores[3].criteria[0].reason);
        return evaluation;
    }
    for conversation in &mut evaluation.conversations {
        for turn in &mut conversation.turns {
            text.clone_into(&mut turn.content);
            turn.reasoning = Some(text.to_owned());
        }
    }
    for score in &mut evaluation.scores {
        for criterion in &mut score.criteria {
            text.clone_into(&mut criterion.reason);
        }
    }
    fail(&mut evaluation, 0, text);
    evaluation.scores[1].criteria[0].outcome = Outcome::Unscored {
        reason: text.to_owned(),
    };
    let candidate = &mut evaluation.comparison.candidates[0];
    text.clone_into(&mut candidate.safety[0].regressions[0].reason);
    candidate.criteria[1].untested = Some(text.to_owned());
    text.clone_into(&mut candidate.categories[0].category);
    evaluation.plan.system_prompt = Some(text.to_owned());
    evaluation.plan.notice = Some(text.to_owned());
    evaluation.warnings.push(text.to_owned());
    for persona in &mut evaluation.personas {
        persona.levels.insert("mood".into(), text.to_owned());
        text.clone_into(&mut persona.goal.text);
    }
    let mut human = human_check();
    text.clone_into(&mut human.raters[0].rater);
    text.clone_into(&mut human.conflicts[0].people[0].rater);
    evaluation.human = Some(human);
    // A rubric names its criteria plainly, a table of scores from elsewhere as it likes.
    let quoted = serde_json::to_string(text).unwrap();
    let evaluation = replaced(&evaluation, &[("asks_question", &quoted)]);
    match as_name(text) {
        Some(name) => renamed(&evaluation, &name),
        None => evaluation,
    }
}

/// Renames the candidate and two personas.
fn renamed(evaluation: &Evaluation, name: &str) -> Evaluation {
    let short: String = name.chars().take(100).collect();
    let new = |suffix: &str| format!("{short} {suffix}");
    assert!(ModelName::new(new("t")).is_ok() && PersonaId::new(new("9")).is_ok());
    let quoted = |suffix: &str| serde_json::to_string(&new(suffix)).unwrap();
    let names = [
        ("tuned", "t"),
        ("coaching-9000", "9000"),
        ("coaching-9001", "9001"),
    ];
    let names = names.map(|(old, suffix)| (old, quoted(suffix)));
    replaced(
        evaluation,
        &names.each_ref().map(|(old, new)| (*old, new.as_str())),
    )
}

/// Replaces whole texts by others, which are in JSON already.
fn replaced(evaluation: &Evaluation, texts: &[(&str, &str)]) -> Evaluation {
    let json = serde_json::to_string(evaluation).unwrap();
    let replace =
        |json: String, (old, new): &(&str, &str)| json.replace(&format!("\"{old}\""), new);
    serde_json::from_str(&texts.iter().fold(json, replace)).unwrap()
}

/// Tells whether a terminal or a CI runner would obey something of `text`, each line for itself.
fn drives_a_terminal(text: &str) -> bool {
    let is_bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{200f}')
            || matches!(
                c,
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
            )
    };
    let commands = ["##[", "##vso", "##teamcity"];
    text.split('\n').any(|line| {
        line.contains(is_bad)
            || line.trim_start().starts_with("::")
            || commands.iter().any(|command| line.contains(command))
    })
}

/// Tells whether a spreadsheet would compute `cell`.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'])
}

/// Tells whether `text` holds something that an HTML or XML reader takes for markup.
fn is_markup(text: &str) -> bool {
    text.contains(['<', '&'])
}

#[test]
fn every_text_of_the_corpus_would_do_harm() {
    let renders = ["[click](", "**b**", "{{7*7}}", "onfocus=", "\\u003c"];
    for HostileText { name, text } in hostile_texts() {
        let is_harmful = drives_a_terminal(&text)
            || is_formula(&text)
            || is_markup(&text)
            || renders.iter().any(|markup| text.contains(markup))
            || text.contains(['\u{fffd}', '\u{fffe}', '\u{ffff}']);
        assert!(is_harmful || text.trim().is_empty(), "{name}");
    }
}

#[test]
fn lines_drive_no_terminal_and_no_runner() {
    for HostileText { name, text } in hostile_texts() {
        let evaluation = full_of(&text);
        let transcripts = transcripts_jsonl(
            &evaluation.personas,
            &evaluation.conversations,
            &evaluation.scores,
        );
        for (format, shown) in [
            ("terminal", terminal(&evaluation, 80, false)),
            // It breaks links with spaces of no width.
            ("markdown", markdown(&evaluation).replace('\u{200b}', "")),
            ("html", html(&evaluation)),
            ("json", decision_json(&evaluation)),
            ("transcripts", transcripts),
            (
                "csv",
                scores_csv(&evaluation.conversations, &evaluation.scores),
            ),
            ("junit", junit(&evaluation)),
            (
                "compare",
                compare_terminal(
                    &evaluation.comparison,
                    &evaluation.decisions,
                    &evaluation.recommended,
                    80,
                    false,
                ),
            ),
            (
                "diff",
                run_difference_terminal(&run_difference(&text), 80, false),
            ),
            (
                "diff in markdown",
                run_difference_markdown(&run_difference(&text)).replace('\u{200b}', ""),
            ),
            ("gate", regression_terminal(&regression(&text), 80, false)),
            (
                "gate in markdown",
                regression_markdown(&regression(&text)).replace('\u{200b}', ""),
            ),
            ("trend", trend_terminal(&trend(&text), 80, false)),
        ] {
            let line = shown.split('\n').find(|line| drives_a_terminal(line));
            assert_eq!(line, None, "{name} in {format}");
        }
    }
}

/// What other tools read holds no control and breaks no line, whatever was said.
#[test]
fn exports_drive_no_terminal() {
    for HostileText { name, text } in hostile_texts() {
        let evaluation = full_of(&text);
        let model = &evaluation.comparison.candidates[0].model;
        for (format, shown) in [
            (
                "inspect",
                inspect_log(&evaluation, model, "2026-01-02T03:04:05Z"),
            ),
            ("lm-eval", lm_eval_results(&evaluation, model)),
            ("lm-eval samples", lm_eval_samples(&evaluation, model)),
            ("model card", model_index(&evaluation, model, None)),
            (
                "eval results",
                eval_results(&evaluation, model, "owner/name"),
            ),
        ] {
            let shown = shown.unwrap();
            let line = shown.split('\n').find(|line| drives_a_terminal(line));
            assert_eq!(line, None, "{name} in {format}");
        }
    }
}

#[test]
fn annotations_are_ours_alone() {
    let harmless = github_annotations(&full_of("harmless")).lines().count();
    for HostileText { name, text } in hostile_texts() {
        // A megabyte stands in no annotation.
        let long = text.len() > 1 << 16;
        let shown = github_annotations(&full_of(&text));
        let lines: Vec<&str> = shown.split('\n').collect();
        assert!(long || lines.len() == harmless + 1, "{name}: {shown}");
        assert_eq!(lines.last(), Some(&""), "{name}");
        for line in &lines[..lines.len() - 1] {
            let parts: Vec<&str> = line.split("::").collect();
            let [before, command, _] = parts[..] else {
                panic!("{name}: {line}");
            };
            let (kind, title) = command.split_once(" title=").unwrap();
            assert!(before.is_empty(), "{name}: {line}");
            assert!(
                ["error", "warning", "notice"].contains(&kind),
                "{name}: {line}"
            );
            // In a title `:` and `,` would end it; `%` begins an escape everywhere.
            assert!(!title.contains([':', ',']), "{name}: {line}");
            let is_ours =
                |escape: &str| ["25", "3A", "2C"].iter().any(|own| escape.starts_with(own));
            assert!(line.split('%').skip(1).all(is_ours), "{name}: {line}");
            let controls = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}');
            assert!(!line.contains(controls), "{name}: {line}");
        }
    }
}

/// Returns the elements of an XML text with the count of each, all texts and all attributes decoded.
fn read_xml(xml: &str) -> (Vec<(String, usize)>, String) {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut elements: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut said = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name().as_ref().to_owned();
                *elements.entry(name).or_default() += 1;
                for attribute in element.attributes() {
                    said += &attribute
                        .unwrap()
                        .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                        .unwrap();
                }
            }
            Event::Text(text) => said += &text,
            Event::GeneralRef(entity) => {
                let known = ["amp", "lt", "gt", "quot", "apos"];
                assert!(known.contains(&&*entity), "{}", &*entity);
            }
            Event::End(_) | Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    (elements.into_iter().collect(), said)
}

#[test]
fn junit_is_the_same_tree_whatever_is_said() {
    let (harmless, _) = read_xml(&junit(&full_of("harmless")));
    for HostileText { name, text } in hostile_texts() {
        let xml = junit(&full_of(&text));
        let is_char = |c: char| matches!(c, '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        let wrong = xml.chars().find(|c| !is_char(*c));
        assert_eq!(wrong, None, "{name}");
        let (elements, said) = read_xml(&xml);
        if text.len() < 1 << 16 {
            assert_eq!(elements, harmless, "{name}");
        }
        assert!(
            name != "script" || said.contains("pwned()"),
            "it stays visible"
        );
    }
}

/// Returns the cells of a row, none of which an escaped `|` ends.
fn cells(row: &str) -> usize {
    row.replace("\\\\", "")
        .replace("\\|", "")
        .matches('|')
        .count()
}

#[test]
fn no_table_is_broken() {
    for HostileText { name, text } in hostile_texts() {
        for page in [
            markdown(&full_of(&text)),
            run_difference_markdown(&run_difference(&text)),
            regression_markdown(&regression(&text)),
        ] {
            let lines: Vec<&str> = page.split('\n').collect();
            let is_rule = |line: &str| {
                line.starts_with("| ") && line.trim_matches(['|', '-', ':', ' ']).is_empty()
            };
            let mut n_tables = 0;
            for (at, _) in lines.iter().enumerate().filter(|(_, line)| is_rule(line)) {
                n_tables += 1;
                let columns = cells(lines[at]);
                assert_eq!(cells(lines[at - 1]), columns, "{name}: {}", lines[at - 1]);
                let rows = lines[at + 1..]
                    .iter()
                    .take_while(|line| line.starts_with('|'));
                for row in rows {
                    assert_eq!(cells(row), columns, "{name}: {row}");
                }
            }
            assert!(n_tables > 0, "{name}: {page}");
            // Headings are ours: as many whatever is said.
            let headings = |page: &str| page.split('\n').filter(|l| l.starts_with('#')).count();
            let harmless = match page.split('\n').next() {
                Some("# Two runs") => run_difference_markdown(&run_difference("harmless")),
                Some("# Regression gate") => regression_markdown(&regression("harmless")),
                _ => markdown(&full_of("harmless")),
            };
            assert!(
                text.len() > 1 << 16 || headings(&page) == headings(&harmless),
                "{name}"
            );
        }
    }
}

#[test]
fn no_cell_is_a_formula() {
    for HostileText { name, text } in hostile_texts() {
        let evaluation = full_of(&text);
        let csv = scores_csv(&evaluation.conversations, &evaluation.scores);
        // Columns are counted (RFC 4180): a row with more or less of them is an error.
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(csv.as_bytes());
        let mut n_rows = 0;
        for record in reader.records() {
            n_rows += 1;
            let record = record.unwrap();
            let cell = record.iter().find(|cell| is_formula(cell));
            assert_eq!(cell, None, "{name}");
        }
        assert_eq!(n_rows, 1 + evaluation.conversations.len(), "{name}");
    }
}

#[test]
fn markdown_makes_no_element_of_it() {
    for HostileText { name, text } in hostile_texts() {
        let shown = markdown(&full_of(&text));
        // Code spans hold the system prompt, in which nothing but a backtick counts.
        let outside: String = shown.replace("\\`", "").split('`').step_by(2).collect();
        let outside = outside
            .replace("&lt; 0.0", "")
            .replace("\\<", "")
            .replace("\\&", "");
        assert!(!is_markup(&outside), "{name}: {outside}");
        for link in ["](", "http://e", "www.e", "@everyone"] {
            assert!(!outside.replace("\\]", "").contains(link), "{name}: {link}");
        }
    }
}

#[test]
fn a_page_holds_it_as_text_only() {
    let Some(mut browser) = browser("hostile") else {
        return;
    };
    for (idx, HostileText { name, text }) in hostile_texts().into_iter().enumerate() {
        let file = written(&format!("hostile-{idx}"), &full_of(&text));
        browser.open(&file, "");
        let elements = "[...document.querySelectorAll('img, iframe, object, embed, link, base, b, \
                        meta[http-equiv=refresh], [onfocus], [autofocus]')].length";
        assert_eq!(browser.ask(elements), 0, "{name}");
        assert_eq!(browser.ask("document.scripts.length"), 2, "{name}");
        let addresses = "[...document.querySelectorAll('[href]')].filter((a) => \
                         !a.getAttribute('href').startsWith('#')).length";
        assert_eq!(browser.ask(addresses), 0, "{name}");
        // Every conversation is looked at; what was said is there, letter by letter.
        browser.wait_for("document.querySelector('#talk .said') !== null");
        for _ in 0..3 {
            browser.ask("document.getElementById('next-talk').click(), true");
        }
        let show_all = "document.querySelectorAll('#talk .turn')[2].querySelector('.said + button')?.click(), true";
        browser.ask(show_all);
        let said = browser.text("document.querySelectorAll('#talk .turn > .said')[2].textContent");
        let shown = as_shown(&text);
        assert!(said == shown, "{name}: {said:.300} {shown:.300}");
        assert_eq!(browser.problems(), Vec::<String>::new(), "{name}");
        std::fs::remove_file(file).unwrap();
    }
}

/// Returns what the page shows of a reply: as it is, but for what would be obeyed or not be seen.
fn as_shown(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let is_shown = |c: char| {
        let is_hidden = c.is_control() && !matches!(c, '\n' | '\t')
            || "\u{202e}\u{202c}\u{2066}\u{2069}\u{200f}\u{61c}\u{200b}\u{2060}\u{feff}\u{ad}\u{115f}\u{3164}\u{e0041}\u{e0042}"
                .contains(c);
        !is_hidden
    };
    text.chars()
        .map(|c| {
            if is_shown(c) {
                c.to_string()
            } else {
                format!("<U+{:04X}>", u32::from(c))
            }
        })
        .collect()
}

/// The browser's test can fail: the same texts, not escaped, do what they want to.
#[test]
fn unescaped_texts_are_noticed() {
    let Some(mut browser) = browser("unescaped") else {
        return;
    };
    let file = written("unescaped", &evaluation(&[do_not_deploy()]));
    let names = ["script", "handler", "svg", "end of a script"];
    for HostileText { text, .. } in hostile_texts()
        .iter()
        .filter(|text| names.contains(&text.name))
    {
        let page = format!("<!doctype html><html data-ready=true><p>{text}</p></html>");
        std::fs::write(&file, page).unwrap();
        browser.open(&file, "");
        assert_ne!(browser.problems(), Vec::<String>::new(), "{text}");
        browser.forget();
    }
    // And what slips through does nothing under the page's policy.
    let safe = html(&evaluation(&[do_not_deploy()]));
    let attack = "<script>document.title = 'pwned'</script><img src=http://evil.example onerror=\"document.title = \
                  'pwned'\">";
    let page = safe.replace("<main ", &format!("{attack}<main "));
    assert_ne!(page, safe);
    std::fs::write(&file, page).unwrap();
    browser.open(&file, "");
    assert_ne!(browser.text("document.title"), "pwned");
    let requests = browser.problems();
    assert!(
        requests.iter().all(|problem| !problem.contains("ERR_NAME")),
        "{requests:?}"
    );
    let refused = browser
        .problems()
        .iter()
        .any(|problem| problem.contains("Content Security Policy"));
    assert!(refused, "{requests:?}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn data_in_the_page_is_the_data() {
    for HostileText { name, text } in hostile_texts() {
        let page = html(&full_of(&text));
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = rest.split_once("</script>").unwrap();
        assert!(!is_markup(data), "{name}");
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            data["conversations"][3]["turns"][0]["text"],
            text.as_str(),
            "{name}"
        );
    }
}
