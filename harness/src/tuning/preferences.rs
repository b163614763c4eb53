use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use shipworthy_datasets::{ModelTokenizer, TokenisedDataset};

use super::config_file::TuningConfig;
use super::error::TuningError;
use super::preflight;

/// Bytes a line may have.
const LINE_LIMIT: u64 = 16 << 20;

/// The two replies of a row.
const SIDES: [&str; 2] = ["chosen", "rejected"];

/// Reads preferences: JSON Lines with `prompt`, `chosen` and `rejected`, each a list of messages.
///
/// Both conversations of every row are checked and counted as those of other training data are; what is
/// returned is of the chosen ones, of rows both of which are kept.
pub(super) fn read(
    config: &TuningConfig,
    key: &str,
    path: &Path,
    tokenizer: &ModelTokenizer,
) -> Result<TokenisedDataset, TuningError> {
    let place = tempfile::tempdir().map_err(|source| TuningError::Read {
        path: path.to_owned(),
        source,
    })?;
    let sides = split(config, key, path, place.path())?;
    let [mut chosen, rejected] = [
        preflight::read(config, key, &sides[0], tokenizer)?,
        preflight::read(config, key, &sides[1], tokenizer)?,
    ];
    path.clone_into(&mut chosen.report.path);
    // Rows are known by their lines, which are the same in both.
    let kept: BTreeSet<&str> = rejected
        .examples
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    chosen.examples.retain(|one| kept.contains(one.id.as_str()));
    chosen.report.examples = chosen.examples.len();
    Ok(chosen)
}

/// Writes the chosen and the rejected conversation of every line into a file each, at the same line.
fn split(
    config: &TuningConfig,
    key: &str,
    path: &Path,
    place: &Path,
) -> Result<[PathBuf; 2], TuningError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TuningError::Read { path, source }
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    let paths = SIDES.map(|side| place.join(side).join(name));
    let mut files = Vec::new();
    for path in &paths {
        let directory = path.parent().unwrap_or(place);
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
        files.push(BufWriter::new(File::create(path).map_err(failed(path))?));
    }
    let mut lines = BufReader::new(File::open(path).map_err(failed(path))?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = lines.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line);
        if read.map_err(failed(path))? == 0 {
            break;
        }
        let wrong = |detail| TuningError::Preference {
            place: config.places.value_of(key),
            path: path.to_owned(),
            line: number,
            detail,
        };
        let text = line.trim_ascii();
        for (side, file) in SIDES.iter().zip(&mut files) {
            let written = if text.is_empty() {
                String::new()
            } else {
                conversation(text, side).map_err(wrong)?.to_string()
            };
            writeln!(file, "{written}").map_err(failed(path))?;
        }
    }
    for file in &mut files {
        file.flush().map_err(failed(path))?;
    }
    Ok(paths)
}

/// Returns the prompt of a row with one of its replies, as other training data is written.
fn conversation(text: &[u8], side: &str) -> Result<Value, String> {
    let row: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
        format!("expected an object with `prompt`, `chosen` and `rejected`: {error}")
    })?;
    let messages = |key: &str| match row.get(key) {
        Some(Value::Array(messages)) => Ok(messages.clone()),
        Some(Value::String(_)) => Err(format!(
            "`{key}` is a text; write a list of messages, `[{{\"role\": …, \"content\": …}}]`, so that the \
             model's chat template is used"
        )),
        Some(_) => Err(format!("`{key}` is no list of messages")),
        None => Err(format!(
            "there is no `{key}`; a row has `prompt`, `chosen` and `rejected`"
        )),
    };
    let mut all = messages("prompt")?;
    let reply = messages(side)?;
    if reply.is_empty() {
        return Err(format!("`{side}` has no message"));
    }
    all.extend(reply);
    let mut conversation = json!({ "messages": all });
    if let Some(tools) = row.get("tools") {
        conversation["tools"] = tools.clone();
    }
    Ok(conversation)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const ROW: &[u8] = br#"{"prompt": [{"role": "user", "content": "Hm?"}], "chosen": [{"role": "assistant", "content": "Yes."}], "rejected": [{"role": "assistant", "content": "No."}]}"#;

    #[test]
    fn a_row_is_two_conversations() {
        let of = |side| conversation(ROW, side).unwrap()["messages"].clone();
        assert_eq!(of("chosen")[1]["content"], "Yes.");
        assert_eq!(of("rejected")[1]["content"], "No.");
        assert_eq!(of("rejected")[0]["content"], "Hm?");
    }

    #[test_case("[]", "expected an object"; "a list")]
    #[test_case(r#"{"prompt": "Hm?", "chosen": "a", "rejected": "b"}"#, "`prompt` is a text"; "texts")]
    #[test_case(r#"{"prompt": [], "rejected": []}"#, "there is no `chosen`"; "one reply")]
    #[test_case(r#"{"prompt": [], "chosen": []}"#, "`chosen` has no message"; "nothing said")]
    #[test_case(r#"{"prompt": 3, "chosen": []}"#, "`prompt` is no list"; "a number")]
    fn other_rows_are_refused(row: &str, expected: &str) {
        let detail = conversation(row.as_bytes(), "chosen").unwrap_err();
        assert!(detail.starts_with(expected), "{detail}");
    }
}
