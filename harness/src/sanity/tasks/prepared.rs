//! Questions as tokens, cut where lm-eval cuts them.

use std::path::Path;

use shipworthy_datasets::{RenderError, TextTokenizer, TokenisedExample};

use super::{ChoiceItem, GenerationRules, Questions, Task, TaskError, TaskProblem};

/// A task with its questions as tokens.
#[derive(Clone, Debug)]
pub(in super::super) struct PreparedTask {
    /// The task.
    pub(in super::super) task: Task,
    /// Its questions, in the task's order.
    pub(in super::super) prepared: Prepared,
}

/// Questions as tokens.
#[derive(Clone, Debug)]
pub(in super::super) enum Prepared {
    /// For every question a sequence for each choice, whose labelled tokens are the choice's.
    Choice(Vec<Vec<TokenisedExample>>),
    /// For every question its id, and what the model goes on from.
    Generation(Vec<(String, Vec<u32>)>, GenerationRules),
}

impl PreparedTask {
    /// Makes tokens of a task's questions; a model reads `max_length` tokens at most, where that is
    /// known.
    pub(in super::super) fn new(
        path: &Path,
        task: Task,
        tokenizer: &TextTokenizer,
        max_length: Option<usize>,
    ) -> Result<Self, TaskError> {
        let failed = |id: &str| {
            let id = id.to_owned();
            move |source| TaskError {
                path: path.to_owned(),
                problem: TaskProblem::Tokens { id, source },
            }
        };
        let prepared = match &task.questions {
            Questions::Choice(items) => {
                let examples = items
                    .iter()
                    .map(|item| choices(item, tokenizer, max_length).map_err(failed(&item.id)));
                Prepared::Choice(examples.collect::<Result<_, _>>()?)
            }
            Questions::Generation(items, rules) => {
                let room = max_length.map(|most| most.saturating_sub(rules.max_tokens).max(1));
                let prompts = items.iter().map(|item| {
                    let tokens = tokenizer.encode(&item.prompt).map_err(failed(&item.id))?;
                    let tokens = or_prefix(tokens, tokenizer).map_err(failed(&item.id))?;
                    let cut = room.map_or(0, |room| tokens.len().saturating_sub(room));
                    Ok((item.id.clone(), tokens[cut..].to_vec()))
                });
                Prepared::Generation(prompts.collect::<Result<_, _>>()?, rules.clone())
            }
        };
        Ok(Self { task, prepared })
    }

    /// Returns how many sequences a model has to read for it.
    pub(in super::super) fn requests(&self) -> usize {
        match &self.prepared {
            Prepared::Choice(items) => items.iter().map(Vec::len).sum(),
            Prepared::Generation(prompts, _) => prompts.len(),
        }
    }

    /// Returns the tokens of the longest sequence.
    pub(in super::super) fn longest(&self) -> usize {
        let longest = match &self.prepared {
            Prepared::Choice(items) => items.iter().flatten().map(|one| one.tokens.len()).max(),
            Prepared::Generation(prompts, rules) => {
                let length = |(_, tokens): &(String, Vec<u32>)| tokens.len() + rules.max_tokens;
                prompts.iter().map(length).max()
            }
        };
        longest.unwrap_or(0)
    }
}

/// Makes a sequence of the context and each choice, as lm-eval's `loglikelihood` does.
fn choices(
    item: &ChoiceItem,
    tokenizer: &TextTokenizer,
    max_length: Option<usize>,
) -> Result<Vec<TokenisedExample>, RenderError> {
    let sequences = item.choices.iter().map(|choice| {
        let continuation = format!("{}{choice}", item.delimiter);
        let (mut tokens, labels) = encode_pair(tokenizer, &item.context, &continuation)?;
        tokens.extend(&labels);
        // The first of one more than the model reads is what the second is told from.
        let most = max_length.map_or(usize::MAX, |most| most.saturating_add(1));
        let cut = tokens.len().saturating_sub(most);
        let tokens = tokens.split_off(cut);
        let context = tokens.len().saturating_sub(labels.len());
        Ok(TokenisedExample {
            id: item.id.clone(),
            labelled: (0..tokens.len()).map(|idx| idx >= context).collect(),
            tokens,
        })
    });
    sequences.collect()
}

/// Returns the tokens of a context and of what continues it.
///
/// Blanks at the context's end go to the continuation, because tokenizers put them before words; the
/// two are made tokens of together, and the continuation's are what comes after as many as the context
/// alone has. An empty context becomes the token that stands for none.
fn encode_pair(
    tokenizer: &TextTokenizer,
    context: &str,
    continuation: &str,
) -> Result<(Vec<u32>, Vec<u32>), RenderError> {
    if context.is_empty() {
        let mut tokens = tokenizer.encode_plain(continuation)?;
        let prefix = or_prefix(Vec::new(), tokenizer)?;
        if tokens.first() == prefix.first() {
            let rest = tokens.split_off(1);
            return continued(tokens, rest, continuation);
        }
        return continued(prefix, tokens, continuation);
    }
    let kept = context.trim_end_matches(is_python_space);
    let continuation = format!("{}{continuation}", &context[kept.len()..]);
    let mut whole = tokenizer.encode(&format!("{kept}{continuation}"))?;
    let before = tokenizer.encode(kept)?;
    let labels = whole.split_off(before.len().min(whole.len()));
    continued(or_prefix(before, tokenizer)?, labels, &continuation)
}

/// Tells what Python's `str.rstrip` takes for a blank.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn or_prefix(tokens: Vec<u32>, tokenizer: &TextTokenizer) -> Result<Vec<u32>, RenderError> {
    if !tokens.is_empty() {
        return Ok(tokens);
    }
    let missing = "the context is empty, and the tokenizer has neither a BOS nor an EOS token";
    let prefix = tokenizer.prefix();
    let prefix = prefix.ok_or_else(|| RenderError::Tokenizer(missing.to_owned()))?;
    Ok(vec![prefix])
}

fn continued(
    context: Vec<u32>,
    labels: Vec<u32>,
    continuation: &str,
) -> Result<(Vec<u32>, Vec<u32>), RenderError> {
    if labels.is_empty() {
        let message = format!("`{continuation}` adds no token to its context");
        return Err(RenderError::Tokenizer(message));
    }
    Ok((context, labels))
}
