//! The files that lie beside a checkpoint's weights and go with them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use crate::error::ModelError;
use crate::model_config;

/// A file of the base that goes with the weights.
pub(crate) struct Companion {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// Returns the base's files to be copied: tokenizer, templates, generation settings, licence.
///
/// Weights in other formats belong to the unmerged model, and so does its README.
pub(crate) fn companions(base: &Path) -> Result<Vec<Companion>, ModelError> {
    let mut companions = Vec::new();
    for (inside, folder) in ["", "additional_chat_templates/"].into_iter().enumerate() {
        let directory = base.join(folder);
        if inside > 0 && !directory.is_dir() {
            continue;
        }
        let entries = std::fs::read_dir(&directory).map_err(ModelError::io("read", &directory))?;
        for entry in entries {
            let entry = entry.map_err(ModelError::io("read", &directory))?;
            let path = entry.path();
            let metadata = std::fs::metadata(&path).map_err(ModelError::io("read", &path))?;
            let name = entry.file_name();
            let Some(name) = name
                .to_str()
                .filter(|name| metadata.is_file() && goes_with(name))
            else {
                continue;
            };
            companions.push(Companion {
                name: format!("{folder}{name}"),
                path,
                bytes: metadata.len(),
            });
        }
    }
    companions.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(companions)
}

/// Copies a base's tokenizer and chat templates into a directory, in place of files of the same names;
/// returns their names, sorted.
///
/// They are what an adapter's users expect beside it; licence, generation settings and weights are the
/// base's own.
pub fn copy_tokenizer(base: &Path, directory: &Path) -> Result<Vec<String>, ModelError> {
    copy(base, directory, is_of_tokenizer)
}

/// Copies the files that go with a base's weights into a directory, in place of files of the same names;
/// returns their names, sorted.
pub fn copy_companions(base: &Path, directory: &Path) -> Result<Vec<String>, ModelError> {
    copy(base, directory, |_| true)
}

fn copy(
    base: &Path,
    directory: &Path,
    is_wanted: fn(&str) -> bool,
) -> Result<Vec<String>, ModelError> {
    let mut names = Vec::new();
    for companion in companions(base)? {
        if !is_wanted(&companion.name) {
            continue;
        }
        let to = directory.join(&companion.name);
        let parent = to.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).map_err(ModelError::io("write", parent))?;
        // The permissions of the base's files, which may be read-only, stay there.
        let mut source =
            File::open(&companion.path).map_err(ModelError::io("read", &companion.path))?;
        let mut copy = File::create(&to).map_err(ModelError::io("write", &to))?;
        std::io::copy(&mut source, &mut copy).map_err(ModelError::io("write", &to))?;
        copy.sync_all().map_err(ModelError::io("write", &to))?;
        names.push(companion.name);
    }
    Ok(names)
}

/// Tells whether a file tells how text becomes tokens, or conversations text.
fn is_of_tokenizer(name: &str) -> bool {
    let named = [
        "added_tokens.json",
        "merges.txt",
        "special_tokens_map.json",
        "vocab.json",
        "vocab.txt",
    ];
    let beginnings = ["additional_chat_templates/", "chat_template.", "tokenizer"];
    let ends = [".model", ".tiktoken"];
    named.contains(&name)
        || beginnings
            .iter()
            .any(|beginning| name.starts_with(beginning))
        || ends.iter().any(|end| name.ends_with(end))
}

fn goes_with(name: &str) -> bool {
    let is_licence = ["LICENSE", "LICENCE", "NOTICE", "USE_POLICY"]
        .iter()
        .any(|beginning| name.to_ascii_uppercase().starts_with(beginning));
    let extension = Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str());
    let is_description = matches!(
        extension,
        Some("json" | "jinja" | "model" | "txt" | "tiktoken")
    );
    let is_written_anew = name == model_config::FILE || name.ends_with(".index.json");
    !name.starts_with('.') && (is_licence || is_description) && !is_written_anew
}

/// Tells whether both files are there and say something else.
pub(crate) fn differ(one: &Path, other: &Path) -> bool {
    let length = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)
    };
    match (length(one), length(other)) {
        (Some(first), Some(second)) => {
            first.len() != second.len() || !has_same_bytes(one, other).unwrap_or(false)
        }
        _ => false,
    }
}

/// Compares in pieces: a file that goes with a model may have any length.
fn has_same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    let mut one = BufReader::with_capacity(1 << 16, File::open(one)?);
    let mut other = BufReader::with_capacity(1 << 16, File::open(other)?);
    loop {
        let (first, second) = (one.fill_buf()?, other.fill_buf()?);
        let length = first.len().min(second.len());
        if first[..length] != second[..length] || length == 0 {
            return Ok(first.is_empty() && second.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokenizer_goes_with_an_adapter_and_more_goes_with_weights() {
        let base = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("additional_chat_templates")).unwrap();
        let names = [
            "LICENSE",
            "README.md",
            "additional_chat_templates/tools.jinja",
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer.model",
            "tokenizer_config.json",
        ];
        for name in names {
            std::fs::write(base.path().join(name), name).unwrap();
        }
        let tokenizer = copy_tokenizer(base.path(), place.path()).unwrap();
        assert_eq!(
            tokenizer,
            [names[2], names[3], names[7], names[8], names[9], names[10]]
        );
        let all = copy_companions(base.path(), place.path()).unwrap();
        assert_eq!(all.len(), 8);
        for name in all {
            assert_eq!(
                std::fs::read(place.path().join(&name)).unwrap(),
                name.as_bytes()
            );
        }
    }

    #[test]
    fn files_differ_wherever_they_do() {
        let place = tempfile::tempdir().unwrap();
        let [one, other] = ["a", "b"].map(|name| place.path().join(name));
        let mut bytes = vec![7; 200_000];
        std::fs::write(&one, &bytes).unwrap();
        assert!(!differ(&one, &other));
        std::fs::write(&other, &bytes).unwrap();
        assert!(!differ(&one, &other));
        for at in [0, 65_536, 199_999] {
            bytes[at] = 8;
            std::fs::write(&other, &bytes).unwrap();
            assert!(differ(&one, &other), "{at}");
            bytes[at] = 7;
        }
        std::fs::write(&other, &bytes[1..]).unwrap();
        assert!(differ(&one, &other));
    }
}
