//! Labels as a table for people who score in a spreadsheet.

use std::collections::BTreeMap;

use shipworthy_reports::{one_line, text_cell};
use shipworthy_schema::{HumanAnswer, HumanLabel, Role};

use super::{Item, Labelling, LabellingError, Question, Rater};

/// The columns that every sheet has, before and after those of the criteria.
pub(super) const RATER: &str = "rater";
pub(super) const ITEM: &str = "item";
pub(super) const CONVERSATION: &str = "conversation";
pub(super) const NOTE: &str = "note";

/// What stands where a conversation is not asked about a criterion.
pub(super) const NOT_ASKED: &str = "not asked";

/// Most characters of a conversation: spreadsheets cut a cell after 32,767.
const LONGEST_CONVERSATION: usize = 32_000;

impl Labelling {
    /// Returns the conversations and what was said of them so far as CSV text, one row for each rater
    /// and conversation, in the rater's order.
    ///
    /// With a `rater` the rows are that person's, else those of all who said something; where nobody
    /// did, the column `rater` is empty. The text begins with a byte order mark, without which
    /// spreadsheets take it for another encoding than UTF-8.
    pub fn sheet(&self, rater: Option<&Rater>) -> Result<String, LabellingError> {
        let criteria = self.criteria();
        let mut header = vec![RATER.to_owned(), ITEM.to_owned(), CONVERSATION.to_owned()];
        header.extend(criteria.iter().map(|question| heading(question)));
        header.push(NOTE.to_owned());
        let mut records = vec![header];
        let raters: Vec<Option<Rater>> = match rater {
            Some(rater) => vec![Some(rater.clone())],
            None => match self.raters()? {
                raters if raters.is_empty() => vec![None],
                raters => raters.into_iter().map(Some).collect(),
            },
        };
        for rater in &raters {
            let given = match rater {
                Some(rater) => self.given(rater)?,
                None => BTreeMap::new(),
            };
            let name = rater.as_ref().map_or("", Rater::as_str);
            for item in self.items_of(name) {
                records.push(row(name, item, &criteria, given.get(&item.key)));
            }
        }
        let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
        for record in records {
            writer
                .write_record(record)
                .expect("writing to memory cannot fail, and every row has one cell per column");
        }
        let bytes = writer.into_inner().expect("flushing to memory cannot fail");
        Ok(String::from_utf8(bytes).expect("cells are text, and the writer adds only ASCII"))
    }
}

/// Returns a criterion's heading: its id, what is asked, and the words that answer.
fn heading(question: &Question) -> String {
    let answers = question.options.iter().map(|(answer, text)| match answer {
        HumanAnswer::Level(level) => format!("{level} = {text}"),
        HumanAnswer::Met(_) | HumanAnswer::CannotTell => answer.to_string(),
    });
    let answers: Vec<String> = answers.collect();
    let (criterion, text) = (&question.criterion, &question.text);
    text_cell(&format!("{criterion}: {text} ({})", answers.join(" | ")))
}

fn row(
    rater: &str,
    item: &Item,
    criteria: &[&Question],
    label: Option<&HumanLabel>,
) -> Vec<String> {
    let mut cells = vec![text_cell(rater), item.key.clone(), conversation(item)];
    cells.extend(criteria.iter().map(|question| {
        let id = &question.criterion;
        if !item.questions.iter().any(|q| q.criterion == *id) {
            return NOT_ASKED.to_owned();
        }
        let mut grades = label.into_iter().flat_map(|label| &label.grades);
        let grade = grades.find(|grade| grade.criterion == *id);
        grade.map_or_else(String::new, |grade| grade.answer.to_string())
    }));
    cells.push(label.map_or_else(String::new, |label| note_cell(&label.note)));
    cells
}

/// Returns a note as it stands in a sheet.
pub(super) fn note_cell(note: &str) -> String {
    text_cell(note)
}

/// Returns what was said. The first word is ours, so that no cell begins as a formula does.
fn conversation(item: &Item) -> String {
    let turns = item.turns.iter().map(|(role, text)| {
        let who = match role {
            Role::User => "Person",
            Role::System | Role::Assistant => "Assistant",
        };
        let lines: Vec<String> = text.lines().map(one_line).collect();
        format!("{who}: {}", lines.join("\n"))
    });
    let text = turns.collect::<Vec<_>>().join("\n\n");
    match text.char_indices().nth(LONGEST_CONVERSATION) {
        None => text,
        Some((end, _)) => format!("{}…\n\n[The rest does not fit into a cell.]", &text[..end]),
    }
}
