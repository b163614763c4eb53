//! What is found in a file of training data before anybody trains on it.

mod balance;
mod length;
mod personal;
mod row_look;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::clusters::{Clusters, DuplicateOf, Duplicates};
use crate::error::DatasetError;
use crate::fault::{Fault, FaultList, Problem};
use crate::fingerprint::Fingerprint;
use crate::formats::Format;
use crate::model_tokenizer::ModelTokenizer;
use crate::place::Place;
use crate::preview::MaskPreview;
use crate::row_walk::walk;
use crate::rows::RowFile;
use crate::size_guidance::SizeGuidance;
use crate::warning::DatasetWarning;
use balance::Balance;
pub use balance::{FieldBalance, Share};
use length::Lengths;
pub use length::{Cut, TokenReport};
pub use personal::PersonalDataCount;
use personal::PersonalDataTally;
use row_look::RowLook;

/// What a file is held against.
#[derive(Clone, Copy, Default)]
pub struct ExaminationOptions<'a> {
    /// Its format; without one that of the first row whose columns are known.
    pub from: Option<Format>,
    /// The tokenizer and chat template of the model that is to learn.
    pub tokenizer: Option<&'a ModelTokenizer>,
    /// The most tokens an example may have.
    pub max_length: Option<usize>,
}

/// What is found in a file.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// The file.
    pub path: PathBuf,
    /// Its format; none if no row's columns are known.
    pub from: Option<Format>,
    /// Rows that were read.
    pub rows: usize,
    /// Rows that cannot be trained on.
    pub faulty_rows: usize,
    /// What is wrong with them, the first 20 faults.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub fault_count: usize,
    /// Lengths and the chat template, if there is a tokenizer.
    pub tokens: Option<TokenReport>,
    /// What the chat template and the tokenizer make one expect.
    pub warnings: Vec<DatasetWarning>,
    /// The first example with its labels.
    pub preview: Option<MaskPreview>,
    /// Rows that say the same as an earlier one.
    pub exact_duplicates: Duplicates,
    /// Further rows that say nearly the same as an earlier one.
    pub near_duplicates: Duplicates,
    /// Rows that answer the same otherwise than an earlier one.
    pub conflicting_answers: Duplicates,
    /// Rows in which somebody says the same twice.
    pub repeated_turns: Vec<Place>,
    /// How many rows that are.
    pub repeated_turn_rows: usize,
    /// Personal data by kind.
    pub personal_data: Vec<PersonalDataCount>,
    /// Languages by how many rows are in them.
    pub languages: Vec<Share>,
    /// How most rows begin: the first words of the user's first message.
    pub openings: Vec<Share>,
    /// Fields beside the format's that sort rows into a few kinds.
    pub fields: Vec<FieldBalance>,
    /// Rows that can be trained on and repeat no other.
    pub distinct_rows: usize,
    /// What so many are good for.
    pub size: SizeGuidance,
}

impl Examination {
    /// Tells whether anything is wrong, so that training would fail or lose examples.
    pub fn has_errors(&self) -> bool {
        let cut = self.tokens.as_ref().and_then(|tokens| tokens.cut.as_ref());
        self.fault_count > 0 || cut.is_some_and(|cut| cut.examples > 0)
    }
}

/// Looks at all rows of a file.
///
/// Of a row no more than some 150 bytes are kept. Errors if the file cannot be read or has no row.
pub fn examine(
    mut file: RowFile,
    options: ExaminationOptions<'_>,
) -> Result<Examination, DatasetError> {
    let mut seen = Seen::default();
    let name = file.name().to_owned();
    let look = |place: Place, fields, format| {
        let id = format!("{name}:{}", place.number());
        RowLook::of(&id, fields, format, options.tokenizer)
    };
    let from = walk(&mut file, options.from, look, |place, look| {
        seen.add(place, look, options);
    })?;
    Ok(seen.finish(file.path().to_owned(), from, options))
}

