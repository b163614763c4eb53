use serde::Serialize;
use serde_json::{Value, json};
use shipworthy_datasets::{Duplicates, Fault};

use super::super::page::{Page, grouped};

/// Returns a count with commas between thousands.
pub(super) fn count(number: usize) -> String {
    grouped(number as u64)
}

/// Returns a count with its noun: `1 row`, `2,000 rows`, `1 person`, `2 people`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let plural = match noun {
        "person" => "people",
        noun => &format!("{noun}s"),
    };
    format!(
        "{} {}",
        count(number),
        if number == 1 { noun } else { plural }
    )
}

/// Returns a report's fields behind those every document begins with.
pub(super) fn document(start: Value, report: &impl Serialize) -> Value {
    let mut value = json!({"format": 1});
    let report = serde_json::to_value(report).expect("a report is plain data");
    for fields in [start, report] {
        for (name, field) in fields.as_object().into_iter().flatten() {
            value[name] = field.clone();
        }
    }
    value
}

/// Writes rows that are wrong, the first faults one by one.
pub(super) fn faults(page: &mut Page, key: &str, rows: usize, faults: &[Fault], total: usize) {
    if rows == 0 {
        return;
    }
    page.row(
        key,
        format!("{}, with {}", counted(rows, "row"), counted(total, "fault")),
    );
    for fault in faults {
        page.wrapped("    ", &fault.to_string(), 6);
    }
    if total > faults.len() {
        page.wrapped(
            "    ",
            &format!("and {} more", count(total - faults.len())),
            6,
        );
    }
}

/// Writes rows that are like earlier ones, the first three one by one.
pub(super) fn duplicates(page: &mut Page, key: &str, what: &str, found: &Duplicates) {
    if found.rows == 0 {
        return;
    }
    let some: Vec<String> = found
        .first
        .iter()
        .take(3)
        .map(|one| format!("{} (as {})", one.place, one.of))
        .collect();
    let more = if found.rows > some.len() { ", …" } else { "" };
    let rows = counted(found.rows, "row");
    page.row(key, format!("{rows} {what}: {}{more}", some.join(", ")));
}
