use std::path::Path;

use shipworthy_schema::{Gate, Outcome};
use test_case::test_case;

use super::{ScoreTable, ScoreTableError, TableOptions};
use crate::comparison::Depth;
use crate::ruling::Ruling;

const GOOD: &str = "model,persona,repeat,score,tone,harm\n\
    base,p1,1,0.5,0.4,1\nbase,p1,2,0.6,0.4,1\nbase,p2,1,0.4,0.5,1\nbase,p3,1,0.7,0.6,1\n\
    tuned,p1,1,0.7,0.5,1\ntuned,p1,2,0.7,0.6,1\ntuned,p2,1,0.6,0.7,1\ntuned,p3,1,0.75,0.6,0\n";

fn options() -> TableOptions {
    TableOptions {
        baseline: "base".to_owned(),
        safety: vec!["harm".to_owned()],
        pass_threshold: None,
    }
}

fn parse(bytes: &[u8], options: &TableOptions) -> Result<ScoreTable, ScoreTableError> {
    ScoreTable::parse(Path::new("s.csv"), bytes, options)
}

fn rule(table: &ScoreTable) -> Result<Ruling, ScoreTableError> {
    Ruling::on(Depth::Full, &table.evidence(), &Gate::default())
        .map_err(|error| table.locate(error))
}

/// What reading and comparing says of a table without criteria.
fn error_of(text: &str) -> String {
    let options = TableOptions {
        baseline: "base".to_owned(),
        ..TableOptions::default()
    };
    let error = parse(text.as_bytes(), &options).and_then(|table| rule(&table));
    error.unwrap_err().to_string()
}

/// A table whose third line is `row`.
fn with_row(row: &str) -> String {
    format!("model,persona,repeat,score\nbase,p1,1,0.5\n{row}\ntuned,p1,1,0.7\n")
}

#[test_case("", "s.csv:1: column 1: the file is empty, expected a header with the columns `model`, `persona`, `repeat` and `score`"; "empty")]
#[test_case("\n\r\n", "s.csv:1: column 1: the file is empty, expected a header with the columns `model`, `persona`, `repeat` and `score`"; "blank lines alone")]
#[test_case("model,persona,repeat,score\n", "s.csv:1: column 1 `model`: there is no row below the header"; "header only")]
#[test_case("model,persona,repeat\nbase,p1,1\n", "s.csv:1: column `score`: there is no such column, the header has `model`, `persona`, `repeat`"; "missing column")]
#[test_case("base,p1,1,0.5\n", "s.csv:1: column `model`: there is no such column, the header has `base`, `p1`, `1`, `0.5`"; "no header")]
#[test_case("model,persona,repeat,score,\n", "s.csv:1: column 5: the column has no name"; "unnamed column")]
#[test_case("model,persona,repeat,score,score\n", "s.csv:1: column 5 `score`: column 4 has the same name"; "column twice")]
fn headers(text: &str, expected: &str) {
    assert_eq!(error_of(text), expected);
}

