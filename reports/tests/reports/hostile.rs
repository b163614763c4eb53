use shipworthy_reports::{
    compare_json, compare_terminal, decision_json, eval_results, github_annotations, inspect_log,
    junit, junit_invalid, lm_eval_results, lm_eval_samples, markdown, markdown_within, model_index,
    scores_csv, terminal, transcripts_jsonl,
};
use shipworthy_schema::{Evaluation, ModelName, Outcome, PersonaId, Reason};

use crate::evaluation::{do_not_deploy, evaluation, fail, iterate, not_shown, ship};

/// Wants to colour, to run, to link, to ping, to command, to break tables, lines and directions.
pub(crate) const HOSTILE: &str = "=HYPERLINK(\"http://evil.example\")\n::error::pwned\n##[add-mask]x\n# Heading\n\
    | a | b |\n```\n<img src=x onerror=alert(1)> ![i](http://evil.example/i.png) @everyone \
    \u{1b}[2J\u{9b}31m\u{202e}txt\u{2028}end";

fn hostile() -> Evaluation {
    let mut evaluation = evaluation(&[do_not_deploy()]);
    for conversation in &mut evaluation.conversations {
        for turn in &mut conversation.turns {
            turn.content = HOSTILE.into();
        }
    }
    for score in &mut evaluation.scores {
        for criterion in &mut score.criteria {
            criterion.reason = HOSTILE.into();
        }
        score.criteria[0].outcome = Outcome::Unscored {
            reason: HOSTILE.into(),
        };
    }
    let candidate = &mut evaluation.comparison.candidates[0];
    candidate.categories[0].category = HOSTILE.into();
    candidate.criteria[0].criterion = HOSTILE.into();
    candidate.safety[0].regressions[0].reason = HOSTILE.into();
    evaluation.plan.project = HOSTILE.into();
    evaluation.plan.system_prompt = Some(HOSTILE.into());
    evaluation.plan.test = HOSTILE.into();
    evaluation.warnings.push(HOSTILE.into());
    for persona in &mut evaluation.personas {
        persona.levels.insert("mood".into(), HOSTILE.into());
    }
    fail(&mut evaluation, 0, HOSTILE);
    evaluation
}

/// No control but the line's end, no direction mark, no line that a CI runner takes for a command.
pub(crate) fn assert_inert(text: &str) {
    for line in text.lines() {
        let bad = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!line.contains(bad), "{line:?}");
        assert!(!line.trim_start().starts_with("::"), "{line}");
        assert!(!line.contains("##["), "{line}");
    }
}

#[test]
fn the_terminal_is_not_driven() {
    let text = terminal(&hostile(), 80, false);
    assert_inert(&text);
    assert!(
        text.contains("<U+001B>[2J"),
        "the attack stays visible: {text}"
    );
}

#[test]
fn markdown_renders_as_text() {
    let text = markdown(&hostile());
    assert_inert(&text);
    // Code spans hold the system prompt, in which nothing but a backtick counts.
    let outside: String = text.replace("\\`", "").split('`').step_by(2).collect();
    for markup in [" <img", " ![i]", "http://", "@everyone", "\n# H", " | a |"] {
        assert!(!outside.contains(markup), "{markup} in {text}");
    }
    let rows = |prefix: &str| text.lines().filter(|l| l.starts_with(prefix)).count();
    assert_eq!(rows("# "), 1, "one title");
    let columns = |row: &str| row.replace("\\|", "").matches('|').count();
    let category = text
        .lines()
        .find(|l| l.contains("HYPERLINK") && l.starts_with('|'));
    assert_eq!(columns(category.unwrap()), 5);
    insta::assert_snapshot!("markdown_hostile", text);
}

#[test]
fn json_carries_the_text_unchanged_in_plain_ascii_lines() {
    let evaluation = hostile();
    let decision = decision_json(&evaluation);
    assert_inert(&decision);
    let value: serde_json::Value = serde_json::from_str(&decision).unwrap();
    assert_eq!(value["warnings"][2], HOSTILE);

    let transcripts = transcripts_jsonl(
        &evaluation.personas,
        &evaluation.conversations,
        &evaluation.scores,
    );
    assert_inert(&transcripts);
    assert_eq!(transcripts.lines().count(), evaluation.conversations.len());
    for line in transcripts.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["turns"][0]["content"], HOSTILE);
    }
}

#[test]
fn csv_holds_no_formula() {
    let evaluation = hostile();
    let text = scores_csv(&evaluation.conversations, &evaluation.scores);
    assert_inert(&text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for record in reader.records() {
        for cell in &record.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
        }
    }
    assert!(
        text.contains("'=HYPERLINK"),
        "the failed conversation's detail: {text}"
    );
}

/// A name may hold anything but control characters; it wants the same things.
const HOSTILE_NAME: &str =
    "=cmd|' /C'!A0 <img src=x> **b** ::error::x ##[group]y @everyone \u{202e}txt\u{2028}end";

