use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shipworthy_schema::{Digest, InvalidSeed, Persona, SpecRef, Split};
use thiserror::Error;

/// Version of the persona file's format.
const FORMAT: u32 = 1;

/// The people of one evaluation, as a persona file holds them.
///
/// The file is JSON lines: a header that names format, spec, split and seeds, then one person a
/// line. People are complete in themselves; the spec is not needed to play them.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonaPool {
    header: Header,
    personas: Vec<Persona>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    spec: SpecRef,
    split: Split,
    seed_start: u32,
    count: u32,
}

/// Says what is wrong with a persona file.
#[derive(Debug, Error)]
pub enum PoolError {
    /// A line is not what the format says.
    #[error("{file}:{line}: {}{message}", field_prefix(.field))]
    Line {
        /// The file as the user named it.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The field, where one is to blame; else empty.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// The file holds nobody.
    #[error("{file}: the persona file holds no persona")]
    Empty {
        /// The file as the user named it.
        file: String,
    },
    /// The seeds belong to no split, or to the other.
    #[error("{file}:1: field `seed_start`: {source}")]
    Seeds {
        /// The file as the user named it.
        file: String,
        /// Why.
        source: InvalidSeed,
    },
    /// The people were drawn from another version of the spec.
    #[error(
        "{file}:1: field `spec`: drawn from spec `{}` version {} ({}), expected `{}` version {} ({})",
        .got.name, .got.version, .got.digest.short(),
        .expected.name, .expected.version, .expected.digest.short()
    )]
    SpecMismatch {
        /// The file as the user named it.
        file: String,
        /// The spec in use.
        expected: Box<SpecRef>,
        /// The spec the file names.
        got: Box<SpecRef>,
    },
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!("field `{field}`: ")
    }
}

impl PersonaPool {
    /// Makes a pool of people drawn from `spec`; `file` says in errors where they are to go.
    ///
    /// Errors if there is nobody, if somebody is there twice, or if seeds are not consecutive and
    /// all of one split.
    pub fn new(spec: SpecRef, personas: Vec<Persona>, file: &str) -> Result<Self, PoolError> {
        let empty = || PoolError::Empty {
            file: file.to_owned(),
        };
        let seed_start = personas.first().ok_or_else(empty)?.seed;
        let count = u32::try_from(personas.len()).unwrap_or(u32::MAX);
        let split = Split::of_seeds(seed_start, count).map_err(|source| PoolError::Seeds {
            file: file.to_owned(),
            source,
        })?;
        let header = Header {
            format: FORMAT,
            spec,
            split,
            seed_start,
            count,
        };
        let pool = Self { header, personas };
        pool.check(file)?;
        Ok(pool)
    }

    /// Reads a persona file's text; `file` says in errors where it came from.
    pub fn parse(text: &str, file: &str) -> Result<Self, PoolError> {
        let mut lines = text.lines().enumerate();
        let empty = || PoolError::Empty {
            file: file.to_owned(),
        };
        let (_, first) = lines.next().ok_or_else(empty)?;
        let header: Header = read_line(first, file, 1)?;
        if header.format != FORMAT {
            let message = format!("format {} is unknown, expected {FORMAT}", header.format);
            return Err(line_error(file, 1, "format", message));
        }
        let mut personas = Vec::new();
        for (i, line) in lines {
            personas.push(read_line(line, file, i + 1)?);
        }
        if personas.is_empty() {
            return Err(empty());
        }
        let pool = Self { header, personas };
        pool.check(file)?;
        Ok(pool)
    }

    fn check(&self, file: &str) -> Result<(), PoolError> {
        let header = &self.header;
        if header.count as usize != self.personas.len() {
            let n = self.personas.len();
            let message = format!("the header says {}, the file holds {n}", header.count);
            return Err(line_error(file, 1, "count", message));
        }
        let split = Split::of_seeds(header.seed_start, header.count).map_err(|source| {
            PoolError::Seeds {
                file: file.to_owned(),
                source,
            }
        })?;
        if split != header.split {
            let message = format!("the seeds are of the split {split:?}").to_lowercase();
            return Err(line_error(file, 1, "split", message));
        }
        let mut ids = BTreeSet::new();
        let mut combinations = BTreeSet::new();
        for (i, persona) in self.personas.iter().enumerate() {
            let line = i + 2;
            if !ids.insert(&persona.id) {
                let message = format!("`{}` is there twice", persona.id);
                return Err(line_error(file, line, "id", message));
            }
            let seed = u64::from(header.seed_start) + i as u64;
            if u64::from(persona.seed) != seed {
                let message = format!("got {}, expected {seed}", persona.seed);
                return Err(line_error(file, line, "seed", message));
            }
            let id = format!("{}-{seed}", header.spec.name);
            if persona.id.as_str() != id {
                let message = format!("got `{}`, expected `{id}`", persona.id);
                return Err(line_error(file, line, "id", message));
            }
            let is_new = combinations.insert(&persona.levels);
            if split == Split::Evaluation && !is_new {
                let message = "another persona takes the same levels".to_owned();
                return Err(line_error(file, line, "levels", message));
            }
            if persona.situation.openings.is_empty() {
                let message = "the list is empty: at least one entry".to_owned();
                return Err(line_error(file, line, "situation.openings", message));
            }
        }
        Ok(())
    }

