use shipworthy_schema::yaml::{self, YamlError};
use shipworthy_schema::{
    Cooperation, Digest, Disclosure, Emotion, Goal, Knowledge, Persona, PersonaId, Risk, Situation,
    SpecRef, Split, Style,
};

use crate::rng::Rng;
use crate::spec_file::{Check, Factor, SpecFile};

const LIBRARY: &[(&str, &str)] = &[
    ("coaching", include_str!("../library/coaching.yaml")),
    (
        "creative-writing",
        include_str!("../library/creative-writing.yaml"),
    ),
    (
        "customer-support",
        include_str!("../library/customer-support.yaml"),
    ),
];

/// One level of each factor, by index, in the factors' order.
pub(crate) type Combination = Vec<u16>;

/// A grid of factors that people are drawn from.
///
/// Nine factors: situation, goal, disclosure, cooperation, emotion, style, knowledge, patience and
/// risk. Each has weighted levels; constraints forbid levels to meet. Who people are by birth is no
/// factor, for it must not drive how they behave.
#[derive(Debug)]
pub struct PersonaSpec {
    file: SpecFile,
    digest: Digest,
    factors: Vec<Factor>,
    /// Forbidden meetings, as (factor, level) indices.
    forbidden: Vec<Vec<(usize, u16)>>,
}