/// What is remembered of the rows looked at.
#[derive(Default)]
struct Seen {
    rows: usize,
    faulty_rows: usize,
    faults: FaultList,
    places: Vec<Place>,
    prints: Vec<Fingerprint>,
    lengths: Lengths,
    preview: Option<MaskPreview>,
    repeated_turns: Vec<Place>,
    repeated_turn_rows: usize,
    personal: PersonalDataTally,
    languages: BTreeMap<&'static str, usize>,
    balance: Balance,
}

impl Seen {
    fn add(
        &mut self,
        place: Place,
        look: Result<RowLook, Vec<(String, Problem)>>,
        options: ExaminationOptions<'_>,
    ) {
        self.rows += 1;
        let look = match look {
            Ok(look) => look,
            Err(found) => {
                self.faulty_rows += 1;
                return self.faults.add_row(place, found);
            }
        };
        if let Some(tokenizer) = options.tokenizer {
            for mut rendering in look.renderings {
                if self.preview.is_none() {
                    self.preview = Some(rendering.preview());
                }
                self.lengths
                    .add(&mut rendering, tokenizer, options.max_length);
            }
        }
        if look.has_repeated_turn {
            self.repeated_turn_rows += 1;
            if self.repeated_turns.len() < 10 {
                self.repeated_turns.push(place);
            }
        }
        self.personal.add(place, &look.personal_data);
        *self.languages.entry(look.language).or_default() += 1;
        self.balance.add(look.opening, look.more);
        self.places.push(place);
        self.prints.push(look.print);
    }

    fn finish(
        self,
        path: PathBuf,
        from: Option<Format>,
        options: ExaminationOptions<'_>,
    ) -> Examination {
        let (faults, fault_count) = self.faults.into_parts();
        let conflicting_answers = conflicts(&self.places, &self.prints);
        let mut clusters = Clusters::new(self.prints.len());
        clusters.join_exact(&self.prints);
        let exact_duplicates = clusters.duplicates(&self.places, |_| false);
        let is_exact: Vec<bool> = (0..self.prints.len())
            .map(|row| clusters.root(row) != row)
            .collect();
        clusters.join_near(&self.prints);
        let near_duplicates = clusters.duplicates(&self.places, |row| is_exact[row]);
        let distinct_rows = self.prints.len() - exact_duplicates.rows - near_duplicates.rows;
        let rows = self.prints.len();
        let (tokens, warnings) = match options.tokenizer {
            Some(tokenizer) if rows > 0 => self.lengths.finish(tokenizer, options.max_length),
            _ => (None, Vec::new()),
        };
        let (openings, fields) = self.balance.finish(rows);
        let languages = self.languages.into_iter();
        let languages = languages.map(|(name, count)| (name.to_owned(), count));
        Examination {
            path,
            from,
            rows: self.rows,
            faulty_rows: self.faulty_rows,
            faults,
            fault_count,
            tokens,
            warnings,
            preview: self.preview,
            exact_duplicates,
            near_duplicates,
            conflicting_answers,
            repeated_turns: self.repeated_turns,
            repeated_turn_rows: self.repeated_turn_rows,
            personal_data: self.personal.finish(),
            languages: Share::of(languages.collect(), rows, usize::MAX),
            openings,
            fields,
            distinct_rows,
            size: SizeGuidance::of(distinct_rows),
        }
    }
}

/// Finds rows that have the prompt of an earlier row and another reply.
fn conflicts(places: &[Place], prints: &[Fingerprint]) -> Duplicates {
    let mut asked: Vec<(u64, usize)> = prints
        .iter()
        .enumerate()
        .filter_map(|(row, print)| Some((print.prompt?, row)))
        .collect();
    asked.sort_unstable();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for same in asked.chunk_by(|one, other| one.0 == other.0) {
        let first = same[0].1;
        let others = same.iter().map(|&(_, row)| row);
        let others = others.filter(|&row| prints[row].reply != prints[first].reply);
        found.extend(others.map(|row| (row, first)));
    }
    found.sort_unstable();
    let first = found.iter().take(10).map(|&(row, of)| DuplicateOf {
        place: places[row],
        of: places[of],
    });
    Duplicates {
        rows: found.len(),
        first: first.collect(),
    }
}