    /// Errors unless the people were drawn from exactly `expected`.
    pub fn require_spec(&self, expected: &SpecRef, file: &str) -> Result<(), PoolError> {
        if self.header.spec == *expected {
            return Ok(());
        }
        Err(PoolError::SpecMismatch {
            file: file.to_owned(),
            expected: Box::new(expected.clone()),
            got: Box::new(self.header.spec.clone()),
        })
    }

    /// Returns the persona file's text.
    pub fn to_jsonl(&self) -> String {
        let mut text = to_json(&self.header);
        text.push('\n');
        for persona in &self.personas {
            text.push_str(&to_json(persona));
            text.push('\n');
        }
        text
    }

    /// Returns the digest of the persona file's text.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_jsonl().as_bytes())
    }

    /// Returns the people, by seed.
    pub fn personas(&self) -> &[Persona] {
        &self.personas
    }

    /// Returns the spec they were drawn from.
    pub fn spec(&self) -> &SpecRef {
        &self.header.spec
    }

    /// Returns the split their seeds are of.
    pub fn split(&self) -> Split {
        self.header.split
    }

    /// Returns the first seed.
    pub fn seed_start(&self) -> u32 {
        self.header.seed_start
    }

    /// Returns the number of people.
    pub fn count(&self) -> u32 {
        self.header.count
    }
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("it holds text, numbers and maps with text keys")
}

fn line_error(file: &str, line: usize, field: &str, message: String) -> PoolError {
    PoolError::Line {
        file: file.to_owned(),
        line,
        field: field.to_owned(),
        message,
    }
}

fn read_line<'a, T: Deserialize<'a>>(
    text: &'a str,
    file: &str,
    line: usize,
) -> Result<T, PoolError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut deserializer);
    let value = read.map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "" } else { &path };
        line_error(file, line, field, words_of(error.inner()))
    })?;
    let end = deserializer.end();
    end.map_err(|error| line_error(file, line, "", words_of(&error)))?;
    Ok(value)
}

/// Returns the words of `error`, which counts lines from this one.
fn words_of(error: &serde_json::Error) -> String {
    error
        .to_string()
        .replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use super::{PersonaPool, PoolError};
    use crate::{PersonaSpec, generate};

    fn pool() -> PersonaPool {
        let spec = PersonaSpec::library("coaching").unwrap();
        PersonaPool::new(
            spec.spec_ref(),
            generate(&spec, 9000, 3).unwrap(),
            "p.jsonl",
        )
        .unwrap()
    }

    fn error(text: &str) -> String {
        PersonaPool::parse(text, "p.jsonl").unwrap_err().to_string()
    }

    #[test]
    fn a_pool_survives_its_file() {
        let pool = pool();
        let text = pool.to_jsonl();
        assert!(
            text.starts_with("{\"format\":1,\"spec\":{\"name\":\"coaching\","),
            "{text}"
        );
        let again = PersonaPool::parse(&text, "p.jsonl").unwrap();
        assert_eq!((&again, again.digest()), (&pool, pool.digest()));
    }

    #[test]
    fn mistakes_name_file_line_and_field() {
        let text = pool().to_jsonl();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(error(""), "p.jsonl: the persona file holds no persona");
        assert_eq!(
            error(lines[0]),
            "p.jsonl: the persona file holds no persona"
        );
        let twice = [lines[0], lines[1], lines[1], lines[3]].join("\n");
        assert_eq!(
            error(&twice),
            "p.jsonl:3: field `id`: `coaching-9000` is there twice"
        );
        let short = lines[..3].join("\n");
        assert!(error(&short).starts_with("p.jsonl:1: field `count`: "));
        let bad = text.replacen("\"background\":", "\"backgrund\":", 1);
        assert!(error(&bad).starts_with("p.jsonl:2: field `backgrund`: unknown field"));
        let cut = &text[..text.len() - 20];
        assert!(error(cut).starts_with("p.jsonl:4: "), "{}", error(cut));
        let format = text.replacen("\"format\":1", "\"format\":2", 1);
        assert!(error(&format).contains("p.jsonl:1: field `format`: format 2"));
    }

    #[test]
    fn another_spec_version_is_told() {
        let pool = pool();
        let mut expected = pool.spec().clone();
        assert!(pool.require_spec(&expected, "p.jsonl").is_ok());
        expected.version += 1;
        let error = pool.require_spec(&expected, "p.jsonl").unwrap_err();
        assert!(matches!(error, PoolError::SpecMismatch { .. }));
        assert!(error.to_string().contains("version 1"), "{error}");
    }
}
