//! Bounds on what a template may do: it is a program, written by a stranger.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Object, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::python_values;

/// Bytes a template's source may have; real ones have up to 20 000.
pub(super) const SOURCE_LIMIT: usize = 1 << 18;
/// Words, strings and signs that one tag may have; compiling takes the square of their number.
pub(super) const TAG_LIMIT: usize = 4096;
/// Instructions one rendering may take; a message takes some hundred.
pub(super) const STEP_LIMIT: u64 = 2_000_000;
/// Bytes one rendering may write, and bytes that may pass through its operators and filters.
pub(super) const TEXT_LIMIT: usize = 1 << 26;
/// Items a list may have where it is concatenated.
const ITEM_LIMIT: usize = 1_000_000;
/// What an item of a list takes from the budget where the list is copied; with it a list of 2,900
/// messages can be put together one by one, as some templates do.
const ITEM_COST: usize = 16;
/// Depth of calls of macros, and of blocks within blocks.
const RECURSION_LIMIT: usize = 200;
/// Bytes of stack for compiling and rendering. A template can nest a list, or an expression, some
/// hundred thousand deep within the other limits, and dropping that takes as many stack frames.
/// Only what is used is ever taken from memory.
const STACK: usize = 1 << 29;
/// Levels a message, or a value that is written as JSON, may have.
pub(super) const DEPTH_LIMIT: usize = 200;

/// Names of the filters that [`super::operators`] puts before operators.
pub(super) const TEXT: &str = "__text__";
pub(super) const ADDED: &str = "__added__";
pub(super) const FACTOR: &str = "__factor__";
/// Name of the filter that is put behind a slice.
pub(super) const SLICED: &str = "__sliced__";
/// Name of the filter that counts what the template itself says.
pub(super) const WRITTEN: &str = "__written__";

/// The name under which a rendering finds its [`Budget`].
pub(super) const BUDGET: &str = "__budget__";

/// What a rendering has used of [`TEXT_LIMIT`].
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

impl Object for Budget {}

/// The error within the engine's error when the budget is used up.
#[derive(Debug, thiserror::Error)]
#[error("too much text")]
pub(super) struct TooMuchText;

impl Budget {
    fn spend(&self, bytes: usize) -> Result<(), Error> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > TEXT_LIMIT {
            return Err(too_much());
        }
        Ok(())
    }
}

pub(super) fn too_much() -> Error {
    Error::new(ErrorKind::InvalidOperation, "too much text").with_source(TooMuchText)
}

/// Takes `bytes` from the rendering's budget.
pub(super) fn spend(state: &State, bytes: usize) -> Result<(), Error> {
    // A template that hides the budget behind a variable of its own has none.
    budget(state, |budget| budget.spend(bytes)).unwrap_or_else(|| Err(too_much()))
}

fn budget<T>(state: &State, with: impl FnOnce(&Budget) -> T) -> Option<T> {
    let value = state.lookup(BUDGET)?;
    value.downcast_object_ref::<Budget>().map(with)
}

/// Sets the engine's own limits and adds the filters that bound operators.
pub(super) fn confine(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(STEP_LIMIT));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.add_filter(TEXT, text);
    environment.add_filter(ADDED, added);
    environment.add_filter(FACTOR, factor);
    environment.add_filter(SLICED, sliced);
    environment.add_filter(WRITTEN, written);
    // What would print the whole state, and what makes lists of any length.
    environment.remove_global("debug");
    environment.remove_filter("pprint");
    environment.remove_filter("batch");
    environment.remove_filter("slice");
}

/// Passes what is to be written into a text.
fn text(state: &State, value: Value) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => spend(state, text.len())?,
        None if value.as_object().is_some() => {
            print(state, &value)?;
        }
        None => {}
    }
    Ok(value)
}

/// Passes what is to be added: numbers, texts or lists.
fn added(state: &State, value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => spend(state, value.as_str().map_or(0, str::len))?,
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.len().unwrap_or_default();
            if items > ITEM_LIMIT {
                return Err(too_much());
            }
            charge_items(state, items)?;
        }
        _ => {}
    }
    Ok(value)
}

/// Passes what a slice gave.
fn sliced(state: &State, value: Value) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => spend(state, text.len())?,
        None => charge_items(state, value.len().unwrap_or_default())?,
    }
    Ok(value)
}

/// Takes the bytes of a piece of the template's own text from the budget.
fn written(state: &State, value: Value, bytes: usize) -> Result<Value, Error> {
    spend(state, bytes)?;
    Ok(value)
}

/// Takes a copy of so many items from the rendering's budget.
pub(super) fn charge_items(state: &State, items: usize) -> Result<(), Error> {
    spend(state, items.saturating_mul(ITEM_COST))
}

/// Writes a value as Python's `str` does, within the budget.
pub(super) fn print(state: &State, value: &Value) -> Result<String, Error> {
    struct Bounded {
        text: String,
        left: usize,
    }

    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
            self.text.push_str(text);
            Ok(())
        }
    }

    let left = budget(state, |budget| {
        TEXT_LIMIT.saturating_sub(budget.0.load(Ordering::Relaxed))
    })
    .unwrap_or_default();
    let mut out = Bounded {
        text: String::new(),
        left,
    };
    let written = match f64::try_from(value.clone()) {
        Ok(number) if value.is_number() && !value.is_integer() => {
            out.write_str(&python_values::float(number))
        }
        _ => write!(out, "{value}"),
    };
    written.map_err(|_| too_much())?;
    spend(state, out.text.len())?;
    Ok(out.text)
}

/// Passes what is to be multiplied.
fn factor(value: Value) -> Result<Value, Error> {
    if matches!(
        value.kind(),
        ValueKind::Number | ValueKind::Bool | ValueKind::Undefined
    ) {
        return Ok(value);
    }
    Err(Error::new(
        ErrorKind::InvalidOperation,
        "only numbers can be multiplied in a chat template",
    ))
}

/// Refuses formats such as `%1000000000d`, and takes from the budget what others may make: every field
/// may be as wide as it says, or have `longest` bytes.
pub(super) fn check_format(state: &State, text: &str, longest: usize) -> Result<(), Error> {
    let fields = text.matches(['%', '{']).count();
    if fields == 0 {
        return spend(state, text.len());
    }
    let mut made = text.len();
    for digits in text.split(|c: char| !c.is_ascii_digit()) {
        if digits.len() > 3 {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a format in a chat template may be 999 characters wide",
            ));
        }
        // With signs between the digits.
        made = made.saturating_add(2 * digits.parse().unwrap_or(0_usize));
    }
    // As Python's `repr`, a text may be longer than it is.
    let fields = fields.saturating_mul(longest.saturating_mul(2));
    spend(state, made.saturating_add(fields))
}

thread_local! {
    /// Whether this thread was started with a stack for templates.
    static HAS_LARGE_STACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a stack large enough for whatever the limits on chat templates allow; templates that
/// are rendered in it then need no thread of their own, which costs more than most of them.
///
/// Returns none if it panicked. The outer error says that there was no thread.
pub fn on_large_stack<T: Send>(
    work: impl FnOnce() -> T + Send,
) -> Result<Option<T>, std::io::Error> {
    if HAS_LARGE_STACK.get() {
        return Ok(std::panic::catch_unwind(AssertUnwindSafe(work)).ok());
    }
    let work = || {
        HAS_LARGE_STACK.set(true);
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("chat template".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)?;
        Ok(thread.join().ok())
    })
}
