use serde::Deserialize;
use shipworthy_schema::yaml::{self, YamlError};
use shipworthy_schema::{Digest, RubricName, RubricRef};
use thiserror::Error;

use crate::category::Categories;
use crate::{Category, Criterion, Method, Share};

/// What counts as good in a conversation: weighted criteria in categories, and the score from
/// which a conversation passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rubric {
    fields: RubricFields,
    digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RubricFields {
    name: RubricName,
    version: u32,
    pass_threshold: Share,
    categories: Categories,
}

/// Says that a rubric gives no score in a plan.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NothingToScore {
    /// Every criterion that could earn a score waits for a judge.
    #[error(
        "rubric `{rubric}` has nothing to score: the plan has no judge and no deterministic \
         criterion adds to the score"
    )]
    NoJudge {
        /// The rubric.
        rubric: RubricName,
    },
    /// Every criterion takes points away.
    #[error("rubric `{rubric}` has nothing to score: every criterion takes points away")]
    OnlyNegative {
        /// The rubric.
        rubric: RubricName,
    },
}

impl Rubric {
    /// Reads a rubric from the YAML in `text`; `file` only names it in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        Ok(Self {
            fields: yaml::read(text, file)?,
            digest: Digest::of(text.as_bytes()),
        })
    }

    /// Returns the rubric's name.
    pub fn name(&self) -> &RubricName {
        &self.fields.name
    }

    /// Returns the rubric's own version number.
    pub fn version(&self) -> u32 {
        self.fields.version
    }

    /// Returns the overall score from which a conversation passes, in [0, 1].
    pub fn pass_threshold(&self) -> f64 {
        self.fields.pass_threshold.get()
    }

    /// Returns the categories in the file's order.
    pub fn categories(&self) -> &[Category] {
        &self.fields.categories.0
    }

    /// Returns all criteria in the file's order, each with its category's name.
    pub fn criteria(&self) -> impl Iterator<Item = (&str, &Criterion)> {
        self.categories().iter().flat_map(|category| {
            let named = |criterion| (category.name.as_str(), criterion);
            category.criteria.iter().map(named)
        })
    }

    /// Tells whether a judge grades any of the criteria.
    pub fn needs_judge(&self) -> bool {
        self.criteria()
            .any(|(_, criterion)| *criterion.method() == Method::Judge)
    }

    /// Fails if no conversation could get a score, with a judge or without.
    pub fn can_score(&self, has_judge: bool) -> Result<(), NothingToScore> {
        let adds = |judged: bool| {
            self.criteria().any(|(_, criterion)| {
                criterion.worth() > 0.0 && (judged || *criterion.method() != Method::Judge)
            })
        };
        let rubric = self.name().clone();
        if adds(has_judge) {
            Ok(())
        } else if adds(true) {
            Err(NothingToScore::NoJudge { rubric })
        } else {
            Err(NothingToScore::OnlyNegative { rubric })
        }
    }

    /// Returns the digest of the file's bytes: what `sha256sum` says.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns what a plan keeps of the rubric.
    pub fn rubric_ref(&self) -> RubricRef {
        RubricRef {
            name: self.name().to_string(),
            digest: self.digest.clone(),
            pass_threshold: self.pass_threshold(),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{NothingToScore, Rubric};
    use crate::{Method, Scale};

    const HEAD: &str = "name: r\nversion: 1\npass_threshold: 0.6\ncategories:\n";

    fn with_criterion(fields: &str) -> String {
        format!(
            "{HEAD}  - name: C\n    criteria:\n      - id: a\n        text: T\n        {fields}\n"
        )
    }

    #[test]
    fn a_whole_rubric_reads() {
        let text = format!(
            "{HEAD}  - name: Care
    criteria:
      - id: warmth
        text: Is warm.
        weight: 2
        scale:
          levels: {{1: cold, 2: cool, 3: mild, 4: warm, 5: very warm}}
      - id: refers
        text: Names help.
        safety: true
        applies_when: {{risk: [crisis_hint, other], mood: low}}
        check: {{contains: [doctor]}}
        scope: any_reply
      - {{id: rude, text: Is rude., scale: {{points: -2.5}}}}
      - {{id: mostly, text: Asks., check: asks_question, scope: {{at_least: 0.5}}}}
"
        );
        let rubric = Rubric::parse(&text, "r.yaml").unwrap();
        let criteria: Vec<_> = rubric.criteria().map(|(_, c)| c.clone()).collect();
        assert_eq!(criteria.len(), 4);
        assert_eq!((criteria[0].weight(), criteria[1].weight()), (2.0, 1.0));
        let Scale::Levels(levels) = criteria[0].scale() else {
            panic!("{:?}", criteria[0]);
        };
        assert_eq!(levels.iter().last(), Some((5, "very warm")));
        assert_eq!(*criteria[0].method(), Method::Judge);
        assert_eq!(
            criteria[1].method().to_string(),
            "any reply: contains any of `doctor`"
        );
        let condition = criteria[1].applies_when().unwrap().to_string();
        assert_eq!(condition, "mood is low and risk is crisis_hint or other");
        assert_eq!(criteria[2].worth(), -2.5);
        assert_eq!(
            criteria[3].method().to_string(),
            "at least 0.5 of replies: asks a question"
        );
        assert_eq!(
            rubric.rubric_ref().digest.as_str(),
            rubric.digest().as_str()
        );
    }

    #[test_case("weight: 0", "r.yaml:9:17: field `categories[0].criteria[0].weight`: a weight of 0 is not above 0"; "weight of 0")]
    #[test_case("weight: -1", "r.yaml:9:17: field `categories[0].criteria[0].weight`: a weight of -1 is not above 0"; "negative weight")]
    #[test_case("weight: .nan", "r.yaml:9:17: field `categories[0].criteria[0].weight`: a weight of NaN is not above 0"; "weight not a number")]
    #[test_case("weigth: 1", "r.yaml:9:9: field `categories[0].criteria[0].weigth`: unknown field `weigth`, expected one of id, text, weight, scale, safety, applies_when, check, scope"; "unknown key")]
    #[test_case("scale: {points: 0}", "r.yaml:9:25: field `categories[0].criteria[0].scale.points`: points of 0 decide nothing; use a number above or below 0"; "points of 0")]
    #[test_case("scale: {levels: {1: a, 2: b, 4: d, 5: e}}", "r.yaml:9:25: field `categories[0].criteria[0].scale.levels`: level 3 has no description; levels 1 to 5 each need one"; "level missing")]
    #[test_case("scale: {levels: {1: a, 2: b, 3: ' ', 4: d, 5: e}}", "r.yaml:9:25: field `categories[0].criteria[0].scale.levels`: level 3 has no description; levels 1 to 5 each need one"; "level blank")]
    #[test_case("scale: {levels: {0: z, 1: a, 2: b, 3: c, 4: d, 5: e}}", "r.yaml:9:25: field `categories[0].criteria[0].scale.levels`: level 0 is not one of 1 to 5"; "level 0")]
    #[test_case("scope: any_reply", "r.yaml:7:9: field `categories[0].criteria[0]`: criterion `a` has a scope and no check; the judge reads the whole conversation"; "scope without check")]
    #[test_case("check: {regex: '['}", "r.yaml:9:24: field `categories[0].criteria[0].check.regex`: `[` is not a regular expression: unclosed character class"; "bad regex")]
    #[test_case("check: {contain: [a]}", "r.yaml:9:17: field `categories[0].criteria[0].check`: unknown variant `contain`, expected one of contains, absent, regex, not_regex, min_words, max_words, words, asks_question, max_repetition, fresh_opening, valid_json, sentence_words, dialogue_share"; "unknown check")]
    #[test_case("applies_when: {risk: []}", "r.yaml:9:30: field `categories[0].criteria[0].applies_when.risk`: names no level"; "no level")]
    fn a_wrong_criterion_is_reported_where_it_stands(fields: &str, message: &str) {
        let error = Rubric::parse(&with_criterion(fields), "r.yaml").unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test_case("  []\n", "r.yaml:5:3: field `categories`: the rubric has no criteria"; "no category")]
    #[test_case("  - name: C\n    criteria: []\n", "r.yaml:6:15: field `categories[0].criteria`: the category has no criteria"; "empty category")]
    #[test_case("  - name: C\n", "r.yaml:5:5: field `categories[0]`: missing field `criteria`"; "category without criteria")]
    #[test_case("  - {name: C, criteria: [{id: a, text: T}]}\n  - {name: D, criteria: [{id: b, text: T}, {id: a, text: T}]}\n", "r.yaml:6:44: field `categories[1].criteria[1]`: criterion id `a` stands twice"; "duplicate id")]
    #[test_case("  - {name: C, criteria: [{id: a, text: T}]}\n  - {name: C, criteria: [{id: b, text: T}]}\n", "r.yaml:6:12: field `categories[1].name`: category `C` stands twice"; "duplicate category")]
    #[test_case("  - {name: C, criteria: [{id: a b, text: T}]}\n", "r.yaml:5:31: field `categories[0].criteria[0].id`: `a b` is not a name: use 1 to 64 letters, digits, `.`, `_` or `-`, starting with a letter or digit"; "bad id")]
    #[test_case("  - {nam: C, criteria: [{id: a, text: T}]}\n", "r.yaml:5:6: field `categories[0].nam`: unknown field `nam`, expected one of name, criteria"; "unknown key")]
    fn a_wrong_category_is_reported_where_it_stands(categories: &str, message: &str) {
        let error = Rubric::parse(&format!("{HEAD}{categories}"), "r.yaml").unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test_case("safety: true\n        scale: {levels: {1: a, 2: b, 3: c, 4: d, 5: e}}", "is a safety criterion with levels"; "safety with levels")]
    #[test_case("safety: true\n        check: asks_question\n        scope: share", "is a safety criterion with a share"; "safety with share")]
    #[test_case("check: asks_question\n        scale: {levels: {1: a, 2: b, 3: c, 4: d, 5: e}}", "has levels and a check"; "check with levels")]
    fn contradictions_are_refused(fields: &str, message: &str) {
        let error = Rubric::parse(&with_criterion(fields), "r.yaml").unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert_eq!((error.line, error.column), (7, 9));
    }

    #[test]
    fn a_threshold_is_a_share() {
        let text = with_criterion("weight: 1").replace("0.6", "60");
        let error = Rubric::parse(&text, "r.yaml").unwrap_err();
        assert_eq!(
            error.to_string(),
            "r.yaml:3:17: field `pass_threshold`: 60 is not between 0 and 1"
        );
        let error = Rubric::parse("name: r\n", "r.yaml").unwrap_err();
        assert_eq!(error.to_string(), "r.yaml:1:1: missing field `version`");
    }

    #[test]
    fn a_plan_with_nothing_to_score_is_refused() {
        let judged = Rubric::parse(&with_criterion("weight: 1"), "r.yaml").unwrap();
        assert_eq!(judged.can_score(true), Ok(()));
        assert!(matches!(
            judged.can_score(false),
            Err(NothingToScore::NoJudge { .. })
        ));
        let negative = with_criterion("scale: {points: -1}\n        check: asks_question");
        let negative = Rubric::parse(&negative, "r.yaml").unwrap();
        assert!(matches!(
            negative.can_score(true),
            Err(NothingToScore::OnlyNegative { .. })
        ));
        assert!(!negative.needs_judge() && judged.needs_judge());
    }
}