#[test_case("base,p2,1,abc", "s.csv:3: column 4 `score`: `abc` is not a number"; "text")]
#[test_case("base,p2,1,1 000", "s.csv:3: column 4 `score`: `1 000` is not a number"; "a number with a space")]
#[test_case("base,p2,1,\"0,5\"", "s.csv:3: column 4 `score`: `0,5` is not a number; write decimals with a point"; "decimal comma")]
#[test_case("base,p2,1,NaN", "s.csv:3: column 4 `score`: `NaN` is not a finite number; leave the cell empty where there is no score"; "nan")]
#[test_case("base,p2,1,-inf", "s.csv:3: column 4 `score`: `-inf` is not a finite number; leave the cell empty where there is no score"; "infinite")]
#[test_case("base,p2,1,1e999", "s.csv:3: column 4 `score`: `1e999` is not a finite number; leave the cell empty where there is no score"; "overflow")]
#[test_case("base,p2,1,4", "s.csv:3: column 4 `score`: `4` is not from 0 to 1; divide the scores by the top of their scale"; "another scale")]
#[test_case("base,p2,1,-0.1", "s.csv:3: column 4 `score`: `-0.1` is not from 0 to 1; divide the scores by the top of their scale"; "below zero")]
#[test_case("base,p2,0,0.5", "s.csv:3: column 3 `repeat`: `0` is not a whole number from 1 up"; "repeat 0")]
#[test_case("base,p2,-1,0.5", "s.csv:3: column 3 `repeat`: `-1` is not a whole number from 1 up"; "repeat below 0")]
#[test_case("base,p2,1.5,0.5", "s.csv:3: column 3 `repeat`: `1.5` is not a whole number from 1 up"; "repeat and a half")]
#[test_case("base,p2,,0.5", "s.csv:3: column 3 `repeat`: `` is not a whole number from 1 up"; "no repeat")]
#[test_case(",p2,1,0.5", "s.csv:3: column 1 `model`: the cell is empty, expected a name"; "no model")]
#[test_case("base, ,1,0.5", "s.csv:3: column 2 `persona`: the cell is empty, expected a name"; "no persona")]
#[test_case("base,p1,1,0.5", "s.csv:3: column 3 `repeat`: line 2 holds repeat 1 of persona `p1` with model `base` already"; "duplicate row")]
#[test_case("base,p1,01,0.9", "s.csv:3: column 3 `repeat`: line 2 holds repeat 1 of persona `p1` with model `base` already"; "duplicate row, written otherwise")]
#[test_case("base,p2,1", "s.csv:3: column 4 `score`: the row has 3 fields, the header has 4"; "short row")]
#[test_case("base,p2,1,0.5,0.6", "s.csv:3: column 5: the row has 5 fields, the header has 4"; "long row")]
#[test_case("base,\"p2,1,0.5", "s.csv:3: column 2 `persona`: the quote opened here is never closed"; "quote not closed")]
#[test_case("base,p\"2\",1,0.5", "s.csv:3: column 2 `persona`: a quote within a field; put the whole field in quotes and write each one in it twice"; "quote within a field")]
#[test_case("base,\"p\"2,1,0.5", "s.csv:3: column 2 `persona`: text after the closing quote; write a quote within a quoted field twice"; "text after the quote")]
fn rows(row: &str, expected: &str) {
    assert_eq!(error_of(&with_row(row)), expected);
    // The line is the file's, however lines end and whatever blank lines stand before.
    let windows = with_row(row).replace('\n', "\r\n");
    assert_eq!(error_of(&windows), expected);
    let later = expected
        .replacen("s.csv:3:", "s.csv:5:", 1)
        .replace("line 2 holds", "line 4 holds");
    assert_eq!(error_of(&with_row(row).replacen('\n', "\n\n\n", 1)), later);
}

#[test]
fn a_cell_that_is_no_text_is_named() {
    let bytes = b"model,persona,repeat,score\nbase,p\xff,1,0.5\n";
    assert_eq!(
        parse(bytes, &options()).unwrap_err().to_string(),
        "s.csv:2: column 2 `persona`: the text is not UTF-8; save the file in that encoding"
    );
    let utf_16 = b"\xff\xfem\0o\0";
    assert_eq!(
        parse(utf_16, &options()).unwrap_err().to_string(),
        "s.csv:1: column 1: the text is not UTF-8; save the file in that encoding"
    );
}

/// A table of persona scores, one conversation each: the baseline's and the candidate's.
fn arms(scores: &[(&str, &str)]) -> String {
    let rows = scores
        .iter()
        .enumerate()
        .map(|(idx, (base, tuned))| format!("base,p{idx},1,{base}\ntuned,p{idx},1,{tuned}\n"));
    format!("model,persona,repeat,score\n{}", rows.collect::<String>())
}

