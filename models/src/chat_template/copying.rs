//! Bounds on filters and functions of the engine that copy what they get.
//!
//! Each takes one instruction, so a loop that keeps every copy would fill any memory. What is copied is
//! taken from the rendering's budget first; then the engine's own filter does its work under a hidden
//! name.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters, functions};

use super::sandbox::{charge_items, spend};

macro_rules! bounded_filters {
    ($environment:ident, $cost:ident: $($name:ident)*) => {$(
        let hidden = concat!("__", stringify!($name), "__");
        $environment.add_filter(hidden, filters::$name);
        let bounded = move |state: &mut State, arguments: Rest<ValueOrKwargs>| {
            let arguments = arguments.into_values();
            for argument in &arguments {
                $cost(state, argument)?;
            }
            state.apply_filter(hidden, &arguments)
        };
        $environment.add_filter(stringify!($name), bounded);
    )*};
}

/// Bounds the engine's filters that [`super::python_filters`] does not replace.
pub(super) fn add(environment: &mut Environment<'static>) {
    bounded_filters!(environment, text: lower upper title capitalize safe escape);
    environment.add_filter("e", |state: &mut State, value: Value| {
        state.apply_filter("escape", &[value])
    });
    bounded_filters!(environment, items: chain dictsort groupby items lines list map max min reject);
    bounded_filters!(environment, items: rejectattr reverse select selectattr sort split sum unique zip);
    let dict = Value::from_function(functions::dict);
    environment.add_function(
        "dict",
        move |state: &mut State, arguments: Rest<ValueOrKwargs>| {
            let arguments = arguments.into_values();
            for argument in &arguments {
                items(state, argument)?;
            }
            dict.call(state, &arguments)
        },
    );
}

/// Takes what a copy of a text needs, which in other letters may be longer.
fn text(state: &State, value: &Value) -> Result<(), Error> {
    spend(state, value.as_str().map_or(0, str::len).saturating_mul(2))
}

/// Takes what a list of a value's items needs.
fn items(state: &State, value: &Value) -> Result<(), Error> {
    let count = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => match value.len() {
            Some(count) => count,
            None => value.try_iter()?.count(),
        },
        _ => 0,
    };
    charge_items(state, count)
}
