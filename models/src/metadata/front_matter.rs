//! What a model card begins with: YAML between two lines of dashes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::bounded_file;
use crate::error::ModelError;

/// Bytes a model card may have; cards that list the results of many benchmarks have a few millions.
const LIMIT: u64 = 16 << 20;
/// How deep the front matter may go.
const DEPTH_LIMIT: usize = 64;
/// What the front matter stands between.
const FENCE: &str = "---";

/// Says what is wrong with a model card.
#[derive(Debug, Error)]
#[error("`{path}`, line {line}: {problem}; mend the front matter or remove it")]
pub struct ModelCardError {
    /// The card.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: ModelCardProblem,
}

/// What can be wrong with a model card.
#[derive(Debug, Error)]
pub enum ModelCardProblem {
    /// Not text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Not YAML.
    #[error("{0}")]
    Yaml(String),
}

/// A value of the front matter; numbers and truth values are text here, as nobody computes with them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

/// The front matter's values, by key.
pub(super) type FrontMatter = BTreeMap<String, Node>;

/// Reads those keys of a card's front matter that are `wanted`; none if there is no card, no front
/// matter, or no key in it.
pub(super) fn read(path: &Path, wanted: &[&str]) -> Result<FrontMatter, ModelError> {
    if !path.is_file() {
        return Ok(FrontMatter::new());
    }
    let bytes = bounded_file::read(path, LIMIT)?;
    let found = parse(&bytes, wanted);
    found.map_err(|(line, problem)| {
        let path = path.to_owned();
        ModelCardError {
            path,
            line,
            problem,
        }
        .into()
    })
}

fn parse(bytes: &[u8], wanted: &[&str]) -> Result<FrontMatter, (u64, ModelCardProblem)> {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (line == FENCE.as_bytes(), line)
    });
    if lines.next().is_none_or(|(is_fence, _)| !is_fence) {
        return Ok(FrontMatter::new());
    }
    let mut text = String::new();
    for ((_, line), number) in lines.take_while(|(is_fence, _)| !is_fence).zip(2..) {
        let line = std::str::from_utf8(line);
        let line = line.map_err(|_| (number, ModelCardProblem::NotUtf8))?;
        // Tabs are found in cards, and YAML does not have them.
        text.push_str(&line.replace('\t', "  "));
        text.push('\n');
    }
    let mut options = serde_saphyr::Options::default();
    options.duplicate_keys = serde_saphyr::options::DuplicateKeyPolicy::LastWins;
    options.non_finite_float_policy = serde_saphyr::options::NonFiniteFloatPolicy::AsString;
    options.strict_booleans = true;
    options.alias_limits.max_total_replayed_events = 10_000;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = DEPTH_LIMIT;
    }
    let read = serde_saphyr::with_deserializer_from_str_with_options(&text, options, |yaml| {
        Wanted(wanted).deserialize(yaml)
    });
    read.map_err(|error| {
        let line = error.location().map_or(1, |at| at.line());
        let mut message = error.without_snippet().to_string();
        if let Some(end) = message.rfind(" at line ") {
            message.truncate(end);
        }
        // The card's first line is the fence.
        (line + 1, ModelCardProblem::Yaml(message))
    })
}

/// Reads an object's wanted keys and passes over the others.
struct Wanted<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = FrontMatter;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FrontMatter, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = FrontMatter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FrontMatter, A::Error> {
        let mut found = FrontMatter::new();
        while let Some(key) = map.next_key::<Node>()? {
            match key {
                Node::Text(key) if self.0.contains(&key.as_str()) => {
                    let value = map.next_value()?;
                    found.insert(key, value);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<FrontMatter, E> {
        Ok(FrontMatter::new())
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;

        impl<'de> Visitor<'de> for Nodes {
            type Value = Node;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Text(value.to_string()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
                Ok(Node::Text(value.to_string()))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
                Ok(Node::Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                // A version 1.0 is not 1.
                Ok(Node::Text(format!("{value:?}")))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut nodes = BTreeMap::new();
                while let Some(key) = map.next_key::<Node>()? {
                    let value = map.next_value()?;
                    if let Node::Text(key) = key {
                        nodes.insert(key, value);
                    }
                }
                Ok(Node::Map(nodes))
            }
        }

        deserializer.deserialize_any(Nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<FrontMatter, String> {
        parse(text.as_bytes(), &["a", "b"]).map_err(|(line, problem)| format!("{line}: {problem}"))
    }

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn wanted_keys_are_read_as_text() {
        let card = "---\r\na: [no, 1.0, 2, true, ~, x: {y: z}]\r\nother: [[[1]]]\nb: 1\nb:\n\t'two'\n---\n---\na: 5\n";
        let found = parsed(card).unwrap();
        let inner = Node::Map([("y".to_owned(), text("z"))].into());
        let list = vec![
            text("no"),
            text("1.0"),
            text("2"),
            text("true"),
            Node::Null,
            Node::Map([("x".to_owned(), inner)].into()),
        ];
        assert_eq!(found["a"], Node::List(list));
        assert_eq!(found["b"], text("two"));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn cards_without_front_matter_say_nothing() {
        for card in [
            "",
            "# Title\n---\na: 1\n---\n",
            " ---\na: 1\n",
            "---\n---\na: 1\n",
            "---",
        ] {
            assert!(parsed(card).unwrap().is_empty(), "{card}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_an_error_with_its_line() {
        let error = parsed("---\na: 1\nb: [1\n---\n").unwrap_err();
        assert!(
            error.starts_with("4: ") || error.starts_with("3: "),
            "{error}"
        );
        assert!(parsed("---\n- a\n---\n").unwrap_err().starts_with("2: "));
        let error = parse(b"---\na: 1\nb: \xff\n---\n", &[]).unwrap_err();
        assert_eq!(error.0, 3);
    }

    #[test]
    fn hostile_yaml_is_refused() {
        let deep = format!("---\na: {}\n", "[".repeat(100_000));
        parsed(&deep).unwrap_err();
        let deep = format!("---\nother: {}{}\n", "[".repeat(80), "]".repeat(80));
        parsed(&deep).unwrap_err();
        let mut bomb = "---\nx0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n".to_owned();
        for level in 1..12 {
            let refers = vec![format!("*x{}", level - 1); 9].join(", ");
            bomb = format!("{bomb}x{level}: &x{level} [{refers}]\n");
        }
        bomb.push_str("a: *x11\n");
        parsed(&bomb).unwrap_err();
    }
}
