use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::error::DatasetError;
use crate::example::TokenisedExample;
use crate::excess_length::ExcessLength;
use crate::fault::{Fault, FaultList, Problem};
use crate::messages_file::MessagesFile;
use crate::model_tokenizer::ModelTokenizer;
use crate::preview::MaskPreview;
use crate::rendering::Rendering;
use crate::rendering_notes::RenderingNotes;
use crate::report::{DatasetReport, Loss, TokenCounts};
use crate::warning::DatasetWarning;

/// Examples that are too long and named one by one.
const NAMED: usize = 10;

/// Conversations that are rendered in parallel, and in memory at once.
const AT_ONCE: usize = 64;

/// How a file of conversations becomes examples.
#[derive(Clone, Copy, Debug)]
pub struct DatasetOptions {
    /// The most tokens an example may have; at least 2, as the first token is never learnt.
    pub max_length: usize,
    /// What is done with an example that has more.
    pub excess_length: ExcessLength,
}

/// A file of conversations, ready to train on.
#[derive(Clone, Debug)]
pub struct TokenisedDataset {
    /// The examples, in the file's order.
    pub examples: Vec<TokenisedExample>,
    /// What is told of them before training.
    pub report: DatasetReport,
    /// The first example with its labels.
    pub preview: MaskPreview,
}

impl TokenisedDataset {
    /// Reads a JSONL file, an object with `messages` a line, and makes tokens of it line by line.
    ///
    /// Errors with all lines that are wrong, the first of them one by one; if examples are longer than
    /// `max_length` and that is an error; or if nothing is left to learn from.
    pub fn read(
        path: &Path,
        tokenizer: &ModelTokenizer,
        options: &DatasetOptions,
    ) -> Result<Self, DatasetError> {
        let mut faults = FaultList::default();
        let mut builder = Builder::new(path, tokenizer, *options);
        let mut lines = MessagesFile::open(path)?;
        loop {
            let some: Vec<_> = lines.by_ref().take(AT_ONCE).collect::<Result<_, _>>()?;
            if some.is_empty() {
                break;
            }
            // Collected in the file's order, whichever thread is done first.
            let rendered: Vec<_> = some
                .into_par_iter()
                .map(|(place, found)| (place, found.map(|one| tokenizer.render(&one))))
                .collect();
            for (place, rendered) in rendered {
                builder.conversations += 1;
                match rendered {
                    Err(found) => found.into_iter().for_each(|fault| faults.add(fault)),
                    Ok(Err(error)) => faults.add(Fault {
                        place,
                        field: String::new(),
                        problem: Problem::Render(error),
                    }),
                    Ok(Ok(rendering)) if faults.is_empty() => builder.add(rendering),
                    Ok(Ok(_)) => {}
                }
            }
        }
        faults.into_result(path)?;
        builder.finish()
    }
}

/// What is made of the lines read so far.
struct Builder<'a> {
    path: PathBuf,
    tokenizer: &'a ModelTokenizer,
    options: DatasetOptions,
    conversations: usize,
    examples: Vec<TokenisedExample>,
    preview: Option<MaskPreview>,
    dropped: Loss,
    truncated: Loss,
    unlabelled: Loss,
    too_long: Vec<(String, usize)>,
    too_long_count: usize,
    longest: usize,
    notes: RenderingNotes,
    /// Hashes of the examples' tokens.
    seen: HashSet<u64>,
    repeated: usize,
    first_repeated: Option<String>,
}

impl<'a> Builder<'a> {
    fn new(path: &Path, tokenizer: &'a ModelTokenizer, options: DatasetOptions) -> Self {
        Self {
            path: path.to_owned(),
            tokenizer,
            options,
            conversations: 0,
            examples: Vec::new(),
            preview: None,
            dropped: Loss::default(),
            truncated: Loss::default(),
            unlabelled: Loss::default(),
            too_long: Vec::new(),
            too_long_count: 0,
            longest: 0,
            notes: RenderingNotes::default(),
            seen: HashSet::new(),
            repeated: 0,
            first_repeated: None,
        }
    }

    fn add(&mut self, mut rendering: Rendering) {
        let id = rendering.example.id.clone();
        self.notes.add(&mut rendering, self.tokenizer);
        let mut hasher = DefaultHasher::new();
        rendering.example.tokens.hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            self.repeated += 1;
            self.first_repeated.get_or_insert(id);
        }
        let length = rendering.example.tokens.len();
        let labelled = rendering.example.labelled_count();
        self.longest = self.longest.max(length);
        if length > self.options.max_length {
            match self.options.excess_length {
                ExcessLength::Raise => {
                    self.too_long_count += 1;
                    if self.too_long.len() < NAMED {
                        self.too_long.push((rendering.example.id, length));
                    }
                    return;
                }
                ExcessLength::Drop => return self.dropped.add(length, labelled),
                ExcessLength::Truncate => {
                    let kept = self.options.max_length;
                    rendering.example.tokens.truncate(kept);
                    rendering.example.labelled.truncate(kept);
                    let left = rendering.example.labelled_count();
                    if left == 0 {
                        return self.unlabelled.add(length, labelled);
                    }
                    self.truncated.add(length - kept, labelled - left);
                }
            }
        }
        if self.preview.is_none() {
            self.preview = Some(rendering.preview());
        }
        self.examples.push(rendering.example);
    }

    fn finish(self) -> Result<TokenisedDataset, DatasetError> {
        let max_length = self.options.max_length;
        if self.conversations == 0 {
            return Err(DatasetError::Empty { path: self.path });
        }
        if self.too_long_count > 0 {
            return Err(DatasetError::ExcessLength {
                path: self.path,
                max_length,
                first: self.too_long,
                total: self.too_long_count,
                of: self.conversations,
                longest: self.longest,
            });
        }
        let Some(preview) = self.preview.clone() else {
            return Err(DatasetError::NothingLeft {
                path: self.path,
                conversations: self.conversations,
                dropped: self.dropped.examples,
                unlabelled: self.unlabelled.examples,
                max_length,
            });
        };
        let warnings = self.warnings();
        let tokens = TokenCounts::of(self.examples.iter().map(|one| one.tokens.len()));
        let labelled = self
            .examples
            .iter()
            .map(TokenisedExample::labelled_count)
            .sum();
        let report = DatasetReport {
            path: self.path,
            conversations: self.conversations,
            examples: self.examples.len(),
            tokens,
            labelled,
            labelled_share: labelled as f64 / tokens.total as f64,
            max_length,
            dropped: self.dropped,
            truncated: self.truncated,
            unlabelled: self.unlabelled,
            template: self.notes.template(self.tokenizer),
            warnings,
        };
        Ok(TokenisedDataset {
            examples: self.examples,
            report,
            preview,
        })
    }

    fn warnings(&self) -> Vec<DatasetWarning> {
        let mut warnings = self.notes.warnings(self.tokenizer);
        if let Some(first) = &self.first_repeated {
            warnings.push(DatasetWarning::Repeated {
                examples: self.repeated,
                first: first.clone(),
            });
        }
        let max_length = self.options.max_length;
        if self.dropped.examples > 0 {
            warnings.push(DatasetWarning::Dropped {
                examples: self.dropped.examples,
                max_length,
            });
        }
        if self.truncated.examples > 0 {
            warnings.push(DatasetWarning::Truncated {
                examples: self.truncated.examples,
                tokens: self.truncated.tokens,
                max_length,
            });
        }
        if self.unlabelled.examples > 0 {
            warnings.push(DatasetWarning::Unlabelled {
                examples: self.unlabelled.examples,
            });
        }
        warnings
    }
}
