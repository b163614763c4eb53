use thiserror::Error;

use crate::error::ModelError;

/// Says why a chat template cannot be read, chosen or rendered.
#[derive(Debug, Error)]
pub enum ChatTemplateError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] Box<ModelError>),
    /// A field of a JSON file is not what it should be.
    #[error("`{path}`, field `{field}`: expected {expected}")]
    Field {
        /// The file.
        path: std::path::PathBuf,
        /// The field.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The checkpoint has no template at all.
    #[error("the checkpoint has no chat template")]
    None,
    /// There is no template of that name.
    #[error("there is no chat template `{name}`; there are {}", quoted(.names))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
    /// Named templates only, and none was named.
    #[error("no chat template is the default, so one must be named: {}", quoted(.names))]
    NoDefault {
        /// The names there are.
        names: Vec<String>,
    },
    /// Something in the template's text, or what it did.
    #[error("chat template `{name}`{}: {fault}", line.map_or(String::new(), |line| format!(", line {line}")))]
    Template {
        /// The template's name.
        name: String,
        /// The line of its source, from 1, where one is known.
        line: Option<usize>,
        /// What is wrong.
        fault: TemplateFault,
    },
    /// A message, tool or document is no JSON object.
    #[error("{what} {index} is not an object")]
    NotAnObject {
        /// `message`, `tool` or `document`.
        what: &'static str,
        /// Its position, from 0.
        index: usize,
    },
    /// There is no message.
    #[error("the conversation is empty")]
    NoMessages,
    /// A prompt for a reply and a reply to go on with, at once.
    #[error("the final message cannot be continued and a new one begun")]
    ContinueAndPrompt,
    /// The final message lacks what is to be continued.
    #[error("the final message has no text in `{field}` to continue")]
    NothingToContinue {
        /// The field.
        field: String,
    },
    /// The template does not write the field, or cuts the final message.
    #[error(
        "chat template `{name}` does not write the final message's `{field}` as it is, so it cannot be continued"
    )]
    CannotContinue {
        /// The template's name.
        name: String,
        /// The field.
        field: String,
    },
    /// The template does not say what the assistant wrote.
    #[error(
        "chat template `{name}` has no generation block, so which tokens are the assistant's is not known; mark the assistant's part with `{{% generation %}}` and `{{% endgeneration %}}`"
    )]
    NoGenerationBlock {
        /// The template's name.
        name: String,
    },
    /// What a generation block wrote is not in the text where it was written.
    #[error(
        "chat template `{name}`: a generation block's text is kept or changed before it is written, so which tokens are the assistant's is not known; move the block out of macros, captures and other generation blocks"
    )]
    DisplacedGeneration {
        /// The template's name.
        name: String,
    },
    /// The operating system gave no thread.
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
}

/// What can be wrong with a template, or happen while it renders.
#[derive(Debug, Error)]
pub enum TemplateFault {
    /// Its text is no Jinja.
    #[error("{0}")]
    Syntax(String),
    /// It refuses the messages, in its own words.
    #[error("{0}")]
    Raised(String),
    /// It does what cannot be done.
    #[error("{0}")]
    Failed(String),
    /// It does not come to an end.
    #[error("it takes more than {limit} steps")]
    Steps {
        /// The most allowed.
        limit: u64,
    },
    /// It writes, or keeps in one value, too much.
    #[error("it makes more than {limit} bytes of text")]
    Output {
        /// The most allowed.
        limit: usize,
    },
    /// Its source is larger than any real one.
    #[error("its source has {length} bytes, more than the {limit} it may have")]
    Source {
        /// Its bytes.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The template engine itself failed.
    #[error("the template engine cannot render it")]
    Engine,
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