#[test]
fn tables_without_a_comparison() {
    let only_base = "model,persona,repeat,score\nbase,p1,1,0.5\nbase,p2,1,0.6\nbase,p3,1,0.6\n";
    assert_eq!(
        error_of(only_base),
        "s.csv:1: column 1 `model`: all rows are of one model, `base`; there is no candidate to \
         compare it with"
    );
    assert_eq!(
        error_of(&arms(&[("0.5", "0.6")]).replace("base", "bsae")),
        "s.csv:1: column 1 `model`: no row is of the baseline `base`, the models are `bsae`, `tuned`"
    );
    assert_eq!(
        error_of(&arms(&[("0.5", "0.6")])),
        "s.csv:1: column 2 `persona`: 1 persona: the persona is the pair, and a test needs at least \
         3 (15 are usual)"
    );
    assert_eq!(
        error_of(&arms(&[("0.5", "0.6"), ("0.5", "0.7")])),
        "s.csv:1: column 2 `persona`: 2 personas: the persona is the pair, and a test needs at least \
         3 (15 are usual)"
    );
    let same = "s.csv:1: column 4 `score`: the difference between `tuned` and `base` is the same for \
                all 3 personas, so nothing tells it from chance";
    let constant = [("0.5", "0.6"), ("0.2", "0.3"), ("0.7", "0.8")];
    assert_eq!(error_of(&arms(&constant)), same);
    assert_eq!(
        error_of(&arms(&[("0.5", "0.5"), ("0.2", "0.2"), ("1", "1")])),
        same
    );
    let four = arms(&[
        ("0.5", "0.6"),
        ("0.5", "0.7"),
        ("0.4", "0.6"),
        ("0.3", "0.3"),
    ]);
    assert_eq!(
        error_of(&four.replace("tuned,p2,1,0.6\n", "")),
        "s.csv:6: column 2 `persona`: persona `p2` has rows with `base`, but none with `tuned`"
    );
    assert_eq!(
        error_of(&four.replace("base,p0,1,0.5\n", "")),
        "s.csv:2: column 2 `persona`: persona `p0` has rows with `tuned`, but none with `base`"
    );
    assert_eq!(
        error_of(&four.replace("tuned,p1,1,0.7", "tuned,p1,1,")),
        "s.csv:5: column 4 `score`: 1 of the 4 conversations of `tuned` have no score (25 %, at most \
         10 % may be missing); the first: tuned/p1/1: the cell is empty"
    );
}

#[test]
fn a_safety_criterion_needs_a_column() {
    let unknown = TableOptions {
        safety: vec!["hram".to_owned()],
        ..options()
    };
    assert_eq!(
        parse(GOOD.as_bytes(), &unknown).unwrap_err().to_string(),
        "s.csv:1: column `hram`: there is no such criterion to be a safety criterion, the file has \
         `tone`, `harm`"
    );
}

#[test]
fn criteria_are_held_to_the_same_rules() {
    let text = GOOD.replacen("0.4,1\n", "good,1\n", 1);
    assert_eq!(
        parse(text.as_bytes(), &options()).unwrap_err().to_string(),
        "s.csv:2: column 5 `tone`: `good` is not a number"
    );
}

#[test]
fn a_good_table_is_compared_by_persona() {
    let table = parse(GOOD.as_bytes(), &options()).unwrap();
    assert_eq!(
        (table.models.len(), table.planned, table.scores.len()),
        (2, 4, 8)
    );
    let ruling = rule(&table).unwrap();
    let candidate = &ruling.comparison.candidates[0];
    assert_eq!((candidate.personas, candidate.conversations), (3, 4));
    assert!(
        (candidate.difference - 0.4 / 3.0).abs() < 1e-12,
        "{candidate:?}"
    );
    assert_eq!(candidate.pass_rate, 0.75);
    assert_eq!(candidate.safety[0].regressions.len(), 1);
    assert_eq!(ruling.verdict().exit_code(), 13);
}

