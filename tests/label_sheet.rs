use serde_json::{Value, json};

use crate::support::labelling::judged_run;
use crate::support::project::{Done, Project};

/// Reads a sheet as a spreadsheet does.
fn rows(text: &str) -> Vec<Vec<String>> {
    let text = text
        .strip_prefix('\u{feff}')
        .expect("spreadsheets need the mark");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let records = reader.records();
    let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    records.map(|record| cells(record.unwrap())).collect()
}

/// Writes a sheet as a spreadsheet of another country does: semicolons, CR LF, quotes where needed.
fn sheet(rows: &[Vec<String>]) -> String {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(b';')
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn import(project: &Project, text: &str, extra: &[&str]) -> Done {
    project.write("filled.csv", text);
    let arguments = ["label", "--import", "filled.csv"];
    project.run(&[&arguments, extra].concat())
}

/// Fills in what a person says who likes what the candidate says, but in the first row.
fn filled(mut rows: Vec<Vec<String>>, rater: &str) -> Vec<Vec<String>> {
    for (n, row) in rows.iter_mut().enumerate().skip(1) {
        let is_good = row[2].contains("Gladly") != (n == 1);
        row[0] = rater.into();
        row[3] = if is_good { "met" } else { "Not_Met" }.into();
        row[4] = if is_good { "5" } else { "2" }.into();
    }
    rows
}

#[test]
fn what_is_scored_in_a_spreadsheet_counts_like_what_is_scored_on_the_page() {
    let project = judged_run(15, "");
    let done = project.run(&["label", "--export", "labels.csv", "--count", "12"]);
    assert_eq!(done.code, 0, "{done:?}");
    let text = project.read("labels.csv");
    for hidden in ["secret", "tuned", "coaching-9", "So it is"] {
        assert!(!text.contains(hidden), "{hidden} is told");
    }
    let empty = rows(&text);
    assert_eq!(empty.len(), 13);
    assert_eq!(empty[0][..3], ["rater", "item", "conversation"]);
    assert_eq!(
        empty[0][3],
        "kind: The assistant is kind. (not_met | met | cannot_tell)"
    );
    assert!(empty[0][4].starts_with("useful: ") && empty[0][4].contains("5 = Very useful."));
    assert_eq!(empty[0][5], "note");
    assert!(empty[1][2].starts_with("Person: ") || empty[1][2].starts_with("Assistant: "));
    let again = project.run(&["label", "--export", "labels.csv"]);
    assert_eq!(
        again.code, 2,
        "what may be filled in is not lost: {again:?}"
    );

    // Nothing filled in is nothing said.
    let done = import(&project, &text, &[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("0 labels taken"), "{}", done.stderr);

    let mut ada = filled(empty, "Ada");
    ada[2][5] = "'=1+1, she said".to_owned();
    let done = import(&project, &sheet(&ada), &[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("12 labels taken"), "{}", done.stderr);
    let decision: Value = project.run(&["report", "--format", "json"]).json();
    let human = &decision["human"];
    assert_eq!(
        human["raters"],
        json!([{"rater": "Ada", "conversations": 12}])
    );
    assert_eq!(human["criteria"][0]["equal"], json!(11.0 / 12.0));

    // What is stored comes out as it went in, in the same order; an empty cell takes nothing back.
    let done = project.run(&[
        "label", "--export", "ada.csv", "--rater", "Ada", "--count", "12",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    let mut stored = rows(&project.read("ada.csv"));
    let by_item = |rows: &[Vec<String>]| {
        let mut rows = rows[1..].to_vec();
        rows.sort_by(|a, b| a[1].cmp(&b[1]));
        rows
    };
    for row in &mut ada {
        row[3] = row[3].to_lowercase();
    }
    ada[0] = stored[0].clone();
    assert_eq!(by_item(&stored), by_item(&ada));
    for row in &mut stored[1..] {
        row[0] = String::new();
        row[3] = String::new();
        row[4] = "cannot_tell".to_owned();
    }
    let done = import(&project, &sheet(&stored), &["--rater", "Ada"]);
    assert_eq!(done.code, 0, "{done:?}");
    let done = project.run(&["label", "--export", "all.csv", "--count", "30"]);
    assert_eq!(done.code, 0, "{done:?}");
    let all = rows(&project.read("all.csv"));
    let kept = all.iter().filter(|row| row[4] == "cannot_tell");
    assert_eq!(kept.clone().count(), 12);
    assert!(
        kept.clone()
            .all(|row| matches!(&*row[3], "met" | "not_met"))
    );
    assert_eq!(all.len(), 31, "a larger sample, for the one who labelled");
}

#[test]
fn a_sheet_with_anything_wrong_in_it_is_refused_as_a_whole() {
    let project = judged_run(8, "");
    let done = project.run(&["label", "--export", "labels.csv", "--count", "4"]);
    assert_eq!(done.code, 0, "{done:?}");
    let right = filled(rows(&project.read("labels.csv")), "Ada");
    let with = |row: usize, column: usize, cell: &str| {
        let mut rows = right.clone();
        rows[row][column] = cell.to_owned();
        sheet(&rows)
    };
    let mut twice = right.clone();
    twice.push(right[1].clone());
    let mut ragged = sheet(&right);
    ragged.push_str("Ada;c0\r\n");
    // Conversations have line ends, so that rows of the file are more than rows of the sheet.
    let lines = |rows: &[Vec<String>]| sheet(rows).lines().count();
    let last = lines(&right[..4]) + 1;
    for (text, place, expected) in [
        (
            with(4, 3, "yes"),
            format!("{last}: column 4 `kind`"),
            "`yes` is no answer here; write `not_met`, `met`, `cannot_tell`, or nothing",
        ),
        (with(4, 4, "6"), format!("{last}: column 5 `useful`"), "`5`"),
        (
            with(4, 0, ""),
            format!("{last}: column 1 `rater`"),
            "name the rater with --rater",
        ),
        (
            with(4, 0, "A\u{202e}da"),
            format!("{last}: column 1 `rater`"),
            "all of them visible",
        ),
        (
            with(4, 1, "c000000000000"),
            format!("{last}: column 2 `item`"),
            "no conversation of this run",
        ),
        (
            with(4, 5, &"n".repeat(5000)),
            format!("{last}: column 6 `note`"),
            "at most 4000 bytes",
        ),
        (
            with(0, 4, "other: What?"),
            "1: column 5 `other`".to_owned(),
            "there are `kind`, `useful`",
        ),
        (
            with(0, 4, "kind: again"),
            "1: column 5 `kind`".to_owned(),
            "column 4 has the same name",
        ),
        (
            with(0, 1, "note"),
            "1: column 6 `note`".to_owned(),
            "same name",
        ),
        (
            sheet(&twice),
            format!("{}: column 2 `item`", lines(&right) + 1),
            "line 2 holds what `Ada` says of this conversation already",
        ),
        (
            ragged,
            format!("{}: column 3 `conversation`", lines(&right) + 1),
            "the row has 2 fields, the header has 6",
        ),
        (sheet(&right[..1]), "1: column 1".to_owned(), "no row below"),
        (String::new(), "1: column 1".to_owned(), "the file is empty"),
        (
            sheet(&right).replace("Ada", "A\"da"),
            "2: column 1".to_owned(),
            "a quote within a field",
        ),
    ] {
        let done = import(&project, &text, &[]);
        assert_eq!(done.code, 65, "{expected}: {done:?}");
        assert!(
            done.stderr.contains(&format!("filled.csv:{place}")) && done.stderr.contains(expected),
            "{place}: {expected}: {}",
            done.stderr
        );
        let stored = project.run(&["label", "--import", "labels.csv", "--json"]);
        assert_eq!(
            stored.json()["labels"],
            0,
            "{expected}: something was stored"
        );
    }
    let done = import(&project, &sheet(&right), &["--rater", "Ben"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(
        done.stderr
            .contains("`Ada` is not the rater named with --rater, `Ben`"),
        "{}",
        done.stderr
    );
    let done = import(&project, &sheet(&right), &["--json"]);
    assert_eq!((done.code, &done.json()["new"]), (0, &json!(4)));
}
