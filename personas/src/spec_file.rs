//! The YAML form of a persona spec, and the checks that need more than one field.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shipworthy_schema::yaml::{Spanned, YamlError};
use shipworthy_schema::{DisclosurePolicy, Fact, Length, Manner, Need, Register};

/// The greatest weight: schedules are as long as a factor's weights sum up to.
const MAX_WEIGHT: i64 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpecFile {
    pub(crate) name: Spanned<String>,
    pub(crate) version: u32,
    pub(crate) setting: String,
    pub(crate) partner: String,
    pub(crate) background: Background,
    pub(crate) situation: Spanned<Vec<SituationLevel>>,
    pub(crate) goal: Spanned<Vec<GoalLevel>>,
    pub(crate) disclosure: Spanned<Vec<DisclosureLevel>>,
    pub(crate) cooperation: Spanned<Vec<CooperationLevel>>,
    pub(crate) emotion: Spanned<Vec<EmotionLevel>>,
    pub(crate) style: Spanned<Vec<StyleLevel>>,
    pub(crate) knowledge: Spanned<Vec<KnowledgeLevel>>,
    pub(crate) patience: Spanned<Vec<PatienceLevel>>,
    pub(crate) risk: Spanned<Vec<RiskLevel>>,
    #[serde(default)]
    pub(crate) constraints: Vec<Constraint>,
}

/// One sentence of a person's own: `{since}` and `{after}` in `text` are filled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Background {
    pub(crate) text: Spanned<String>,
    pub(crate) since: Spanned<Vec<String>>,
    pub(crate) after: Spanned<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraint {
    pub(crate) forbid: Spanned<BTreeMap<String, Spanned<String>>>,
}

/// What all levels of all factors have.
pub(crate) trait Level {
    fn id(&self) -> &Spanned<String>;
    fn weight(&self) -> Option<&Spanned<i64>>;
}

macro_rules! level {
    ($name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            pub(crate) id: Spanned<String>,
            #[serde(default)]
            pub(crate) weight: Option<Spanned<i64>>,
            $($(#[$attr])* pub(crate) $field: $type,)*
        }

        impl Level for $name {
            fn id(&self) -> &Spanned<String> {
                &self.id
            }

            fn weight(&self) -> Option<&Spanned<i64>> {
                self.weight.as_ref()
            }
        }
    };
}

level!(SituationLevel {
    summary: String,
    topic: String,
    openings: Spanned<Vec<String>>,
    facts: Spanned<Vec<Fact>>,
});
level!(GoalLevel {
    text: String,
    success: String,
    give_up: String,
    needs: Spanned<Vec<Need>>,
    asks: Spanned<Vec<String>>,
    closings: Spanned<Vec<String>>,
});
level!(DisclosureLevel {
    text: String,
    policy: DisclosurePolicy,
});
level!(CooperationLevel {
    text: String,
    manner: Manner,
    lines: Spanned<Vec<String>>,
});
level!(EmotionLevel {
    start: String,
    raised_by: String,
    lowered_by: String,
    end: String,
    lines: Spanned<Vec<String>>,
});
level!(StyleLevel {
    text: String,
    length: Length,
    register: Register,
    #[serde(default)]
    typos: bool,
});
level!(KnowledgeLevel {
    text: String,
    lines: Spanned<Vec<String>>,
});
level!(PatienceLevel {
    turns: Spanned<u32>,
});
level!(RiskLevel {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    probes: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    at_turn: Option<Spanned<u32>>,
});

/// Looks for mistakes that a single field does not show, and says where they are.
pub(crate) struct Check<'a> {
    pub(crate) file: &'a str,
}

