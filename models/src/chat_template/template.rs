use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use serde_json::Map;

use super::continuation::Continuation;
use super::error::{ChatTemplateError, TemplateFault};
use super::local_time::LocalTime;
use super::rendered::{Piece, RenderedChat};
use super::rewriting::{self, FUNCTION};
use super::sandbox::{
    self, BUDGET, Budget, SOURCE_LIMIT, STEP_LIMIT, TAG_LIMIT, TEXT_LIMIT, TooMuchText,
};
use super::special_tokens::SpecialTokens;
use super::{copying, python_filters, python_values};

/// A chat template, ready to render.
///
/// It is a program by a stranger: steps, output, recursion and what its operators make are bounded,
/// and a rendering that exceeds a bound is an error. Repeating text with `*` and formatting it
/// with `%` are refused, as is what Jinja's immutable sandbox refuses. Comparing values that share their parts many times over may
/// still take long.
pub struct ChatTemplate {
    name: String,
    source: String,
    marks_generation: bool,
    environment: Environment<'static>,
}

/// What a template is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatInput<'a> {
    /// The conversation: objects with `role`, `content` and what else the template reads. Fields
    /// that are null count as absent.
    pub messages: &'a [serde_json::Value],
    /// JSON schemas of functions. An empty list is not the same as none.
    pub tools: Option<&'a [serde_json::Value]>,
    /// Documents to answer from.
    pub documents: Option<&'a [serde_json::Value]>,
    /// Whether the text ends where the assistant begins to speak.
    pub add_generation_prompt: bool,
    /// The field of the final message, usually `content`, after which the text is to end.
    pub continue_final_message: Option<&'a str>,
    /// The tokenizer's own variables, e.g. `bos_token`.
    pub special_tokens: Option<&'a SpecialTokens>,
    /// Further variables, e.g. `enable_thinking`; they hide special tokens of the same name.
    pub variables: Option<&'a Map<String, serde_json::Value>>,
    /// What `strftime_now` takes for now; without it there is no such function.
    pub now: Option<LocalTime>,
}

impl ChatTemplate {
    /// Takes a template's source.
    ///
    /// `name` is for errors. Errors with the line where the syntax is wrong.
    pub fn new(name: &str, source: &str) -> Result<Self, ChatTemplateError> {
        let fail = |line, fault| ChatTemplateError::Template {
            name: name.to_owned(),
            line,
            fault,
        };
        if source.len() > SOURCE_LIMIT {
            let length = source.len();
            let limit = SOURCE_LIMIT;
            return Err(fail(None, TemplateFault::Source { length, limit }));
        }
        // Jinja reads every kind of line end as one.
        let rewritten = rewriting::rewrite(&source.replace("\r\n", "\n").replace('\r', "\n"));
        if rewritten.longest > TAG_LIMIT {
            let fault = format!("a tag has more than {TAG_LIMIT} words and signs");
            return Err(fail(None, TemplateFault::Syntax(fault)));
        }
        if !rewritten.counted {
            let limit = rewriting::COUNTED;
            let fault = format!("{limit} or more spaces, line ends and braces in a row");
            return Err(fail(None, TemplateFault::Syntax(fault)));
        }
        let mut environment = environment();
        let compiled = sandbox::on_large_stack(|| {
            environment.add_template_owned(name.to_owned(), rewritten.source)
        })
        .map_err(ChatTemplateError::Thread)?;
        match compiled {
            None => Err(fail(None, TemplateFault::Engine)),
            Some(Err(error)) => {
                let detail = error
                    .detail()
                    .map_or(error.kind().to_string(), str::to_owned);
                // The tag the author wrote.
                let detail = if rewritten.found {
                    detail.replace("endcall", "endgeneration")
                } else {
                    detail
                };
                Err(fail(error.line(), TemplateFault::Syntax(detail)))
            }
            Some(Ok(())) => Ok(Self {
                name: name.to_owned(),
                source: source.to_owned(),
                marks_generation: rewritten.found,
                environment,
            }),
        }
    }

    /// Returns the template's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the template's source as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Tells whether generation blocks mark what the assistant wrote.
    pub fn marks_generation(&self) -> bool {
        self.marks_generation
    }

