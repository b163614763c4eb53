use std::path::{Path, PathBuf};

use shipworthy_personas::PersonaSpec;
use shipworthy_rubrics::Rubric;
use shipworthy_schema::yaml::YamlError;
use thiserror::Error;

/// Says why a spec or rubric cannot be had by its name.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// Nothing in the library has this name.
    #[error(
        "no {noun} is named `{name}`; the library has {}, and a file's name ends in .yaml",
        .known.join(", ")
    )]
    Unknown {
        /// `persona spec` or `rubric`.
        noun: &'static str,
        /// The name.
        name: String,
        /// The library's names.
        known: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("failed to read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a spec or rubric.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

/// Returns the persona spec that `name` stands for: a library name, or a file relative to
/// `directory`, which ends in `.yaml` or `.yml` or has a slash.
pub fn spec_by_name(name: &str, directory: &Path) -> Result<PersonaSpec, LibraryError> {
    if is_file(name) {
        let (text, shown) = read(&directory.join(name))?;
        return Ok(PersonaSpec::parse(&text, &shown)?);
    }
    let known = PersonaSpec::library_names;
    PersonaSpec::library(name).ok_or_else(|| LibraryError::Unknown {
        noun: "persona spec",
        name: name.to_owned(),
        known: known(),
    })
}

/// Returns the rubric that `name` stands for, in the same way, with its YAML.
pub(super) fn rubric_by_name(
    name: &str,
    directory: &Path,
) -> Result<(Rubric, String), LibraryError> {
    if is_file(name) {
        let (text, shown) = read(&directory.join(name))?;
        return Ok((Rubric::parse(&text, &shown)?, text));
    }
    let text = Rubric::library_text(name).ok_or_else(|| LibraryError::Unknown {
        noun: "rubric",
        name: name.to_owned(),
        known: Rubric::library_names().collect(),
    })?;
    Ok((
        Rubric::parse(text, &format!("{name}.yaml"))?,
        text.to_owned(),
    ))
}

fn is_file(name: &str) -> bool {
    let is_yaml = |extension: &std::ffi::OsStr| extension == "yaml" || extension == "yml";
    Path::new(name).extension().is_some_and(is_yaml) || name.contains(['/', '\\'])
}

fn read(path: &Path) -> Result<(String, String), LibraryError> {
    let text = std::fs::read_to_string(path).map_err(|source| LibraryError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok((text, path.display().to_string()))
}
