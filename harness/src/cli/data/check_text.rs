use shipworthy_datasets::{Examination, Format, Share, TokenReport};
use shipworthy_harness::preparation::leak_text;
use shipworthy_personas::leak::LeakReport;

use super::super::page::Page;
use super::super::printer::Printer;
use super::super::train::preflight_text::example;
use super::text::{count, counted, duplicates, faults};

/// Says what was found, for a terminal.
pub(super) fn check_text(
    found: &Examination,
    leaks: Option<&LeakReport>,
    printer: &Printer,
) -> String {
    let mut page = Page::new(printer.width());
    let format = found.from.map_or("no known format", Format::name);
    let title = format!(
        "{}: {}, {format}",
        found.path.display(),
        counted(found.rows, "row")
    );
    page.wrapped("", &title, 2);
    faults(
        &mut page,
        "WRONG",
        found.faulty_rows,
        &found.faults,
        found.fault_count,
    );
    page.row(
        "size",
        format!(
            "{}: {}",
            counted(found.distinct_rows, "distinct row"),
            found.size.text()
        ),
    );
    if let Some(tokens) = &found.tokens {
        lengths(&mut page, tokens);
    }
    page.block();
    let (exact, near) = (&found.exact_duplicates, &found.near_duplicates);
    duplicates(&mut page, "duplicates", "repeating an earlier one", exact);
    duplicates(&mut page, "near", "nearly repeating an earlier one", near);
    let conflicts = &found.conflicting_answers;
    duplicates(
        &mut page,
        "conflicts",
        "answering the same otherwise",
        conflicts,
    );
    if let Some(first) = found.repeated_turns.first() {
        let rows = counted(found.repeated_turn_rows, "row");
        page.row(
            "repetition",
            format!("{rows} in which somebody says the same twice, first {first}"),
        );
    }
    for data in &found.personal_data {
        page.row(
            "personal data",
            format!(
                "{}: {} in {}, first {}",
                data.kind.name(),
                count(data.count),
                counted(data.rows, "row"),
                data.first
            ),
        );
    }
    page.block();
    page.row_if("languages", shares(&found.languages));
    page.row_if("openings", shares(&found.openings));
    for field in &found.fields {
        let name: String = field.field.chars().take(13).collect();
        page.row_if(&name, shares(&field.values));
    }
    if let Some(leaks) = leaks {
        people(&mut page, leaks);
    }
    if !found.warnings.is_empty() {
        page.block();
        for warning in &found.warnings {
            page.wrapped("warning: ", &warning.to_string(), 2);
        }
    }
    let mut text = page.finish();
    if let Some(preview) = &found.preview {
        text.push('\n');
        example(&mut text, preview, printer.color());
    }
    text
}

fn lengths(page: &mut Page, tokens: &TokenReport) {
    let lengths = &tokens.lengths;
    page.row(
        "tokens",
        format!(
            "p50 {}, p95 {}, max {}, {} in all; {:.0} % of them are learnt",
            count(lengths.p50),
            count(lengths.p95),
            count(lengths.max),
            count(lengths.total),
            tokens.labelled_share * 100.0
        ),
    );
    let ends = tokens.template.end_of_turn.join(", ");
    page.row("ends of turn", format!("{ends} ({})", tokens.template.file));
    let Some(cut) = tokens.cut else {
        return;
    };
    if cut.examples == 0 {
        let most = count(cut.max_length);
        return page.row("max_length", format!("{most}: nothing is longer"));
    }
    page.row(
        "WRONG",
        format!(
            "{} of {} examples have more than max_length = {} tokens; cutting them would lose {} tokens, \
             {} of them learnt, and leave {} examples with nothing to learn",
            count(cut.examples),
            count(tokens.examples),
            count(cut.max_length),
            count(cut.tokens),
            count(cut.labelled),
            count(cut.unlabelled_examples)
        ),
    );
}

fn shares(list: &[Share]) -> Option<String> {
    let some = list.iter().take(6);
    let some: Vec<String> = some
        .map(|share| format!("{} {:.0} %", share.name, share.share * 100.0))
        .collect();
    let more = if list.len() > some.len() { ", …" } else { "" };
    (!some.is_empty()).then(|| format!("{}{more}", some.join(", ")))
}

fn people(page: &mut Page, leaks: &LeakReport) {
    page.block();
    let all = count(leaks.personas.len());
    let found: Vec<_> = leaks.leaked().collect();
    if found.is_empty() {
        return page.row(
            "people",
            format!("none of {all} people of the evaluation is in it"),
        );
    }
    let some = count(found.len());
    page.row(
        "WRONG",
        format!("{some} of {all} people of the evaluation are in it"),
    );
    for (person, leak) in found.into_iter().take(10) {
        let line = leak.training_line();
        let text = format!(
            "line {line}: persona {}: {}",
            person.persona,
            leak_text(leak)
        );
        page.wrapped("    ", &text, 6);
    }
}
