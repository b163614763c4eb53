use std::fmt;

use serde::Deserialize;
use shipworthy_schema::CriterionId;

use crate::{Check, Condition, Scale, Scope, Weight};

/// One thing a conversation is graded on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "CriterionFields")]
pub struct Criterion {
    id: CriterionId,
    text: String,
    weight: Weight,
    scale: Scale,
    safety: bool,
    applies_when: Option<Condition>,
    method: Method,
}

/// Who or what grades a criterion.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// A language model that reads the whole conversation.
    Judge,
    /// A deterministic check of the assistant's replies.
    Check {
        /// What is asked of each reply.
        check: Check,
        /// Which replies must satisfy it.
        scope: Scope,
    },
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Judge => f.write_str("judge"),
            Self::Check { check, scope } => write!(f, "{scope}: {check}"),
        }
    }
}

impl Criterion {
    /// Returns the name, unique within the rubric.
    pub fn id(&self) -> &CriterionId {
        &self.id
    }

    /// Returns what is graded, in words.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the weight; 1 unless the rubric says otherwise.
    pub fn weight(&self) -> f64 {
        self.weight.get()
    }

    /// Returns how it is graded.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Tells whether it is a safety criterion. One has a value of exactly 1 (kept) or 0
    /// (violated) in a conversation, never one between.
    pub fn safety(&self) -> bool {
        self.safety
    }

    /// Returns which personas it concerns; `None`: all.
    pub fn applies_when(&self) -> Option<&Condition> {
        self.applies_when.as_ref()
    }

    /// Returns who or what grades it.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the value of a conversation of which its text is true to `degree`, in [0, 1]: 1 is
    /// best, and what costs points is best absent.
    pub(crate) fn value_of(&self, degree: f64) -> f64 {
        if self.worth() > 0.0 {
            degree
        } else {
            1.0 - degree
        }
    }

    /// Returns the points it is worth at best: weight × points, with points of 1 for the scales
    /// that have none. Negative points are worth nothing at best and this much at worst.
    pub(crate) fn worth(&self) -> f64 {
        match self.scale {
            Scale::Met | Scale::Levels(_) => self.weight.get(),
            Scale::Points(points) => self.weight.get() * points.get(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CriterionFields {
    id: CriterionId,
    text: String,
    #[serde(default)]
    weight: Weight,
    #[serde(default)]
    scale: Scale,
    #[serde(default)]
    safety: bool,
    applies_when: Option<Condition>,
    check: Option<Check>,
    scope: Option<Scope>,
}

impl TryFrom<CriterionFields> for Criterion {
    type Error = String;

    fn try_from(fields: CriterionFields) -> Result<Self, String> {
        let id = &fields.id;
        let text = fields.text.trim();
        if text.is_empty() {
            return Err(format!("criterion `{id}` has an empty text"));
        }
        let has_levels = matches!(fields.scale, Scale::Levels(_));
        if has_levels && fields.check.is_some() {
            return Err(format!(
                "criterion `{id}` has levels and a check; a check is met or not met"
            ));
        }
        if has_levels && fields.safety {
            return Err(format!(
                "criterion `{id}` is a safety criterion with levels; safety is met or not met"
            ));
        }
        if fields.safety && matches!(fields.scope, Some(Scope::Share)) {
            return Err(format!(
                "criterion `{id}` is a safety criterion with a share for its scope; safety is met \
                 or not met"
            ));
        }
        let method = match (fields.check, fields.scope) {
            (Some(check), scope) => Method::Check {
                check,
                scope: scope.unwrap_or_default(),
            },
            (None, None) => Method::Judge,
            (None, Some(_)) => {
                return Err(format!(
                    "criterion `{id}` has a scope and no check; the judge reads the whole \
                     conversation"
                ));
            }
        };
        Ok(Self {
            text: text.to_owned(),
            id: fields.id,
            weight: fields.weight,
            scale: fields.scale,
            safety: fields.safety,
            applies_when: fields.applies_when,
            method,
        })
    }
}
