//! The questions of `label`, asked line by line.

use std::collections::BTreeMap;
use std::io::BufRead as _;

use shipworthy_harness::labelling::{Item, Labelling, Question, Rater};
use shipworthy_reports::one_line;
use shipworthy_schema::{HumanAnswer, Role};
use tokio::runtime::Runtime;

use super::error::{Failure, Kind};
use super::printer::Printer;

/// What somebody typed.
enum Typed {
    Answer(HumanAnswer),
    /// Leave this conversation for later.
    Skip,
    /// Stop; also at the end of the input.
    Quit,
}

/// Asks `rater` about every conversation that is not labelled in full yet; stored after each answer.
pub(super) fn ask(
    printer: &Printer,
    runtime: &Runtime,
    labelling: &Labelling,
    rater: &Rater,
) -> Result<(), Failure> {
    printer.note("A number answers, 0 stands for `I cannot tell`, s skips a conversation, q ends.");
    let items = labelling.items(rater);
    let count = items.len();
    for (n, item) in items.into_iter().enumerate() {
        let label = labelling.given(rater)?.remove(&item.key);
        let note = label.as_ref().map_or("", |label| &label.note).to_owned();
        let grades = label.map(|label| label.grades).unwrap_or_default();
        let mut answers: BTreeMap<String, HumanAnswer> = grades
            .into_iter()
            .map(|grade| (grade.criterion, grade.answer))
            .collect();
        let is_open = |question: &&Question| !answers.contains_key(&question.criterion);
        let open: Vec<&Question> = item.questions.iter().filter(is_open).collect();
        if open.is_empty() {
            continue;
        }
        printer.note(&format!("\n=== Conversation {} of {count} ===", n + 1));
        show(printer, item);
        for question in open {
            match typed(printer, question)? {
                Typed::Answer(answer) => {
                    answers.insert(question.criterion.clone(), answer);
                    runtime.block_on(labelling.put(rater, &item.key, &answers, &note))?;
                }
                Typed::Skip => break,
                Typed::Quit => return Ok(()),
            }
        }
    }
    let done = labelling.done(rater)?;
    printer.note(&format!("{rater}: {done} of {count} scored"));
    Ok(())
}

fn show(printer: &Printer, item: &Item) {
    for (role, text) in &item.turns {
        let who = match role {
            Role::User => "Person",
            Role::System | Role::Assistant => "Assistant",
        };
        printer.note(&format!("\n{who}:"));
        for line in text.lines() {
            printer.note(&format!("  {}", one_line(line)));
        }
    }
}

/// Asks until the answer is one that may be given.
fn typed(printer: &Printer, question: &Question) -> Result<Typed, Failure> {
    printer.note(&format!("\n{}", one_line(&question.text)));
    let keyed: Vec<(String, HumanAnswer)> = question
        .options
        .iter()
        .zip(1..)
        .map(|((answer, text), n)| {
            let key = match answer {
                HumanAnswer::CannotTell => "0".to_owned(),
                _ => n.to_string(),
            };
            printer.note(&format!("  {key}  {}", one_line(text)));
            (key, *answer)
        })
        .collect();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| {
            Failure::new(
                Kind::InputOutput,
                format!("the answer cannot be read: {error}"),
            )
        })?;
        match line.trim() {
            "s" => return Ok(Typed::Skip),
            "q" => return Ok(Typed::Quit),
            line => {
                if let Some((_, answer)) = keyed.iter().find(|(key, _)| key == line) {
                    return Ok(Typed::Answer(*answer));
                }
                let keys: Vec<&str> = keyed.iter().map(|(key, _)| key.as_str()).collect();
                printer.note(&format!("one of {}, s or q", keys.join(", ")));
            }
        }
    }
    Ok(Typed::Quit)
}