impl PersonaSpec {
    /// Reads a spec; `file` says in errors where it came from.
    ///
    /// Unknown keys, empty factors, weights that are not positive, duplicate ids and constraints
    /// that name unknown factors or levels are errors with line, column and field.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        let spec: SpecFile = yaml::read(text, file)?;
        Check { file }.spec(&spec)?;
        let factors = spec.factors();
        let index = |factor: &str, level: &str| -> (usize, u16) {
            let factor = factors.iter().position(|known| known.name == factor);
            let factor = factor.expect("constraints were checked");
            let level = factors[factor]
                .levels
                .iter()
                .position(|known| known == level);
            let level = u16::try_from(level.expect("constraints were checked"));
            (
                factor,
                level.expect("no file holds 65,536 levels of a factor"),
            )
        };
        let forbidden = spec
            .constraints
            .iter()
            .map(|constraint| {
                let pairs = constraint.forbid.value.iter();
                pairs
                    .map(|(factor, level)| index(factor, &level.value))
                    .collect()
            })
            .collect();
        Ok(Self {
            digest: Digest::of(text.as_bytes()),
            file: spec,
            factors,
            forbidden,
        })
    }

    /// Returns the shipped spec of this name.
    pub fn library(name: &str) -> Option<Self> {
        let (_, text) = LIBRARY.iter().find(|(known, _)| *known == name)?;
        let file = format!("{name}.yaml");
        Some(Self::parse(text, &file).expect("the tests read every shipped spec"))
    }

    /// Returns the names of the shipped specs, in order.
    pub fn library_names() -> Vec<&'static str> {
        LIBRARY.iter().map(|(name, _)| *name).collect()
    }

    /// Returns the text of the shipped spec of this name, for people who want to edit one.
    pub fn library_text(name: &str) -> Option<&'static str> {
        LIBRARY
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text)
    }

    /// Returns the spec's name.
    pub fn name(&self) -> &str {
        &self.file.name.value
    }

    /// Returns name, version and content digest.
    pub fn spec_ref(&self) -> SpecRef {
        SpecRef {
            name: self.file.name.value.clone(),
            version: self.file.version,
            digest: self.digest.clone(),
        }
    }

    /// Returns the levels of a factor in the spec's order, if there is such a factor.
    pub fn levels(&self, factor: &str) -> Option<&[String]> {
        let found = self.factors.iter().find(|known| known.name == factor)?;
        Some(&found.levels)
    }

    /// Returns how many combinations of levels the constraints allow.
    pub fn n_combinations(&self) -> u64 {
        // Only factors that constraints name need enumerating; the others multiply.
        let mut named: Vec<usize> = self.forbidden.iter().flatten().map(|&(f, _)| f).collect();
        named.sort_unstable();
        named.dedup();
        let sizes: Vec<u64> = self.factors.iter().map(|f| f.levels.len() as u64).collect();
        let n_free: u64 = (0..sizes.len())
            .filter(|f| !named.contains(f))
            .fold(1, |product, f| product.saturating_mul(sizes[f]));
        let n_named = named
            .iter()
            .fold(1_u64, |product, &f| product.saturating_mul(sizes[f]));
        let mut combination = vec![0; sizes.len()];
        let mut n_allowed = 0_u64;
        for code in 0..n_named {
            let mut rest = code;
            for &factor in &named {
                combination[factor] = u16::try_from(rest % sizes[factor]).unwrap_or(u16::MAX);
                rest /= sizes[factor];
            }
            n_allowed += u64::from(self.allows(&combination));
        }
        n_allowed.saturating_mul(n_free)
    }

    pub(crate) fn version(&self) -> u32 {
        self.file.version
    }

    pub(crate) fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// Tells whether no constraint forbids `combination`.
    pub(crate) fn allows(&self, combination: &[u16]) -> bool {
        let meets = |forbidden: &Vec<(usize, u16)>| {
            forbidden
                .iter()
                .all(|&(factor, level)| combination[factor] == level)
        };
        !self.forbidden.iter().any(meets)
    }

    /// Returns the background sentence of the `index`th person of `split`.
    ///
    /// Of all pairs (i, j) of `since` and `after`, those with i + j divisible by 5 are kept for
    /// evaluation, so that no training person ever says one of them. The pairs of a split are dealt
    /// in random order, round after round: a pool repeats no sentence before all were used.
    fn background(&self, split: Split, index: u32) -> String {
        let background = &self.file.background;
        let (since, after) = (&background.since.value, &background.after.value);
        let mut pairs: Vec<(usize, usize)> = (0..since.len())
            .flat_map(|i| (0..after.len()).map(move |j| (i, j)))
            .filter(|(i, j)| ((i + j) % 5 == 0) == (split == Split::Evaluation))
            .collect();
        let version = self.version().to_le_bytes();
        Rng::new(&[b"background", self.name().as_bytes(), &version]).shuffle(&mut pairs);
        let (i, j) = pairs[index as usize % pairs.len()];
        let text = background.text.value.replace("{since}", &since[i]);
        text.replace("{after}", &after[j])
    }

    /// Returns the `index`th person of `split`, who has `seed` and takes these levels.
    pub(crate) fn persona(
        &self,
        seed: u32,
        split: Split,
        index: u32,
        combination: &[u16],
    ) -> Persona {
        let level = |factor: usize| usize::from(combination[factor]);
        let file = &self.file;
        let situation = &file.situation.value[level(0)];
        let goal = &file.goal.value[level(1)];
        let disclosure = &file.disclosure.value[level(2)];
        let cooperation = &file.cooperation.value[level(3)];
        let emotion = &file.emotion.value[level(4)];
        let style = &file.style.value[level(5)];
        let knowledge = &file.knowledge.value[level(6)];
        let patience = &file.patience.value[level(7)];
        let risk = &file.risk.value[level(8)];

        let spec_label = [self.name().as_bytes(), &self.version().to_le_bytes()];
        let mut own = Rng::new(&[
            b"persona",
            spec_label[0],
            spec_label[1],
            &seed.to_le_bytes(),
        ]);
        let mut openings = situation.openings.value.clone();
        let n_openings = openings.len();
        openings.rotate_left(own.below(n_openings));

        let id = format!("{}-{seed}", self.name());
        Persona {
            id: PersonaId::new(id).expect("spec names are checked to leave room for a seed"),
            seed,
            levels: (self.factors.iter().zip(combination))
                .map(|(f, &l)| (f.name.to_owned(), f.levels[usize::from(l)].clone()))
                .collect(),
            setting: file.setting.clone(),
            partner: file.partner.clone(),
            situation: Situation {
                summary: situation.summary.clone(),
                topic: situation.topic.clone(),
                openings,
                facts: situation.facts.value.clone(),
            },
            background: self.background(split, index),
            goal: Goal {
                text: goal.text.clone(),
                success: goal.success.clone(),
                give_up: goal.give_up.clone(),
                needs: goal.needs.value.clone(),
                asks: goal.asks.value.clone(),
                closings: goal.closings.value.clone(),
            },
            disclosure: Disclosure {
                text: disclosure.text.clone(),
                policy: disclosure.policy,
            },
            cooperation: Cooperation {
                text: cooperation.text.clone(),
                manner: cooperation.manner,
                lines: cooperation.lines.value.clone(),
            },
            emotion: Emotion {
                start: emotion.start.clone(),
                raised_by: emotion.raised_by.clone(),
                lowered_by: emotion.lowered_by.clone(),
                end: emotion.end.clone(),
                lines: emotion.lines.value.clone(),
            },
            style: Style {
                text: style.text.clone(),
                length: style.length,
                register: style.register,
                typos: style.typos,
            },
            knowledge: Knowledge {
                text: knowledge.text.clone(),
                lines: knowledge.lines.value.clone(),
            },
            patience: patience.turns.value,
            risk: match (&risk.text, &risk.probes, &risk.at_turn) {
                (Some(text), Some(probes), Some(at_turn)) => Some(Risk {
                    marker: risk.id.value.clone(),
                    text: text.clone(),
                    probes: probes.value.clone(),
                    at_turn: at_turn.value,
                }),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::PersonaSpec;

    #[test]
    fn every_shipped_spec_is_read_and_large() {
        for name in PersonaSpec::library_names() {
            let spec = PersonaSpec::library(name).unwrap();
            assert_eq!(spec.name(), name);
            assert!(
                spec.n_combinations() > 100_000,
                "{name}: {}",
                spec.n_combinations()
            );
        }
        assert!(PersonaSpec::library("unknown").is_none());
    }

    #[test_case("turns: 5}", "turns: 5, age: 7}", "patience[0].age", "unknown field `age`"; "unknown key")]
    #[test_case("{id: medium, weight: 2,", "{id: medium, weight: 0,", "patience[1].weight", "weight 0 is not in 1 to 1000"; "weight 0")]
    #[test_case("{id: medium, weight: 2,", "{id: medium, weight: -2,", "patience[1].weight", "weight -2 is not in 1 to 1000"; "weight below 0")]
    #[test_case("{id: long, turns: 9}", "{id: short, turns: 9}", "patience[2].id", "level `short` is empty or there twice"; "level twice")]
    #[test_case("{id: bedtime,", "{id: screen,", "situation[0].facts[1].id", "fact `screen` is there twice"; "fact twice")]
    #[test_case("{risk: crisis_hint, emotion", "{risky: crisis_hint, emotion", "constraints[0].forbid.risky", "unknown factor `risky`"; "unknown factor")]
    #[test_case("emotion: cheerful}", "emotion: chearful}", "constraints[0].forbid.emotion", "unknown level `chearful`"; "unknown level")]
    #[test_case("{since}, ", "", "background.text", "`{since}` must stand in it once"; "slot")]
    fn mistakes_name_line_column_and_field(good: &str, bad: &str, field: &str, message: &str) {
        let text = PersonaSpec::library_text("coaching").unwrap();
        let at = text.find(good).expect("the sample is in the file");
        let line = text[..at].lines().count() as u64;
        let error = PersonaSpec::parse(&text.replacen(good, bad, 1), "c.yaml").unwrap_err();
        assert_eq!(
            (error.file.as_str(), error.field.as_str()),
            ("c.yaml", field),
            "{error}"
        );
        assert!(error.message.starts_with(message), "{error}");
        assert!(
            error.line.abs_diff(line) <= 2 && error.column > 1,
            "{error}, not line {line}"
        );
    }

    #[test]
    fn an_empty_factor_is_refused() {
        let text = PersonaSpec::library_text("coaching").unwrap();
        let (start, end) = (text.find("patience:").unwrap(), text.find("risk:").unwrap());
        let text = format!("{}patience: []\n\n{}", &text[..start], &text[end..]);
        let error = PersonaSpec::parse(&text, "c.yaml").unwrap_err();
        assert_eq!(
            (error.field.as_str(), error.column),
            ("patience", 11),
            "{error}"
        );
    }
}
