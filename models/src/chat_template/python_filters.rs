//! Filters and functions as Jinja for Python has them, where the engine's own differ or know no
//! bounds.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, State, Value};

use super::python_json::to_json;
use super::python_methods::{self, join, replaced, stripped, wrong};
use super::python_values::optional;
use super::sandbox::{charge_items, check_format, print, spend, too_much};

/// The most items of a `range`, as in Jinja's sandbox.
const RANGE_LIMIT: usize = 100_000;

/// Adds the filters, functions and methods.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(python_methods::method);
    environment.add_filter("tojson", to_json);
    environment.add_filter("trim", trim);
    environment.add_filter("replace", replace_filter);
    environment.add_filter("join", join_filter);
    environment.add_filter("indent", indent);
    environment.add_filter("string", |state: &State, value: &Value| print(state, value));
    environment.add_filter("format", format_filter);
    environment.add_function("range", range);
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands named arguments over by value"
)]
fn trim(state: &State, value: &Value, set: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let set = optional(set, &named, "chars")?.filter(|set| !set.is_none());
    named.assert_all_used()?;
    let text = print(state, value)?;
    let set = set.as_ref().and_then(Value::as_str);
    Ok(Value::from(stripped(&text, set, true, true)))
}

fn replace_filter(
    state: &State,
    value: &Value,
    old: &Value,
    new: &Value,
    count: Option<i64>,
) -> Result<Value, Error> {
    let (text, old, new) = (print(state, value)?, print(state, old)?, print(state, new)?);
    let count = count.and_then(|count| usize::try_from(count).ok());
    replaced(state, &text, &old, &new, count).map(Value::from)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands named arguments over by value"
)]
fn join_filter(
    state: &State,
    values: &Value,
    between: Option<Value>,
    attribute: Option<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let between = optional(between, &named, "d")?;
    let attribute = optional(attribute, &named, "attribute")?;
    named.assert_all_used()?;
    if values.is_undefined() {
        return Ok(Value::from(""));
    }
    let between = between.map_or_else(|| Ok(String::new()), |value| print(state, &value))?;
    let Some(attribute) = attribute.filter(|name| !name.is_none()) else {
        return join(state, values, &between, false);
    };
    let items: Result<Vec<Value>, Error> = values
        .try_iter()?
        .map(|item| item.get_item(&attribute))
        .collect();
    join(state, &Value::from(items?), &between, false)
}

/// Spaces or a text before every line but the first and blank ones, unless told otherwise.
fn indent(state: &State, value: &Value, arguments: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let (width, first, blank, named): (Option<Value>, Option<Value>, Option<Value>, Kwargs) =
        from_args(&arguments)?;
    let width = optional(width, &named, "width")?;
    let first = optional(first, &named, "first")?.is_some_and(|value| value.is_true());
    let blank = optional(blank, &named, "blank")?.is_some_and(|value| value.is_true());
    named.assert_all_used()?;
    let before = match &width {
        None => " ".repeat(4),
        Some(width) => match width.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(spaces(state, i64::try_from(width.clone())?)?),
        },
    };
    let text = print(state, value)?;
    let mut out = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if index == 0 && first || index > 0 && (blank || !line.is_empty()) {
            spend(state, before.len())?;
            out.push_str(&before);
        }
        out.push_str(line);
    }
    Ok(Value::from(out))
}

/// Takes as many bytes from the budget and returns their number; 0 for a negative one.
fn spaces(state: &State, width: i64) -> Result<usize, Error> {
    let width = usize::try_from(width.max(0)).map_err(|_| too_much())?;
    spend(state, width)?;
    Ok(width)
}

fn format_filter(
    state: &mut State,
    value: &Value,
    arguments: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let text = print(state, value)?;
    let longest = python_methods::longest(state, &arguments)?;
    check_format(state, &text, longest)?;
    let text = minijinja::formatting::format(
        minijinja::formatting::FormatStyle::Printf,
        &text,
        &arguments,
    )?;
    Ok(Value::from(text))
}

fn range(
    state: &State,
    first: i64,
    second: Option<i64>,
    step: Option<i64>,
) -> Result<Value, Error> {
    let (start, end) = second.map_or((0, first), |end| (first, end));
    let step = i128::from(step.unwrap_or(1));
    if step == 0 {
        return Err(wrong("range() arg 3 must not be zero"));
    }
    let distance = i128::from(end) - i128::from(start);
    // Steps until the end is reached or passed, rounded up.
    let count = ((distance + step - step.signum()) / step).max(0);
    match usize::try_from(count) {
        Ok(count @ ..=RANGE_LIMIT) => {
            charge_items(state, count)?;
            Ok((0_i128..)
                .take(count)
                .map(|index| Value::from(i128::from(start) + index * step))
                .collect())
        }
        _ => Err(wrong(format!(
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({RANGE_LIMIT})."
        ))),
    }
}
