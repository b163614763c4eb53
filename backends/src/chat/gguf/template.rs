//! A file's own chat template.

use std::fmt::Write as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use shipworthy_schema::Message;

/// A chat template in Jinja, rendered as Hugging Face's transformers renders it.
///
/// `strftime_now` is not there, as a prompt must not depend on the day it is made; templates that
/// ask whether it is defined get along without. `tools` and `documents` are none.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// Takes a template's source; errors say where its syntax is wrong.
    pub(super) fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .keep_trailing_newline(false)
                .build()
                .expect("the standard delimiters are valid"),
        );
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", to_json);
        let source = without_generation_tags(source);
        environment
            .template_from_str(&source)
            .map_err(|error| explain(&error))?;
        Ok(Self {
            environment,
            source,
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
        })
    }

    /// Returns the prompt for `messages`, up to where the assistant is to go on.
    ///
    /// Errors with the template's own exception or with what it does that cannot be done.
    pub(super) fn render(&self, messages: &[Message]) -> Result<String, String> {
        self.environment
            .render_str(
                &self.source,
                context! {
                    messages => Serde(messages),
                    add_generation_prompt => true,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                    tools => (),
                    documents => (),
                },
            )
            .map_err(|error| explain(&error))
    }

    /// Returns the template's text.
    pub(super) fn source(&self) -> &str {
        &self.source
    }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Writes JSON with Python's separators, as templates were written for; any indent is ignored.
fn to_json(value: &Value, _options: Rest<Value>) -> Result<Value, Error> {
    use serde::Serialize as _;

    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PythonSeparators);
    value
        .serialize(&mut serializer)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from_safe_string(
        String::from_utf8_lossy(&bytes).into_owned(),
    ))
}

struct PythonSeparators;

impl serde_json::ser::Formatter for PythonSeparators {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Turns transformers' own `{% generation %}` blocks, which mark training text, into plain ones.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let tag = &rest[start + 2..start + length];
        let replacement = match tag.trim_matches(['-', '+', ' ']) {
            "generation" => Some("if true"),
            "endgeneration" => Some("endif"),
            _ => None,
        };
        out.push_str(&rest[..start]);
        match replacement {
            Some(word) => {
                let name = tag.trim_matches(['-', '+', ' ']);
                let _ = write!(out, "{{%{}%}}", tag.replacen(name, &format!(" {word} "), 1));
            }
            None => out.push_str(&rest[start..start + length + 2]),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

fn explain(error: &Error) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("the chat template fails in line {line}: {what}"),
        None => format!("the chat template fails: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{Message, Role};
    use test_case::test_case;

    use super::ChatTemplate;

    fn turns(user: &str) -> Vec<Message> {
        vec![
            Message::new(Role::System, "Be brief."),
            Message::new(Role::User, user),
            Message::new(Role::Assistant, "Yes."),
            Message::new(Role::User, "Why?"),
        ]
    }

    fn render(source: &str) -> Result<String, String> {
        ChatTemplate::new(source, "<s>", "</s>")?.render(&turns("Well?"))
    }

    // Expected texts are what transformers' own settings (trim_blocks, lstrip_blocks) give.
    #[test_case(
        "{% for m in messages %}\n  {% if true %}\n{{ m.role }}: {{ m['content'] }}\n  {% endif %}\n{% endfor %}\n",
        "system: Be brief.\nuser: Well?\nassistant: Yes.\nuser: Why?\n"; "blocks leave no blank lines")]
    #[test_case(
        "{{ bos_token }}{{ messages[0]['content'].strip().upper() }}{{ messages[-1].content.startswith('W') }}",
        "<s>BE BRIEF.True"; "python methods")]
    #[test_case("{% if tools is none and strftime_now is not defined %}ok{% endif %}", "ok"; "what is absent")]
    #[test_case("{% generation %}a{%- endgeneration -%} b", "ab"; "generation blocks")]
    #[test_case("{{ {'a': [1, '<é>']} | tojson }}", "{\"a\": [1, \"<é>\"]}"; "json as python writes it")]
    #[test_case("{%- set ns = namespace(n=0) %}{%- for m in messages[::-1] %}{%- set ns.n = ns.n + loop.index0 %}{%- endfor %}{{ ns.n }}", "6"; "namespaces and reversed slices")]
    #[test_case("{{ 'a</think>\n\nb'.split('</think>')[-1].lstrip('\n') }}", "b"; "splitting reasoning off")]
    fn renders_as_transformers_does(source: &str, expected: &str) {
        assert_eq!(render(source).as_deref(), Ok(expected));
    }

    #[test_case("{{ raise_exception('no system turn') }}", "no system turn"; "an exception")]
    #[test_case("\n{{ strftime_now('%Y') }}", "line 2"; "a clock")]
    #[test_case("{% for %}", "line 1"; "bad syntax")]
    fn faults_are_told(source: &str, expected: &str) {
        let error = render(source).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
