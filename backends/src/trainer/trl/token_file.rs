use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::json;
use shipworthy_datasets::TokenisedExample;
use shipworthy_schema::Digest;

use super::script::ScriptData;
use crate::trainer::TrainError;

/// The folder of the output directory that has the tokens.
const FOLDER: &str = "tokens";

/// The label of a token that is not learnt.
const UNLABELLED: i64 = -100;

/// Writes examples as the script reads them, `input_ids` and `labels` a line, and returns the file with its
/// digest.
pub(super) fn write(
    output: &Path,
    name: &str,
    examples: &[TokenisedExample],
) -> Result<ScriptData, TrainError> {
    let path = output.join(FOLDER).join(format!("{name}.jsonl"));
    let failed = |source| TrainError::InputOutput {
        detail: format!("failed to write `{}`", path.display()),
        source,
    };
    std::fs::create_dir_all(output.join(FOLDER)).map_err(failed)?;
    let mut file = BufWriter::new(std::fs::File::create(&path).map_err(failed)?);
    for example in examples {
        let labels: Vec<i64> = example
            .tokens
            .iter()
            .zip(&example.labelled)
            .map(|(&token, &is_learnt)| {
                if is_learnt {
                    i64::from(token)
                } else {
                    UNLABELLED
                }
            })
            .collect();
        let line = json!({ "input_ids": example.tokens, "labels": labels }).to_string() + "\n";
        file.write_all(line.as_bytes()).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    let written = std::fs::File::open(&path).map_err(failed)?;
    let digest = Digest::of_reader(written).map_err(failed)?;
    Ok(ScriptData::File {
        path: path.display().to_string(),
        sha256: Some(digest.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_where_something_is_learnt() {
        let place = tempfile::tempdir().unwrap();
        let example = TokenisedExample {
            id: "a:1".to_owned(),
            tokens: vec![1, 70_000, 3],
            labelled: vec![false, true, false],
        };
        let data = write(place.path(), "train", &[example]).unwrap();
        let ScriptData::File { path, sha256 } = data else {
            panic!("{data:?}");
        };
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            "{\"input_ids\":[1,70000,3],\"labels\":[-100,70000,-100]}\n"
        );
        let expected = shipworthy_schema::Digest::of_reader(text.as_bytes()).unwrap();
        assert_eq!(sha256.unwrap(), expected.to_string());
    }
}
