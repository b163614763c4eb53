use std::fs::File;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use shipworthy_models::Checkpoint;
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

/// What names a model.
pub(super) struct ModelDigests {
    /// Digest of weights, configuration, tokenizer and chat template.
    pub(super) all: Digest,
    /// Digest of the weights' files alone, whatever they are called; `None` if there are none.
    pub(super) weights: Option<Digest>,
}

impl ModelDigests {
    /// Reads all of a model's files once.
    pub(super) fn of(directory: &Path) -> Result<Self, TuningError> {
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
        let named = || files.iter().zip(&digests);
        let weight_files = weight_files(directory);
        let of_weights = named().filter(|((_, path), _)| weight_files.contains(path));
        Ok(Self {
            weights: together(of_weights.map(|(_, digest)| digest.clone()).collect()),
            all: Digest::of_files(named().map(|((name, _), digest)| (name.as_str(), digest))),
        })
    }
}

/// Returns the digest of a model's weights, as [`ModelDigests::of`] does; nothing else is read.
pub(super) fn weights_of(directory: &Path) -> Result<Option<Digest>, TuningError> {
    let files = weight_files(directory);
    let digests = files.par_iter().map(|path| file_digest(path));
    Ok(together(digests.collect::<Result<Vec<_>, _>>()?))
}

/// Returns the files of a checkpoint's weights; none if there is no checkpoint.
fn weight_files(directory: &Path) -> Vec<PathBuf> {
    let checkpoint = Checkpoint::open(directory);
    checkpoint.map_or_else(
        |_| Vec::new(),
        |checkpoint| checkpoint.weight_files().map(Path::to_owned).collect(),
    )
}

/// Returns the digest of files whose names do not matter.
fn together(mut digests: Vec<Digest>) -> Option<Digest> {
    digests.sort();
    let parts = digests.iter().map(|digest| digest.as_str().as_bytes());
    (!digests.is_empty()).then(|| Digest::of_parts(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_named_by_content_alone() {
        let [one, two] = [&b"one"[..], b"two"].map(Digest::of);
        let both = together(vec![one.clone(), two.clone()]);
        assert_eq!(both, together(vec![two, one.clone()]));
        assert_ne!(both, together(vec![one]));
        assert_eq!(together(Vec::new()), None);
    }
}
