//! Templates of task files, as lm-eval renders them with Jinja2.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use serde_json::Map;

use super::python_literal;

/// Steps a template may take.
const FUEL: u64 = 100_000;

/// A template of a task.
pub(super) struct Template {
    environment: Environment<'static>,
    source: String,
    /// The expression, where the template is one and nothing else.
    expression: Option<String>,
}

impl Template {
    /// Takes a template's source; errors where the syntax is wrong.
    pub(super) fn new(source: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .keep_trailing_newline(true)
                .build()
                .expect("the standard delimiters are valid"),
        );
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(method);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(|out, _, value| {
            let text = printed(value)?;
            out.write_str(&text).map_err(Error::from)
        });
        environment
            .template_from_str(source)
            .map_err(|error| told(&error))?;
        Ok(Self {
            expression: expression(source),
            source: source.to_owned(),
            environment,
        })
    }

    /// Renders a row.
    pub(super) fn text(&self, row: &Map<String, serde_json::Value>) -> Result<String, String> {
        let rendered = self.environment.render_str(&self.source, Serde(row));
        rendered.map_err(|error| told(&error))
    }

    /// Makes a list of a row: the value of a lone expression, else the text read as Python's list.
    pub(super) fn list(
        &self,
        row: &Map<String, serde_json::Value>,
    ) -> Result<Vec<serde_json::Value>, String> {
        if let Some(expression) = &self.expression {
            let compiled = self.environment.compile_expression(expression);
            let value = compiled
                .and_then(|compiled| compiled.eval(Serde(row)))
                .map_err(|error| told(&error))?;
            if value.kind() == ValueKind::Seq {
                let json = serde_json::to_value(&value).map_err(|error| error.to_string())?;
                return Ok(json.as_array().cloned().unwrap_or_default());
            }
        }
        let text = self.text(row)?;
        python_literal::list(&text).ok_or_else(|| {
            let start: String = text.chars().take(60).collect();
            format!("expected a list, got `{start}`")
        })
    }
}

/// Returns the expression of a template that is nothing else.
fn expression(source: &str) -> Option<String> {
    let inside = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let is_lone = !inside.contains("{{") && !inside.contains("{%") && !inside.contains("}}");
    is_lone.then(|| inside.trim_matches('-').trim().to_owned())
}

/// Prints a value as Python does.
fn printed(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Ok("None".to_owned()),
        ValueKind::Bool if value.is_true() => Ok("True".to_owned()),
        ValueKind::Bool => Ok("False".to_owned()),
        ValueKind::String | ValueKind::Number => Ok(value.to_string()),
        kind => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("printing a {kind} is not supported"),
        )),
    }
}

/// Finds methods of Python's: those of minijinja's, and `index` of lists.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if name == "index"
        && value.kind() == ValueKind::Seq
        && let [wanted] = arguments
    {
        let place = value.try_iter()?.position(|item| item == *wanted);
        return place.map(Value::from).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("`{wanted}` is not in the list"),
            )
        });
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments)
}

fn told(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::*;

    fn row() -> Map<String, Value> {
        let row = json!({"question": "Why? ", "answer": "B", "ok": true, "n": 3,
            "choices": {"text": ["a", "it's"], "label": ["A", "B"]}});
        row.as_object().unwrap().clone()
    }

    #[test_case("{{question.strip()}}\nAnswer:", "Why?\nAnswer:"; "methods")]
    #[test_case("{{ok}} {{n}}\n", "True 3\n"; "python's words and the last line end")]
    #[test_case("{{choices.label.index(answer)}}", "1"; "a place")]
    #[test_case("{% for c in choices.text %}{{loop.index}}. {{c}}\n{% endfor %}", "1. a\n2. it's\n"; "loops")]
    #[test_case("Q: {{question}}{{choices['text'][0]}}", "Q: Why? a"; "parts")]
    fn texts(template: &str, expected: &str) {
        assert_eq!(
            Template::new(template).unwrap().text(&row()).unwrap(),
            expected
        );
    }

    #[test_case("{{choices.text}}", &json!(["a", "it's"]); "a field")]
    #[test_case("{{[choices.text[1], 'c']}}", &json!(["it's", "c"]); "an expression")]
    #[test_case("[\"{{answer}}\", \"no\"]", &json!(["B", "no"]); "a text")]
    fn lists(template: &str, expected: &Value) {
        let list = Template::new(template).unwrap().list(&row()).unwrap();
        assert_eq!(&Value::from(list), expected);
    }

    #[test_case("{{missing}}", "undefined"; "a field that is not there")]
    #[test_case("{{choices.text}}", "printing a sequence is not supported"; "a list")]
    #[test_case("{{question | regex_replace('a', 'b')}}", "regex_replace"; "a filter of lm-eval's")]
    #[test_case("{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}", "fuel"; "no end")]
    fn what_cannot_be_is_told(template: &str, expected: &str) {
        let rendered = Template::new(template).and_then(|template| template.text(&row()));
        let error = rendered.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
