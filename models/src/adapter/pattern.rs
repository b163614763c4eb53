use std::path::Path;

use regex::{Regex, RegexBuilder};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{AdapterProblem, ModelError};

/// Expressions that one table may have, apart from plain names of modules.
const EXPRESSION_LIMIT: usize = 256;
/// Bytes that an expression may take once it is compiled; `.*\.layers\.1\d\..*` takes some thousands.
const COMPILED_LIMIT: usize = 1 << 18;

/// Values by patterns of module names, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Patterns<T>(Vec<(Pattern, T)>);

#[derive(Clone, Debug)]
enum Pattern {
    /// A name, which most are; a dot in it stands for any character, as in an expression.
    Name(String),
    Expression(Regex),
}

impl<T: Copy + DeserializeOwned> Patterns<T> {
    /// Takes what the field `field` of the file says.
    pub(super) fn read(
        path: &Path,
        field: &'static str,
        patterns: Map<String, Value>,
    ) -> Result<Self, ModelError> {
        let wrong = |problem| ModelError::Adapter {
            path: path.to_owned(),
            problem,
        };
        let mut expressions = 0;
        let mut read = Vec::with_capacity(patterns.len());
        for (pattern, value) in patterns {
            let value = serde_json::from_value(value).map_err(|source| ModelError::Json {
                path: path.to_owned(),
                source,
            })?;
            let pattern = Pattern::read(pattern).map_err(wrong)?;
            expressions += usize::from(matches!(pattern, Pattern::Expression(_)));
            if expressions > EXPRESSION_LIMIT {
                let limit = EXPRESSION_LIMIT;
                return Err(wrong(AdapterProblem::Expressions { field, limit }));
            }
            read.push((pattern, value));
        }
        Ok(Self(read))
    }

    /// Returns the value of the first pattern that matches.
    pub(super) fn find(&self, module: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(pattern, _)| pattern.matches(module))?;
        Some(*value)
    }
}

impl Pattern {
    fn read(pattern: String) -> Result<Self, AdapterProblem> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        if pattern.bytes().all(is_plain) {
            return Ok(Self::Name(pattern));
        }
        // PEFT's rule: the whole name, or its end after a dot.
        RegexBuilder::new(&format!(r"^(?:.*\.)?(?:{pattern})$"))
            .size_limit(COMPILED_LIMIT)
            .dfa_size_limit(COMPILED_LIMIT)
            .build()
            .map(Self::Expression)
            .map_err(|source| AdapterProblem::Pattern {
                pattern,
                source: Box::new(source),
            })
    }

    fn matches(&self, module: &str) -> bool {
        match self {
            Self::Name(name) => ends_with_name(module, name),
            Self::Expression(regex) => regex.is_match(module),
        }
    }
}

/// Tells whether `module` is `name`, or ends with it after a dot; a dot in `name` stands for any character
/// but a line's end, as everywhere in an expression.
fn ends_with_name(module: &str, name: &str) -> bool {
    let mut characters = module.chars();
    let same = name.chars().rev().all(|wanted| {
        let found = characters.next_back();
        found == Some(wanted) || wanted == '.' && found.is_some_and(|it| it != '\n')
    });
    let before = characters.as_str();
    same && (before.is_empty() || before.ends_with('.') && !before.contains('\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(patterns: &[String]) -> Result<Patterns<u8>, String> {
        let patterns = patterns.iter().map(|it| (it.clone(), 1.into())).collect();
        Patterns::read(Path::new("a.json"), "rank_pattern", patterns)
            .map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn a_name_matches_as_an_expression_does(name in "[ab.]{0,4}", module in "[ab.\né]{0,6}") {
            let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{name})$")).unwrap();
            prop_assert_eq!(ends_with_name(&module, &name), regex.is_match(&module));
        }
    }

    #[test]
    fn expressions_are_bounded_and_names_are_not() {
        let names: Vec<String> = (0..10_000).map(|i| format!("layers.{i}.q_proj")).collect();
        assert!(read(&names).is_ok());
        let large = [r"\w{99}".to_owned()];
        let error = read(&large).unwrap_err();
        assert!(
            error.starts_with("`a.json`: pattern `\\w{99}`: "),
            "{error}"
        );
        let many: Vec<String> = (0..257).map(|i| format!("(q|k){i}")).collect();
        assert!(read(&many[1..]).is_ok());
        let error = read(&many).unwrap_err();
        let expected =
            "`a.json`: `rank_pattern` has more than 256 expressions; write the modules' names";
        assert_eq!(error, expected);
    }
}
