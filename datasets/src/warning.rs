use std::fmt;

use serde::Serialize;

use crate::visible_text::{excerpt, visible};

/// Something about one conversation that its training data do not show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RenderNote {
    /// The template does not write messages of this role.
    MessageNotWritten {
        /// `system`, `user` or `tool`; `assistant` where only a part of a reply is written.
        role: String,
    },
    /// The template leaves out the reasoning of a reply.
    ReasoningNotWritten,
    /// The model will be prompted with more than stands before the reply in training.
    LongerPrompt {
        /// What is not in the training text.
        rest: String,
    },
    /// When the model is asked for the last reply, it reads other text before than in training.
    OtherPrompt,
    /// The prompt for a reply lacks what the template then writes: special tokens are learnt.
    ShorterPrompt {
        /// What the model learns to write before its reply.
        learnt: String,
    },
    /// The template's generation blocks end before the token that ends a turn; it is learnt all the same.
    EndOfTurnOutsideBlock {
        /// The token.
        token: String,
    },
    /// What a message says has the text of a special token, and is read as that.
    SpecialTokenInText {
        /// The token.
        token: String,
    },
}

/// Something to know before training begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DatasetWarning {
    /// Something about conversations.
    Rendering {
        /// What.
        note: RenderNote,
        /// In how many.
        examples: usize,
        /// The first of them.
        first: String,
    },
    /// The tokenizer begins texts with a token, and the template does not.
    NoBeginningOfText {
        /// The token.
        token: String,
    },
    /// A token that ends a turn is none that the checkpoint's files say the model stops at.
    NotAnEndOfSequence {
        /// The token that ends a turn.
        token: String,
        /// The `eos_token` of the tokenizer, if it has one.
        eos_token: Option<String>,
    },
    /// The tokenizer has added tokens for which the model has no embedding; no example has them.
    TokensWithoutEmbedding {
        /// How many.
        count: usize,
        /// The highest id and one.
        tokenizer: u32,
        /// The model's `vocab_size`.
        vocab_size: u32,
    },
    /// Examples were left out.
    Dropped {
        /// How many.
        examples: usize,
        /// The most tokens allowed.
        max_length: usize,
    },
    /// Examples were cut.
    Truncated {
        /// How many.
        examples: usize,
        /// Tokens cut off.
        tokens: usize,
        /// The most tokens allowed.
        max_length: usize,
    },
    /// Examples had nothing to learn once they were cut, and were left out.
    Unlabelled {
        /// How many.
        examples: usize,
    },
    /// The same conversation stands more than once.
    Repeated {
        /// How many are copies of an earlier one.
        examples: usize,
        /// The first copy.
        first: String,
    },
}

impl fmt::Display for RenderNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageNotWritten { role } => write!(
                formatter,
                "the chat template does not write what a message of the role `{role}` says, so the model does not see it"
            ),
            Self::ReasoningNotWritten => formatter.write_str(
                "the chat template leaves out the reasoning of a reply that is not the last",
            ),
            Self::LongerPrompt { rest } => write!(
                formatter,
                "the prompt for a reply goes on with `{}`, which the training text lacks",
                excerpt(rest, 60)
            ),
            Self::OtherPrompt => formatter.write_str(
                "asked for the last reply, the model reads other text than in training: the chat template writes earlier messages differently once there is a reply",
            ),
            Self::ShorterPrompt { learnt } => write!(
                formatter,
                "the chat template prompts for a reply without `{}`, so the model learns to write it",
                excerpt(learnt, 60)
            ),
            Self::EndOfTurnOutsideBlock { token } => write!(
                formatter,
                "the chat template's generation block ends before `{}`; it is learnt all the same, or the model would not learn to stop",
                visible(token)
            ),
            Self::SpecialTokenInText { token } => write!(
                formatter,
                "a message says `{}`, which is read as the special token",
                visible(token)
            ),
        }
    }
}

impl fmt::Display for DatasetWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rendering {
                note,
                examples: 1,
                first,
            } => write!(formatter, "{first}: {note}"),
            Self::Rendering {
                note,
                examples,
                first,
            } => write!(formatter, "in {examples} examples, first {first}: {note}"),
            Self::NoBeginningOfText { token } => write!(
                formatter,
                "the tokenizer begins every text with `{}`, but the chat template does not write it; as with transformers, training goes without",
                visible(token)
            ),
            Self::NotAnEndOfSequence { token, eos_token } => write!(
                formatter,
                "turns end with `{}`, but neither the tokenizer's eos_token ({}) nor an eos_token_id in config.json or generation_config.json is that; what runs the model must stop at it",
                visible(token),
                eos_token
                    .as_deref()
                    .map_or("none".to_owned(), |token| format!("`{}`", visible(token)))
            ),
            Self::TokensWithoutEmbedding {
                count,
                tokenizer,
                vocab_size,
            } => write!(
                formatter,
                "the tokenizer has ids up to {tokenizer}, the model {vocab_size} tokens; added tokens without an embedding, which no example has: {count}"
            ),
            Self::Dropped {
                examples,
                max_length,
            } => write!(
                formatter,
                "examples left out because they have more than max_length = {max_length} tokens: {examples}"
            ),
            Self::Truncated {
                examples,
                tokens,
                max_length,
            } => write!(
                formatter,
                "examples cut to max_length = {max_length} tokens: {examples}; {tokens} tokens are lost, among them those that end the turns"
            ),
            Self::Unlabelled { examples } => write!(
                formatter,
                "examples left out because no reply begins within max_length: {examples}"
            ),
            Self::Repeated { examples, first } => write!(
                formatter,
                "examples that are copies of earlier ones: {examples}, the first at {first}"
            ),
        }
    }
}