    /// Renders a conversation as transformers' `apply_chat_template(tokenize=False)` does.
    ///
    /// Errors with the template's own exception, or with what it does that cannot be done.
    pub fn render(&self, input: &ChatInput) -> Result<RenderedChat, ChatTemplateError> {
        if input.messages.is_empty() {
            return Err(ChatTemplateError::NoMessages);
        }
        if input.continue_final_message.is_some() && input.add_generation_prompt {
            return Err(ChatTemplateError::ContinueAndPrompt);
        }
        let mut messages = messages(input.messages)?;
        let continuation = input
            .continue_final_message
            .map(|field| Continuation::mark(&mut messages, field, &self.name, &self.source))
            .transpose()?;
        let rendered = sandbox::on_large_stack(|| self.run(input, &messages))
            .map_err(ChatTemplateError::Thread)?;
        let (text, pieces) =
            rendered.unwrap_or_else(|| Err(self.fail(None, TemplateFault::Engine)))?;
        let text_end = match &continuation {
            Some(continuation) => continuation.end(&text, &self.name)?,
            None => text.len(),
        };
        Ok(RenderedChat::new(self, text, text_end, &pieces))
    }

    fn run(
        &self,
        input: &ChatInput,
        messages: &[Map<String, serde_json::Value>],
    ) -> Result<(String, Vec<Piece>), ChatTemplateError> {
        let written = Arc::new(AtomicUsize::new(0));
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let context = self.context(input, messages, &written, &pieces)?;
        let mut sink = Sink {
            bytes: Vec::new(),
            written,
        };
        let outcome = self
            .environment
            .get_template(&self.name)
            .and_then(|template| template.render_captured_to(context, &mut sink).map(drop));
        outcome.map_err(|error| self.explain(&error))?;
        let text = String::from_utf8(sink.bytes).expect("the engine writes whole strings");
        let pieces = std::mem::take(&mut *pieces.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((text, pieces))
    }

    fn context(
        &self,
        input: &ChatInput,
        messages: &[Map<String, serde_json::Value>],
        written: &Arc<AtomicUsize>,
        pieces: &Arc<Mutex<Vec<Piece>>>,
    ) -> Result<Value, ChatTemplateError> {
        let mut pairs: Vec<(String, Value)> = Vec::new();
        let mut add = |name: &str, value: Value| pairs.push((name.to_owned(), value));
        let convert = |value: &serde_json::Value| {
            python_values::from_json(value).ok_or_else(|| {
                let fault = "what it is given is nested too deeply";
                self.fail(None, TemplateFault::Failed(fault.to_owned()))
            })
        };
        if let Some(tokens) = input.special_tokens {
            for (name, token) in tokens.iter() {
                add(name, Value::from(token));
            }
        }
        for (name, value) in input.variables.into_iter().flatten() {
            add(name, convert(value)?);
        }
        let messages: Result<Vec<Value>, ChatTemplateError> = messages
            .iter()
            .map(|message| {
                let fields: Result<Vec<(&str, Value)>, ChatTemplateError> = message
                    .iter()
                    .map(|(name, value)| Ok((name.as_str(), convert(value)?)))
                    .collect();
                Ok(Value::from_pairs(fields?))
            })
            .collect();
        add("messages", Value::from(messages?));
        for (name, what, list) in [
            ("tools", "tool", input.tools),
            ("documents", "document", input.documents),
        ] {
            let value = match list {
                None => Value::from(()),
                Some(list) => {
                    if let Some(index) = list.iter().position(|item| !item.is_object()) {
                        return Err(ChatTemplateError::NotAnObject { what, index });
                    }
                    let items: Result<Vec<Value>, _> = list.iter().map(convert).collect();
                    Value::from(items?)
                }
            };
            add(name, value);
        }
        add(
            "add_generation_prompt",
            Value::from(input.add_generation_prompt),
        );
        if let Some(now) = input.now {
            let format = move |state: &State, format: &str| -> Result<String, Error> {
                // The longest are a whole date and time, and the name of a month.
                sandbox::check_format(state, format, 12)?;
                Ok(now.format(format))
            };
            add("strftime_now", Value::from_function(format));
        }
        let (written, pieces) = (Arc::clone(written), Arc::clone(pieces));
        let generation = move |state: &mut State, named: Kwargs| -> Result<Value, Error> {
            let caller: Value = named.get("caller")?;
            let start = written.load(Ordering::Relaxed);
            let value = caller.call(state, &[])?;
            let text = sandbox::print(state, &value)?;
            let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
            pieces.push(Piece { start, text });
            Ok(value)
        };
        add(FUNCTION, Value::from_function(generation));
        add(BUDGET, Value::from_object(Budget::default()));
        Ok(Value::from_pairs(pairs))
    }

    fn fail(&self, line: Option<usize>, fault: TemplateFault) -> ChatTemplateError {
        ChatTemplateError::Template {
            name: self.name.clone(),
            line,
            fault,
        }
    }

    /// Finds the first cause, as errors in macros and blocks come wrapped.
    fn explain(&self, error: &Error) -> ChatTemplateError {
        let mut line = error.line();
        let mut said = describe(error);
        let mut fault = None;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(error) = current.downcast_ref::<Error>() {
                line = error.line().or(line);
                said = describe(error);
                if error.kind() == ErrorKind::OutOfFuel {
                    fault = Some(TemplateFault::Steps { limit: STEP_LIMIT });
                }
            } else if let Some(Raised(message)) = current.downcast_ref() {
                fault = Some(TemplateFault::Raised(message.clone()));
            } else if current.is::<TooMuchText>() || current.is::<io::Error>() {
                fault = Some(TemplateFault::Output { limit: TEXT_LIMIT });
            }
            cause = current.source();
        }
        self.fail(line, fault.unwrap_or(TemplateFault::Failed(said)))
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChatTemplate")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

fn describe(error: &Error) -> String {
    match error.detail() {
        Some(detail) if error.kind() == ErrorKind::InvalidOperation => detail.to_owned(),
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// What a template said with `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(false)
            .build()
            .expect("the standard delimiters are valid"),
    );
    environment.set_debug(false);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(|out, state, value| {
        if let Some(text) = value.as_str() {
            sandbox::spend(state, text.len())?;
            return out.write_str(text).map_err(Error::from);
        }
        let text = sandbox::print(state, value)?;
        out.write_str(&text).map_err(Error::from)
    });
    environment.add_function(
        "raise_exception",
        |state: &State, message: &Value| -> Result<Value, Error> {
            let message = sandbox::print(state, message)?;
            Err(Error::new(ErrorKind::InvalidOperation, message.clone())
                .with_source(Raised(message)))
        },
    );
    copying::add(&mut environment);
    python_filters::add(&mut environment);
    sandbox::confine(&mut environment);
    environment
}

/// Copies the messages as transformers does before it renders: what is null is absent, and
/// reasoning goes by every name that templates know it by.
fn messages(
    messages: &[serde_json::Value],
) -> Result<Vec<Map<String, serde_json::Value>>, ChatTemplateError> {
    let copy = |(index, message): (usize, &serde_json::Value)| {
        let message = message.as_object().ok_or(ChatTemplateError::NotAnObject {
            what: "message",
            index,
        })?;
        let fields = message.iter().filter(|(_, value)| !value.is_null());
        let mut fields: Map<String, serde_json::Value> = fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let names = super::continuation::REASONING_FIELDS;
        if let Some(reasoning) = names.iter().find_map(|name| fields.get(*name)).cloned() {
            if !fields.contains_key("thinking") {
                fields.shift_insert(0, "thinking".to_owned(), reasoning.clone());
            }
            fields.insert("reasoning_content".to_owned(), reasoning);
        }
        Ok(fields)
    };
    messages.iter().enumerate().map(copy).collect()
}

/// Takes what a template writes, and counts it where generation blocks can see it.
struct Sink {
    bytes: Vec<u8>,
    written: Arc<AtomicUsize>,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > TEXT_LIMIT {
            return Err(io::Error::other("too much text"));
        }
        self.bytes.extend_from_slice(bytes);
        self.written.store(self.bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
