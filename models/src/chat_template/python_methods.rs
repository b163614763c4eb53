//! Methods as Python's strings, lists and dictionaries have them, where the engine's own differ or
//! know no bounds.

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::python_values::{is_space, optional};
use super::sandbox::{charge_items, check_format, print, spend, too_much};

/// Methods that change a value; Jinja's immutable sandbox refuses them.
const MUTATING: [&str; 11] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
];

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Calls a method that the engine does not have.
pub(super) fn method(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let is_container = matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map
    );
    if is_container && MUTATING.contains(&method) {
        return Err(wrong(format!(
            "`{method}` changes a value, which a chat template may not do"
        )));
    }
    if let Some(text) = value.as_str()
        && let Some(result) = text_method(state, text, method, arguments)
    {
        return result;
    }
    match (value.kind(), method) {
        (ValueKind::Map | ValueKind::Seq, "copy") => {
            let () = from_args(arguments)?;
            Ok(value.clone())
        }
        (ValueKind::Seq, "index") => {
            let (wanted,): (&Value,) = from_args(arguments)?;
            let at = value.try_iter()?.position(|item| item == *wanted);
            let at = at.ok_or_else(|| match print(state, wanted) {
                Ok(wanted) => wrong(format!("{wanted} is not in list")),
                Err(error) => error,
            })?;
            Ok(Value::from(at))
        }
        _ => pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

/// Returns none if the method is not one of those that differ.
fn text_method(
    state: &mut State,
    text: &str,
    method: &str,
    arguments: &[Value],
) -> Option<Result<Value, Error>> {
    if let Err(error) = charge(state, text, method, arguments) {
        return Some(Err(error));
    }
    Some(match method {
        "strip" => strip(text, arguments, true, true),
        "lstrip" => strip(text, arguments, true, false),
        "rstrip" => strip(text, arguments, false, true),
        "split" => split(text, arguments, false),
        "rsplit" => split(text, arguments, true),
        "splitlines" => split_lines(text, arguments),
        "partition" => partition(text, arguments, false),
        "rpartition" => partition(text, arguments, true),
        "removeprefix" => affix(arguments, |affix| text.strip_prefix(affix).unwrap_or(text)),
        "removesuffix" => affix(arguments, |affix| text.strip_suffix(affix).unwrap_or(text)),
        "replace" => replace(state, text, arguments),
        "join" => {
            from_args(arguments).and_then(|(values,): (&Value,)| join(state, values, text, true))
        }
        "isspace" => from_args(arguments)
            .map(|()| Value::from(!text.is_empty() && text.chars().all(is_space))),
        "isdecimal" => from_args(arguments).map(|()| {
            let digits = text.chars().all(|c| c.is_ascii_digit());
            Value::from(!text.is_empty() && digits)
        }),
        "index" => from_args(arguments).and_then(|(part,): (&str,)| {
            let at = text
                .find(part)
                .ok_or_else(|| wrong("substring not found"))?;
            Ok(Value::from(text[..at].chars().count()))
        }),
        "ljust" => justify(text, arguments, |fill, _| (0, fill)),
        "rjust" => justify(text, arguments, |fill, _| (fill, 0)),
        "center" => justify(text, arguments, |fill, width| {
            // Where the spaces are odd, Python's choice of side depends on the width.
            let left = fill / 2 + (fill & width & 1);
            (left, fill - left)
        }),
        "zfill" => zero_fill(text, arguments),
        "format" => longest(state, arguments)
            .and_then(|longest| check_format(state, text, longest))
            .and_then(|()| {
                let value = Value::from(text);
                pycompat::unknown_method_callback(state, &value, method, arguments)
            }),
        _ => return None,
    })
}

/// Returns the bytes of the longest of some values when it is written.
pub(super) fn longest(state: &State, values: &[Value]) -> Result<usize, Error> {
    values.iter().try_fold(0, |longest, value| {
        Ok(longest.max(print(state, value)?.len()))
    })
}

/// Takes what a method's copy of the text needs.
fn charge(state: &State, text: &str, method: &str, arguments: &[Value]) -> Result<(), Error> {
    match method {
        "split" | "rsplit" | "splitlines" => {
            let ends = match arguments.first() {
                Some(separator) if method != "splitlines" && !separator.is_none() => {
                    let separator = separator.as_str().filter(|text| !text.is_empty());
                    // One given by name is not looked for: every byte may be one.
                    separator.map_or(text.len(), |separator| text.matches(separator).count())
                }
                _ => text.chars().filter(|c| is_space(*c)).count(),
            };
            spend(state, text.len())?;
            charge_items(state, ends + 1)
        }
        "upper" | "lower" | "title" | "capitalize" => spend(state, text.len().saturating_mul(2)),
        "strip" | "lstrip" | "rstrip" | "partition" | "rpartition" | "removeprefix"
        | "removesuffix" | "ljust" | "rjust" | "center" | "zfill" => spend(state, text.len()),
        _ => Ok(()),
    }
}

fn strip(text: &str, arguments: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (set,): (Option<&str>,) = from_args(arguments)?;
    Ok(Value::from(stripped(text, set, left, right)))
}

/// Takes the characters of `set`, or spaces, off the ends.
pub(super) fn stripped<'a>(text: &'a str, set: Option<&str>, left: bool, right: bool) -> &'a str {
    let goes = |c: char| set.map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if left {
        text.trim_start_matches(goes)
    } else {
        text
    };
    if right {
        text.trim_end_matches(goes)
    } else {
        text
    }
}

