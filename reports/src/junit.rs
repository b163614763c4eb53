//! `junit.xml`: the verdict as CI systems show test results.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use shipworthy_schema::{CandidateComparison, Decision, Evaluation, ModelName, Verdict};

use crate::inert_text::{cut, one_line};
use crate::number_text::{difference, score};
use crate::verdict_text::VerdictText;

/// Most characters of an attribute; some readers take no more than a line of them.
const ATTRIBUTE: usize = 400;

/// How one test case ended.
enum Ended {
    Passed,
    /// The candidate is not good enough.
    Failed {
        kind: String,
        message: String,
        detail: String,
    },
    /// Nobody can tell: something could not be scored.
    Errored {
        kind: String,
        message: String,
    },
    /// It was not tried.
    Skipped {
        message: String,
    },
}

struct Case {
    class: String,
    name: String,
    ended: Ended,
    output: String,
}

struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// Returns `junit.xml`: one suite per candidate, with a case for the verdict, one for each safety
/// criterion and one for each person.
///
/// Only a candidate's quality is a `failure`, and only where the verdict is not to ship; what could
/// not be scored is an `error`, who never spoke is `skipped`. The recommended candidate's suite
/// alone can fail: its verdict is the run's.
pub fn junit(evaluation: &Evaluation) -> String {
    let suites = evaluation
        .decisions
        .iter()
        .filter_map(|decision| suite(evaluation, decision));
    render(&suites.collect::<Vec<_>>())
}

/// Returns `junit.xml` of a run that has no verdict: one case, in error.
pub fn junit_invalid(project: &str, reason: &str) -> String {
    let ended = Ended::Errored {
        kind: "no_verdict".to_owned(),
        message: reason.to_owned(),
    };
    let case = Case {
        class: project.to_owned(),
        name: "verdict".to_owned(),
        ended,
        output: String::new(),
    };
    let name = format!("{project}: no verdict");
    let cases = vec![case];
    render(&[Suite { name, cases }])
}

fn suite(evaluation: &Evaluation, decision: &Decision) -> Option<Suite> {
    let candidates = &evaluation.comparison.candidates;
    let candidate = candidates.iter().find(|c| c.model == decision.model)?;
    let class = format!("{}.{}", evaluation.plan.project, candidate.model);
    let decides = decision.model == evaluation.recommended;
    let mut cases = vec![verdict_case(evaluation, decision, decides, &class)];
    cases.extend(safety_cases(candidate, decides, &class));
    cases.extend(persona_cases(evaluation, candidate, &class));
    Some(Suite {
        name: format!(
            "{} against {}",
            candidate.model, evaluation.comparison.baseline
        ),
        cases,
    })
}

fn verdict_case(evaluation: &Evaluation, decision: &Decision, decides: bool, class: &str) -> Case {
    let words = VerdictText::new(evaluation, decision);
    let reasons = words.reasons.join("\n");
    let (ended, output) = if decision.verdict == Verdict::Ship || !decides {
        (Ended::Passed, format!("{}\n{reasons}", words.headline))
    } else {
        let next = words.next_steps.join("\n");
        let failed = Ended::Failed {
            kind: decision.verdict.label().replace(' ', "_"),
            message: words.headline,
            detail: format!("{reasons}\n\nNext\n{next}"),
        };
        (failed, String::new())
    };
    Case {
        class: class.to_owned(),
        name: "verdict".to_owned(),
        ended,
        output,
    }
}

fn safety_cases(candidate: &CandidateComparison, decides: bool, class: &str) -> Vec<Case> {
    let case = |safety: &shipworthy_schema::SafetyComparison| {
        let record = format!(
            "violated in {} of {} conversations; baseline {} of {}",
            safety.violations,
            safety.conversations,
            safety.baseline_violations,
            safety.baseline_conversations
        );
        let graded = safety.graded.as_ref();
        let not_shown = graded.is_some_and(|graded| !graded.shown);
        let ended = if safety.conversations == 0 {
            Ended::Errored {
                kind: "unscored".to_owned(),
                message: "no conversation of the candidate has a score".to_owned(),
            }
        } else if decides && (!safety.regressions.is_empty() || not_shown) {
            let regressions = safety.regressions.iter();
            let detail = regressions.map(|r| format!("{}: {}", r.conversation, r.reason));
            let message = if safety.regressions.is_empty() {
                "not shown to be no worse than the baseline by more than the margin".to_owned()
            } else {
                record.clone()
            };
            Ended::Failed {
                kind: "safety".to_owned(),
                message,
                detail: detail.collect::<Vec<_>>().join("\n"),
            }
        } else {
            Ended::Passed
        };
        Case {
            class: format!("{class}.safety"),
            name: safety.criterion.clone(),
            ended,
            output: record,
        }
    };
    candidate.safety.iter().map(case).collect()
}

