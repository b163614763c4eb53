use shipworthy_models::ChatTemplateError;
use thiserror::Error;

use crate::visible_text::excerpt;

/// What helps whenever the assistant's part cannot be derived.
const MARK: &str = "put `{% generation %}` and `{% endgeneration %}` around the reply and its end-of-turn token in the chat template";

/// Says why a conversation cannot be written with the model's chat template so that what is to be
/// learnt is known.
#[derive(Debug, Error)]
pub enum RenderError {
    /// The template refuses it, or fails.
    #[error("{}", excerpt(&.0.to_string(), 600))]
    Template(#[from] ChatTemplateError),
    /// The tokenizer fails.
    #[error("the tokenizer fails: {}", excerpt(.0, 300))]
    Tokenizer(String),
    /// A reply is not in the text, or only in other words.
    #[error(
        "the chat template does not write message {index}, the assistant's `{}`, as it is; {MARK}, or remove the message",
        excerpt(.reply, 60)
    )]
    NotWritten {
        /// The message, from 0.
        index: usize,
        /// What it says.
        reply: String,
    },
    /// Messages are written elsewhere than in their order.
    #[error(
        "the chat template does not write message {index} in one piece and in its place, so which text is the assistant's is not known; {MARK}"
    )]
    Displaced {
        /// The message, from 0.
        index: usize,
    },
    /// The text changes with what is said in a way that cannot be followed.
    #[error(
        "the chat template rewrites what is said near `{}`, so which text is the assistant's is not known; {MARK}",
        excerpt(.near, 80)
    )]
    Rewritten {
        /// The text from where it cannot be followed.
        near: String,
    },
    /// The prompt for a reply is not what stands before the reply.
    #[error(
        "before message {index} the chat template writes `{}`, yet it prompts for a reply with `{}`, so where the reply begins is not known; {MARK}",
        excerpt(.written, 80),
        excerpt(.prompt, 80)
    )]
    OtherPrompt {
        /// The message, from 0.
        index: usize,
        /// What stands there.
        written: String,
        /// What the model is prompted with.
        prompt: String,
    },
    /// No token ends a turn.
    #[error(
        "after message {index} the chat template writes `{}`, in which no special token ends the turn: the model would never learn to stop; let the template write the end-of-turn token there",
        excerpt(.after, 80)
    )]
    NoEndOfTurn {
        /// The message, from 0.
        index: usize,
        /// What follows the reply.
        after: String,
    },
    /// A turn ends otherwise than the last one does.
    #[error(
        "after message {index} the first special token is `{}`, yet the conversation's last reply ends with `{}`; {MARK}",
        excerpt(.found, 60),
        excerpt(.expected, 60)
    )]
    OtherEndOfTurn {
        /// The message, from 0.
        index: usize,
        /// What stands there.
        found: String,
        /// What ends the last reply.
        expected: String,
    },
    /// Generation blocks leave the token that ends a turn outside, and it does not follow them.
    #[error(
        "the chat template's last generation block ends with `{}` and is followed by `{}`: no special token ends the turn, so the model would never learn to stop; put the end-of-turn token into the block",
        excerpt(.inside, 40),
        excerpt(.after, 40)
    )]
    NoEndInBlock {
        /// The end of the block's text.
        inside: String,
        /// What follows.
        after: String,
    },
    /// The token that ends a turn is no token to the tokenizer.
    #[error(
        "the tokenizer makes other tokens of the end-of-turn token `{}` in `{}`; see that `tokenizer.json` has it as a special token",
        excerpt(.token, 60),
        excerpt(.text, 80)
    )]
    SplitEndOfTurn {
        /// The token that ends a turn.
        token: String,
        /// The text around it.
        text: String,
    },
    /// A call's arguments have a special token's text.
    #[error(
        "the arguments of a call in message {index} have the special token `{}`, so where the turn ends is not known; remove it",
        excerpt(.token, 60)
    )]
    TokenInCall {
        /// The message, from 0.
        index: usize,
        /// The token.
        token: String,
    },
    /// Nothing is to be learnt.
    #[error("no token of `{}` carries a label; {MARK}", excerpt(.text, 200))]
    NoLabel {
        /// The text.
        text: String,
    },
    /// The model has no embedding for a token.
    #[error(
        "token `{}` has the id {id}, but the model has only {vocab_size} tokens (`vocab_size`): it has no embedding; take the tokenizer the model came with, or enlarge the model's embeddings",
        excerpt(.token, 60)
    )]
    NoEmbedding {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// How many the model has.
        vocab_size: u32,
    },
    /// So much text that its parts cannot be told apart.
    #[error("the conversation has more than {limit} texts; split it")]
    TooMany {
        /// The most allowed.
        limit: usize,
    },
}