/// `split` and `rsplit`, with `sep` and `maxsplit` by position or name.
fn split(text: &str, arguments: &[Value], from_right: bool) -> Result<Value, Error> {
    let (separator, most, named): (Option<Value>, Option<Value>, Kwargs) = from_args(arguments)?;
    let separator = optional(separator, &named, "sep")?.filter(|value| !value.is_none());
    let most = optional(most, &named, "maxsplit")?.map(i64::try_from);
    named.assert_all_used()?;
    // A negative number is no bound.
    let most = most
        .transpose()?
        .and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(usize::MAX);
    let separator = separator.as_ref().map(|separator| {
        let text = separator.as_str();
        text.ok_or_else(|| wrong("a separator must be text"))
    });
    let parts: Vec<&str> = match (separator.transpose()?, from_right) {
        (Some(""), _) => return Err(wrong("empty separator")),
        (Some(separator), false) => text.splitn(most.saturating_add(1), separator).collect(),
        (Some(separator), true) => {
            let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
        (None, false) => words(text, most),
        (None, true) => words_from_right(text, most),
    };
    Ok(parts.into_iter().collect())
}

fn words(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

fn words_from_right(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let space = rest.char_indices().rfind(|(_, c)| is_space(*c));
        let start = space.map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts.reverse();
    parts
}

fn split_lines(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (keep, named): (Option<Value>, Kwargs) = from_args(arguments)?;
    let keep = optional(keep, &named, "keepends")?.is_some_and(|keep| keep.is_true());
    named.assert_all_used()?;
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let is_end = matches!(
            c,
            '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !is_end {
            continue;
        }
        let mut end = at + c.len_utf8();
        if c == '\r' && characters.next_if(|(_, c)| *c == '\n').is_some() {
            end += 1;
        }
        lines.push(&text[start..if keep { end } else { at }]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    Ok(lines.into_iter().collect())
}

fn partition(text: &str, arguments: &[Value], from_right: bool) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(arguments)?;
    if separator.is_empty() {
        return Err(wrong("empty separator"));
    }
    let parts = if from_right {
        let parts = text.rsplit_once(separator);
        parts.map_or(["", "", text], |(a, b)| [a, separator, b])
    } else {
        let parts = text.split_once(separator);
        parts.map_or([text, "", ""], |(a, b)| [a, separator, b])
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

fn affix<'a>(arguments: &[Value], without: impl FnOnce(&str) -> &'a str) -> Result<Value, Error> {
    let (affix,): (&str,) = from_args(arguments)?;
    Ok(Value::from(without(affix)))
}

fn replace(state: &State, text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (old, new, count, named): (&str, &str, Option<Value>, Kwargs) = from_args(arguments)?;
    let count = optional(count, &named, "count")?;
    named.assert_all_used()?;
    let count = count.map(i64::try_from).transpose()?;
    let count = count.and_then(|count| usize::try_from(count).ok());
    replaced(state, text, old, new, count).map(Value::from)
}

/// Replaces within the budget.
pub(super) fn replaced(
    state: &State,
    text: &str,
    old: &str,
    new: &str,
    count: Option<usize>,
) -> Result<String, Error> {
    let found = text.matches(old).take(count.unwrap_or(usize::MAX)).count();
    spend(
        state,
        text.len().saturating_add(found.saturating_mul(new.len())),
    )?;
    Ok(text.replacen(old, new, found))
}

/// Joins values; `only_text` as Python's method has it.
pub(super) fn join(
    state: &State,
    values: &Value,
    between: &str,
    only_text: bool,
) -> Result<Value, Error> {
    let mut out = String::new();
    for (index, value) in values.try_iter()?.enumerate() {
        if index > 0 {
            spend(state, between.len())?;
            out.push_str(between);
        }
        match value.as_str() {
            Some(text) => {
                spend(state, text.len())?;
                out.push_str(text);
            }
            None if only_text => {
                return Err(wrong(format!(
                    "sequence item {index}: expected str instance, {} found",
                    value.kind()
                )));
            }
            None => out.push_str(&print(state, &value)?),
        }
    }
    Ok(Value::from(out))
}

/// The widest field, as for formats.
const WIDTH_LIMIT: i64 = 999;

fn justify(
    text: &str,
    arguments: &[Value],
    sides: impl FnOnce(usize, usize) -> (usize, usize),
) -> Result<Value, Error> {
    let (width, with): (i64, Option<&str>) = from_args(arguments)?;
    let with = with.unwrap_or(" ");
    if with.chars().count() != 1 {
        return Err(wrong(
            "the fill character must be exactly one character long",
        ));
    }
    if width > WIDTH_LIMIT {
        return Err(wrong(
            "a field in a chat template may be 999 characters wide",
        ));
    }
    let width = usize::try_from(width.max(0)).map_err(|_| too_much())?;
    let fill = width.saturating_sub(text.chars().count());
    let (left, right) = sides(fill, width);
    Ok(Value::from(with.repeat(left) + text + &with.repeat(right)))
}

fn zero_fill(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (width,): (i64,) = from_args(arguments)?;
    if width > WIDTH_LIMIT {
        return Err(wrong(
            "a field in a chat template may be 999 characters wide",
        ));
    }
    let width = usize::try_from(width.max(0)).map_err(|_| too_much())?;
    let zeros = "0".repeat(width.saturating_sub(text.chars().count()));
    let digits = text.trim_start_matches(['+', '-']);
    let sign = &text[..usize::from(digits.len() < text.len())];
    Ok(Value::from(format!("{sign}{zeros}{}", &text[sign.len()..])))
}