fn persona_cases(
    evaluation: &Evaluation,
    candidate: &CandidateComparison,
    class: &str,
) -> Vec<Case> {
    let spoke = |model: &ModelName, persona| {
        let mut conversations = evaluation.conversations.iter();
        conversations.any(|c| c.id.model == *model && c.id.persona == persona)
    };
    let case = |persona: &shipworthy_schema::Persona| {
        let pair = candidate
            .pairs
            .iter()
            .find(|pair| pair.persona == persona.id);
        let (ended, output) = match pair {
            Some(pair) => {
                let gain = difference(pair.candidate - pair.baseline);
                let (base, own) = (score(pair.baseline), score(pair.candidate));
                (Ended::Passed, format!("{base} → {own} ({gain})"))
            }
            None if spoke(&candidate.model, persona.id.clone()) => {
                let unscored = Ended::Errored {
                    kind: "unscored".to_owned(),
                    message: why_unscored(evaluation, persona),
                };
                (unscored, String::new())
            }
            None => {
                let message = "the run ended before this person spoke".to_owned();
                (Ended::Skipped { message }, String::new())
            }
        };
        Case {
            class: format!("{class}.personas"),
            name: persona.id.to_string(),
            ended,
            output,
        }
    };
    evaluation.personas.iter().map(case).collect()
}

/// Returns why a person has no pair of scores: the first reason of either arm.
fn why_unscored(evaluation: &Evaluation, persona: &shipworthy_schema::Persona) -> String {
    let mut scores = evaluation.scores.iter();
    let reason = scores.find_map(|score| match &score.overall {
        shipworthy_schema::Outcome::Unscored { reason }
            if score.conversation.persona == persona.id =>
        {
            Some(format!("{}: {reason}", score.conversation))
        }
        _ => None,
    });
    reason.unwrap_or_else(|| "not every model has a score".to_owned())
}

fn render(suites: &[Suite]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = write(&mut writer, suites);
    written.expect("writing to memory cannot fail");
    let xml = String::from_utf8(writer.into_inner()).expect("only text was written");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}\n")
}

fn write(writer: &mut Writer<Vec<u8>>, suites: &[Suite]) -> std::io::Result<()> {
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let root = counted(BytesStart::new("testsuites"), "shipworthy", &all());
    writer.write_event(Event::Start(root))?;
    for suite in suites {
        let head = counted(
            BytesStart::new("testsuite"),
            &suite.name,
            &suite.cases.iter(),
        );
        writer.write_event(Event::Start(head))?;
        for case in &suite.cases {
            write_case(writer, case)?;
        }
        writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))
}

fn counted<'a>(
    mut element: BytesStart<'static>,
    name: &str,
    cases: &(impl Iterator<Item = &'a Case> + Clone),
) -> BytesStart<'static> {
    let count = |is: fn(&Ended) -> bool| {
        let cases = cases.clone();
        cases.filter(|case| is(&case.ended)).count().to_string()
    };
    element.push_attribute(("name", attribute(name).as_str()));
    element.push_attribute(("tests", count(|_| true).as_str()));
    let failures = count(|ended| matches!(ended, Ended::Failed { .. }));
    element.push_attribute(("failures", failures.as_str()));
    let errors = count(|ended| matches!(ended, Ended::Errored { .. }));
    element.push_attribute(("errors", errors.as_str()));
    // The schema has it for suites alone.
    if element.name().as_ref() == "testsuite" {
        let skipped = count(|ended| matches!(ended, Ended::Skipped { .. }));
        element.push_attribute(("skipped", skipped.as_str()));
    }
    // No clock reaches an artefact, and readers want the attribute.
    element.push_attribute(("time", "0"));
    element
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &Case) -> std::io::Result<()> {
    let mut head = BytesStart::new("testcase");
    head.push_attribute(("classname", attribute(&case.class).as_str()));
    head.push_attribute(("name", attribute(&case.name).as_str()));
    head.push_attribute(("time", "0"));
    writer.write_event(Event::Start(head))?;
    match &case.ended {
        Ended::Passed => {}
        Ended::Failed {
            kind,
            message,
            detail,
        } => element(writer, "failure", Some(kind), Some(message), detail)?,
        Ended::Errored { kind, message } => {
            element(writer, "error", Some(kind), Some(message), message)?;
        }
        Ended::Skipped { message } => element(writer, "skipped", None, Some(message), "")?,
    }
    if !case.output.is_empty() {
        element(writer, "system-out", None, None, &case.output)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

fn element(
    writer: &mut Writer<Vec<u8>>,
    name: &'static str,
    kind: Option<&str>,
    message: Option<&str>,
    text: &str,
) -> std::io::Result<()> {
    let mut head = BytesStart::new(name);
    if let Some(message) = message {
        head.push_attribute(("message", attribute(message).as_str()));
    }
    if let Some(kind) = kind {
        head.push_attribute(("type", attribute(kind).as_str()));
    }
    if text.is_empty() {
        return writer.write_event(Event::Empty(head));
    }
    writer.write_event(Event::Start(head))?;
    let lines: Vec<String> = text.lines().map(inert).collect();
    writer.write_event(Event::Text(BytesText::new(&lines.join("\n"))))?;
    writer.write_event(Event::End(BytesEnd::new(name)))
}

fn attribute(text: &str) -> String {
    cut(&inert(text), ATTRIBUTE)
}

/// Returns `text` on one line, without what XML cannot hold however it is escaped: controls are
/// shown by number as everywhere, and the two non-characters of the plane go the same way.
fn inert(text: &str) -> String {
    let replaced = text.replace('\u{fffe}', "<U+FFFE>");
    one_line(&replaced.replace('\u{ffff}', "<U+FFFF>"))
}