#[test]
fn neither_order_nor_dialect_matters() {
    let expected = parse(GOOD.as_bytes(), &options()).unwrap();
    let expected = (&expected.scores, rule(&expected).unwrap());
    let (header, body) = GOOD.split_once('\n').unwrap();
    let reversed: Vec<&str> = body.lines().rev().collect();
    let columns = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        [cells[3], cells[1], cells[4], cells[0], cells[5], cells[2]].join(",")
    };
    let shuffled: Vec<String> = GOOD.lines().map(columns).collect();
    let quoted = |line: &str| format!("\"{}\"", line.replace(',', "\",\""));
    for text in [
        format!("{header}\n{}", reversed.join("\n")),
        shuffled.join("\n"),
        GOOD.replace('\n', "\r\n"),
        GOOD.replace('\n', "\r"),
        format!("\u{feff}{GOOD}"),
        GOOD.replace(',', ";"),
        GOOD.replace(',', "\t"),
        GOOD.replace(',', " , "),
        format!(
            "\u{feff}{}",
            GOOD.lines().map(quoted).collect::<Vec<_>>().join("\r\n")
        ),
        format!("{GOOD}\n,,,,,\n"),
    ] {
        let table = parse(text.as_bytes(), &options()).unwrap();
        let mut scores = table.scores.clone();
        // What a violation says names the line it comes from.
        for (score, expected) in scores.iter_mut().zip(expected.0) {
            for (criterion, expected) in score.criteria.iter_mut().zip(&expected.criteria) {
                criterion.reason.clone_from(&expected.reason);
            }
        }
        assert_eq!(&scores, expected.0, "{text}");
        let [found, wanted] = [rule(&table).unwrap(), expected.1.clone()];
        assert_eq!(
            found.comparison.candidates[0].pairs,
            wanted.comparison.candidates[0].pairs
        );
        assert_eq!(found.decisions, wanted.decisions);
    }
}

#[test]
fn our_own_scores_file_is_read() {
    let text = "model,persona,repeat,score,tone,criterion_note,'=1,termination,passed,note\n\
        base,p1,1,0.5,0.4,1,1,turn limit,true,\n\
        base,p2,1,,,,,timeout,,\"slow; score: timeout: slow\"\n\
        base,p3,1,0.9,,1,1,turn limit,FALSE,tone: not applicable\n";
    let text = format!(
        "{text}{}",
        text.replace("base,", "tuned,").split_once('\n').unwrap().1
    );
    let options = TableOptions {
        safety: Vec::new(),
        ..options()
    };
    let table = parse(text.as_bytes(), &options).unwrap();
    let ids: Vec<&str> = table.scores[0]
        .criteria
        .iter()
        .map(|c| c.criterion.as_str())
        .collect();
    assert_eq!(ids, ["tone", "note", "=1"]);
    let passed: Vec<Option<bool>> = table.scores[..3].iter().map(|s| s.passed).collect();
    assert_eq!(passed, [Some(true), None, Some(false)]);
    let reason = "timeout: slow".to_owned();
    assert_eq!(table.scores[1].overall, Outcome::Unscored { reason });
    assert_eq!(table.scores[2].criteria[0].outcome, Outcome::NotApplicable);
    let options = TableOptions {
        pass_threshold: Some(0.6),
        ..options
    };
    let passed = parse(text.as_bytes(), &options).unwrap().scores[0].passed;
    assert_eq!(passed, Some(false), "a threshold that is given counts");
    let bad = text.replacen("true", "perhaps", 1);
    let options = TableOptions {
        pass_threshold: None,
        ..options
    };
    assert_eq!(
        parse(bad.as_bytes(), &options).unwrap_err().to_string(),
        "s.csv:2: column 9 `passed`: `perhaps` is neither `true` nor `false`"
    );
}
