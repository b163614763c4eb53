use std::fs::File;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use shipworthy_schema::Digest;

use super::error::TuningError;

/// Extensions of the files that make a model.
const EXTENSIONS: [&str; 5] = ["jinja", "json", "model", "safetensors", "txt"];

/// Returns the digest of a file.
pub(super) fn file_digest(path: &Path) -> Result<Digest, TuningError> {
    let failed = |source| TuningError::Digest {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    Digest::of_reader(file).map_err(failed)
}

/// Returns the digest of a model's files: weights, configuration, tokenizer and chat template.
pub(super) fn model_digest(directory: &Path) -> Result<Digest, TuningError> {
    let failed = |source| TuningError::Digest {
        path: directory.to_owned(),
        source,
    };
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let name = path.file_name().and_then(|name| name.to_str());
        if let (Some(extension), Some(name)) = (extension, name)
            && EXTENSIONS.contains(&extension)
            && path.is_file()
        {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    let digests = files
        .par_iter()
        .map(|(_, path)| file_digest(path))
        .collect::<Result<Vec<_>, _>>()?;
    let named = files.iter().zip(&digests);
    Ok(Digest::of_files(
        named.map(|((name, _), digest)| (name.as_str(), digest)),
    ))
}