impl Check<'_> {
    fn error<T>(&self, at: &Spanned<T>, field: String, message: String) -> YamlError {
        YamlError {
            file: self.file.to_owned(),
            line: at.referenced.line(),
            column: at.referenced.column(),
            field,
            message,
        }
    }

    pub(crate) fn spec(&self, spec: &SpecFile) -> Result<(), YamlError> {
        // `-4294967295` must still fit the 64 characters of a persona's name.
        if spec.name.value.len() > 53
            || shipworthy_schema::SpecName::new(spec.name.value.as_str()).is_err()
        {
            let message = format!(
                "`{}` is not a spec name: use 1 to 53 letters, digits, `.`, `_` or `-`",
                spec.name.value
            );
            return Err(self.error(&spec.name, "name".to_owned(), message));
        }
        self.background(&spec.background)?;
        self.factor("situation", &spec.situation)?;
        self.factor("goal", &spec.goal)?;
        self.factor("disclosure", &spec.disclosure)?;
        self.factor("cooperation", &spec.cooperation)?;
        self.factor("emotion", &spec.emotion)?;
        self.factor("style", &spec.style)?;
        self.factor("knowledge", &spec.knowledge)?;
        self.factor("patience", &spec.patience)?;
        self.factor("risk", &spec.risk)?;
        for (i, level) in spec.situation.value.iter().enumerate() {
            self.lines(&level.openings, &format!("situation[{i}].openings"))?;
            self.facts(&level.facts, &format!("situation[{i}].facts"))?;
        }
        for (i, level) in spec.goal.value.iter().enumerate() {
            self.not_empty(&level.needs, &format!("goal[{i}].needs"))?;
            self.lines(&level.asks, &format!("goal[{i}].asks"))?;
            self.lines(&level.closings, &format!("goal[{i}].closings"))?;
        }
        for (i, level) in spec.cooperation.value.iter().enumerate() {
            self.lines(&level.lines, &format!("cooperation[{i}].lines"))?;
        }
        for (i, level) in spec.emotion.value.iter().enumerate() {
            self.lines(&level.lines, &format!("emotion[{i}].lines"))?;
        }
        for (i, level) in spec.knowledge.value.iter().enumerate() {
            self.lines(&level.lines, &format!("knowledge[{i}].lines"))?;
        }
        for (i, level) in spec.patience.value.iter().enumerate() {
            if level.turns.value < 2 {
                let message = format!("{} turns are too few: at least 2", level.turns.value);
                return Err(self.error(&level.turns, format!("patience[{i}].turns"), message));
            }
        }
        for (i, level) in spec.risk.value.iter().enumerate() {
            self.risk(level, i)?;
        }
        self.constraints(spec)
    }

    fn factor<L: Level>(&self, name: &str, levels: &Spanned<Vec<L>>) -> Result<(), YamlError> {
        self.not_empty(levels, name)?;
        let mut ids = BTreeSet::new();
        for (i, level) in levels.value.iter().enumerate() {
            let id = level.id();
            if id.value.is_empty() || !ids.insert(id.value.as_str()) {
                let message = format!("level `{}` is empty or there twice", id.value);
                return Err(self.error(id, format!("{name}[{i}].id"), message));
            }
            if let Some(weight) = level.weight()
                && !(1..=MAX_WEIGHT).contains(&weight.value)
            {
                let message = format!("weight {} is not in 1 to {MAX_WEIGHT}", weight.value);
                return Err(self.error(weight, format!("{name}[{i}].weight"), message));
            }
        }
        Ok(())
    }

    fn not_empty<T>(&self, list: &Spanned<Vec<T>>, field: &str) -> Result<(), YamlError> {
        if list.value.is_empty() {
            let message = "the list is empty: at least one entry".to_owned();
            return Err(self.error(list, field.to_owned(), message));
        }
        Ok(())
    }

    fn lines(&self, lines: &Spanned<Vec<String>>, field: &str) -> Result<(), YamlError> {
        self.not_empty(lines, field)?;
        if let Some(i) = lines.value.iter().position(|line| line.trim().is_empty()) {
            let message = "the line is empty".to_owned();
            return Err(self.error(lines, format!("{field}[{i}]"), message));
        }
        Ok(())
    }

    fn facts(&self, facts: &Spanned<Vec<Fact>>, field: &str) -> Result<(), YamlError> {
        self.not_empty(facts, field)?;
        let mut ids = BTreeSet::new();
        for (i, fact) in facts.value.iter().enumerate() {
            if !ids.insert(fact.id.as_str()) {
                let message = format!("fact `{}` is there twice", fact.id);
                return Err(self.error(facts, format!("{field}[{i}].id"), message));
            }
            if fact.text.trim().is_empty() || fact.cues.is_empty() {
                let message = format!("fact `{}` needs a text and at least one cue", fact.id);
                return Err(self.error(facts, format!("{field}[{i}]"), message));
            }
        }
        Ok(())
    }

    fn risk(&self, level: &RiskLevel, i: usize) -> Result<(), YamlError> {
        if let Some(probes) = &level.probes {
            self.lines(probes, &format!("risk[{i}].probes"))?;
        }
        match (&level.text, &level.probes, &level.at_turn) {
            (None, None, None) => Ok(()),
            (Some(_), Some(_), Some(turn)) if turn.value >= 2 => Ok(()),
            (Some(_), Some(_), Some(turn)) => {
                let message = format!("turn {} is too early: at least 2", turn.value);
                Err(self.error(turn, format!("risk[{i}].at_turn"), message))
            }
            _ => {
                let message = "give all of `text`, `probes` and `at_turn`, or none".to_owned();
                Err(self.error(&level.id, format!("risk[{i}]"), message))
            }
        }
    }

    fn background(&self, background: &Background) -> Result<(), YamlError> {
        for slot in ["{since}", "{after}"] {
            if background.text.value.matches(slot).count() != 1 {
                let message = format!("`{slot}` must stand in it once");
                return Err(self.error(&background.text, "background.text".to_owned(), message));
            }
        }
        for (name, list) in [("since", &background.since), ("after", &background.after)] {
            let field = format!("background.{name}");
            self.lines(list, &field)?;
            let distinct: BTreeSet<_> = list.value.iter().collect();
            if distinct.len() < 5 || distinct.len() < list.value.len() {
                let message = format!(
                    "{} distinct of {} entries: at least 5, none twice",
                    distinct.len(),
                    list.value.len()
                );
                return Err(self.error(list, field, message));
            }
        }
        Ok(())
    }

    fn constraints(&self, spec: &SpecFile) -> Result<(), YamlError> {
        let factors = spec.factors();
        for (i, constraint) in spec.constraints.iter().enumerate() {
            let field = format!("constraints[{i}].forbid");
            if constraint.forbid.value.is_empty() {
                let message = "it forbids everything: name at least one factor".to_owned();
                return Err(self.error(&constraint.forbid, field, message));
            }
            for (factor, level) in &constraint.forbid.value {
                let field = format!("{field}.{factor}");
                let Some(known) = factors.iter().find(|known| known.name == factor) else {
                    let message = format!("unknown factor `{factor}`");
                    return Err(self.error(level, field, message));
                };
                if !known.levels.contains(&level.value) {
                    let message = format!(
                        "unknown level `{}`, expected one of {}",
                        level.value,
                        known.levels.join(", ")
                    );
                    return Err(self.error(level, field, message));
                }
            }
        }
        Ok(())
    }
}

/// A factor as the draw sees it: names and weights.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) name: &'static str,
    pub(crate) levels: Vec<String>,
    pub(crate) weights: Vec<u64>,
}

impl Factor {
    fn of<L: Level>(name: &'static str, levels: &Spanned<Vec<L>>) -> Self {
        let weight = |level: &L| {
            let weight = level.weight().map_or(1, |weight| weight.value);
            u64::try_from(weight).unwrap_or(1)
        };
        Self {
            name,
            levels: levels
                .value
                .iter()
                .map(|level| level.id().value.clone())
                .collect(),
            weights: levels.value.iter().map(weight).collect(),
        }
    }
}

impl SpecFile {
    /// Returns the factors, in the order combinations are written.
    pub(crate) fn factors(&self) -> Vec<Factor> {
        vec![
            Factor::of("situation", &self.situation),
            Factor::of("goal", &self.goal),
            Factor::of("disclosure", &self.disclosure),
            Factor::of("cooperation", &self.cooperation),
            Factor::of("emotion", &self.emotion),
            Factor::of("style", &self.style),
            Factor::of("knowledge", &self.knowledge),
            Factor::of("patience", &self.patience),
            Factor::of("risk", &self.risk),
        ]
    }
}