/// Renders JSON text with every model and persona renamed; names stand nowhere else in it.
fn with_hostile_names(evaluation: &Evaluation) -> Evaluation {
    let json = serde_json::to_string(evaluation).unwrap();
    let name = |text: &str| serde_json::to_string(&format!("{HOSTILE_NAME} {text}")).unwrap();
    let json = json
        .replace("\"tuned\"", &name("tuned"))
        .replace("\"base\"", &name("base"))
        .replace("\"coaching-9001\"", &name("9001").replace('/', " "))
        .replace("\"coaching-9000\"", &name("9000").replace('/', " "));
    serde_json::from_str(&json).unwrap()
}

#[test]
fn names_are_text_too() {
    let hostile = ModelName::new(HOSTILE_NAME).unwrap();
    assert!(PersonaId::new(HOSTILE_NAME.replace('/', " ")).is_ok());
    let second = crate::evaluation::Arm {
        name: "tuned-2",
        ..iterate()
    };
    let evaluations = [
        evaluation(&[do_not_deploy(), second]),
        evaluation(&[ship()]),
        evaluation(&[not_shown()]),
    ];
    for evaluation in evaluations.iter().map(with_hostile_names) {
        let (comparison, decisions) = (&evaluation.comparison, &evaluation.decisions);
        assert!(comparison.baseline.as_str().starts_with(hostile.as_str()));
        let text = terminal(&evaluation, 80, false);
        assert_inert(&text);
        let text = compare_terminal(comparison, decisions, &evaluation.recommended, 60, false);
        assert_inert(&text);
        assert_inert(&decision_json(&evaluation));
        assert_inert(&compare_json(comparison, decisions));
        let text = markdown(&evaluation);
        assert_inert(&text);
        let outside: String = text.replace("\\`", "").split('`').step_by(2).collect();
        for markup in [" <img", " **b**", "@everyone", "cmd|"] {
            assert!(!outside.contains(markup), "{markup} in {text}");
        }
        let csv = scores_csv(&evaluation.conversations, &evaluation.scores);
        assert_inert(&csv);
        assert!(csv.contains("'=cmd"), "{csv}");
    }
}

#[test]
fn new_reasons_carry_hostile_text_inertly() {
    let mut evaluation = hostile();
    evaluation.decisions[0]
        .reasons
        .push(Reason::SafetyNotShown {
            criterion: HOSTILE.into(),
            difference: None,
            lower_bound: None,
            margin: 0.05,
            untested: Some(HOSTILE.into()),
        });
    let candidate = &mut evaluation.comparison.candidates[0];
    candidate.criteria[0].untested = Some(HOSTILE.into());
    candidate.safety[0].criterion = HOSTILE.into();
    for text in [terminal(&evaluation, 80, false), markdown(&evaluation)] {
        assert_inert(&text);
    }
    let outside: String = markdown(&evaluation)
        .replace("\\`", "")
        .split('`')
        .step_by(2)
        .collect();
    assert!(!outside.contains(" <img"), "{outside}");
}

#[test]
fn junit_stays_xml() {
    let mut evaluation = hostile();
    let broken = format!("]]></failure>&\u{0}\u{b}\u{fffe}\u{ffff}{HOSTILE}");
    evaluation.comparison.candidates[0].safety[0].criterion = broken.clone();
    for xml in [junit(&evaluation), junit_invalid(&broken, &broken)] {
        assert_inert(&xml);
        let is_char = |c: char| matches!(c, '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(xml.chars().all(is_char), "{xml}");
        let mut reader = quick_xml::Reader::from_str(&xml);
        let mut depth = 0;
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(element) => {
                    depth += 1;
                    let name = element.name();
                    let known: [&str; 7] = [
                        "testsuites",
                        "testsuite",
                        "testcase",
                        "failure",
                        "error",
                        "skipped",
                        "system-out",
                    ];
                    assert!(known.contains(&name.as_ref()), "{name:?}");
                }
                quick_xml::events::Event::End(_) => depth -= 1,
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0);
    }
}

#[test]
fn nobody_adds_a_workflow_command() {
    let mut evaluation = hostile();
    evaluation
        .warnings
        .push("a%0A::set-output name=x::y\n::stop-commands::z".into());
    let text = github_annotations(&evaluation);
    for line in text.lines() {
        assert_eq!(line.matches("::").count(), 2, "{line}");
        let kinds = ["::error title=", "::warning title=", "::notice title="];
        assert!(kinds.iter().any(|kind| line.starts_with(kind)), "{line}");
        assert!(!line.contains("%0A"), "{line}");
    }
}

#[test]
fn exports_are_inert() {
    let evaluation = hostile();
    let model = evaluation.comparison.candidates[0].model.clone();
    for text in [
        markdown_within(&evaluation, 4000),
        inspect_log(&evaluation, &model, "2026-01-02T03:04:05Z").unwrap(),
        lm_eval_results(&evaluation, &model).unwrap(),
        lm_eval_samples(&evaluation, &model).unwrap(),
        model_index(&evaluation, &model, None).unwrap(),
        eval_results(&evaluation, &model, "owner/name").unwrap(),
    ] {
        assert_inert(&text);
    }
}
