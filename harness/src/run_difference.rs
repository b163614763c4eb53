//! One run held beside another: what explains a difference first, then the numbers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shipworthy_schema::{
    Aspect, AspectDifference, ComparedRun, ConversationScore, Decision, FieldDifference,
    ModelDifference, ModelName, Persona, PersonaId, RunDifference, Verdict, yaml,
};

use crate::comparison::{ComparisonError, Evidence, Side, gain, pass_rate, score_differences};
use crate::evaluation::{EvaluationError, recall};
use crate::plan_difference::differences;
use crate::preflight::Preflight;
use crate::preparation::personas_of_run;
use crate::regression::Conditions;
use crate::store::{Run, RunState, Store};

/// Holds `other` beside `run`; both have a verdict.
///
/// Scores are subtracted only where everything but the models and the rule is the same.
pub fn run_difference(
    store: &Store,
    run: &Run,
    other: &Run,
) -> Result<RunDifference, EvaluationError> {
    let records = [Record::of(store, run)?, Record::of(store, other)?];
    let [old, new] = &records;
    let conditions = differences(
        &Conditions::of(&run.plan, &old.found),
        &Conditions::of(&other.plan, &new.found),
    );
    let mut incomparable: Vec<Aspect> = conditions
        .iter()
        .map(|difference| Aspect::of_field(&difference.field))
        .collect();
    incomparable.sort_unstable();
    incomparable.dedup();
    let mut fields = differences(&run.plan, &other.plan);
    let sent = |difference: &FieldDifference| difference.field.starts_with("sent_otherwise");
    fields.extend(conditions.into_iter().filter(sent));
    fields.extend(people(&old.personas, &new.personas));
    fields.extend(rubric(run, other));
    fields.extend(behaviours(&old.found, &new.found));
    let models = matched(&records)
        .into_iter()
        .map(|names| model(&records, names, incomparable.is_empty()))
        .collect::<Result<_, _>>()?;
    Ok(RunDifference {
        runs: records.each_ref().map(Record::summary),
        differences: by_aspect(&fields),
        incomparable,
        models,
    })
}

/// What a run follows from and came to.
struct Record<'a> {
    run: &'a Run,
    found: Preflight,
    personas: Vec<Persona>,
    scores: Vec<ConversationScore>,
    models: Vec<ModelName>,
    /// None where candidates alone were evaluated.
    decisions: Vec<Decision>,
    verdict: Verdict,
}

impl<'a> Record<'a> {
    fn of(store: &Store, run: &'a Run) -> Result<Self, EvaluationError> {
        let RunState::Finished { verdict, .. } = &run.state else {
            let run = run.id.clone();
            return Err(EvaluationError::Incomplete { run });
        };
        let (scores, decisions) = if run.plan.has_baseline() {
            let evaluation = recall(store, run)?;
            (evaluation.scores, evaluation.decisions)
        } else {
            (store.scores(&run.id)?, Vec::new())
        };
        Ok(Self {
            run,
            found: store.preflight(&run.id)?.unwrap_or_default(),
            personas: personas_of_run(run)?,
            scores,
            models: run.plan.models.iter().map(|m| m.name.clone()).collect(),
            decisions,
            verdict: *verdict,
        })
    }

    fn summary(&self) -> ComparedRun {
        ComparedRun {
            run: self.run.id.clone(),
            plan: self.run.plan_digest.clone(),
            created_at: self.run.created_at.clone(),
            verdict: self.verdict,
        }
    }

    fn side<'b>(&'b self, model: &'b ModelName) -> Side<'b> {
        let plan = &self.run.plan;
        Side {
            evidence: Evidence {
                baseline: &plan.baseline,
                models: &self.models,
                planned: plan.personas.count.saturating_mul(plan.personas.repeats),
                conversations: &[],
                scores: &self.scores,
            },
            model,
        }
    }

    fn invalid(&self, source: ComparisonError) -> EvaluationError {
        EvaluationError::Invalid {
            run: self.run.id.clone(),
            source: source.into(),
        }
    }
}

/// Pairs the models: by name, then the baselines, then candidates where one is left on each side.
fn matched(records: &[Record<'_>; 2]) -> Vec<[Option<ModelName>; 2]> {
    let [old, new] = records;
    let is_new = |name: &ModelName| new.models.contains(name);
    let mut renamed: Vec<[&ModelName; 2]> = Vec::new();
    let alone = |record: &Record<'_>, other: &Record<'_>, is_baseline: bool| {
        let own = record.models.iter();
        let own = own.filter(|name| !other.models.contains(name));
        own.filter(|name| (**name == record.run.plan.baseline) == is_baseline)
            .cloned()
            .collect::<Vec<_>>()
    };
    let candidates = [alone(old, new, false), alone(new, old, false)];
    let baselines = [alone(old, new, true), alone(new, old, true)];
    for [old, new] in [&baselines, &candidates] {
        if let ([old], [new]) = (&old[..], &new[..]) {
            renamed.push([old, new]);
        }
    }
    let partner = |name: &ModelName| {
        let found = renamed.iter().find(|[old, _]| *old == name);
        found.map(|[_, new]| (*new).clone())
    };
    let mut pairs: Vec<[Option<ModelName>; 2]> = old
        .models
        .iter()
        .map(|name| {
            let new = is_new(name).then(|| name.clone()).or_else(|| partner(name));
            [Some(name.clone()), new]
        })
        .collect();
    let is_taken = |name: &&ModelName| pairs.iter().any(|[_, new]| new.as_ref() == Some(*name));
    let rest: Vec<_> = new.models.iter().filter(|name| !is_taken(name)).collect();
    pairs.extend(rest.into_iter().map(|name| [None, Some(name.clone())]));
    // Baselines first, as everywhere.
    let is_baseline = |[old_name, new_name]: &[Option<ModelName>; 2]| {
        old_name.as_ref() == Some(&old.run.plan.baseline)
            || new_name.as_ref() == Some(&new.run.plan.baseline)
    };
    pairs.sort_by_key(|names| !is_baseline(names));
    pairs
}

fn model(
    records: &[Record<'_>; 2],
    names: [Option<ModelName>; 2],
    comparable: bool,
) -> Result<ModelDifference, EvaluationError> {
    let sides = [0, 1].map(|i| names[i].as_ref().map(|name| records[i].side(name)));
    let verdict = |i: usize| {
        let name = names[i].as_ref()?;
        let found = records[i].decisions.iter().find(|d| d.model == *name);
        found.map(|decision| decision.verdict)
    };
    let of_side = |i: usize, source| records[i].invalid(source);
    let pass_rate_of = |i: usize| {
        let rate = sides[i].as_ref().map(pass_rate).transpose();
        rate.map(Option::flatten)
            .map_err(|source| of_side(i, source))
    };
    let gain_of = |i: usize| {
        let gain = sides[i].as_ref().map(gain).transpose();
        gain.map(Option::flatten)
            .map_err(|source| of_side(i, source))
    };
    let pass_rates = [pass_rate_of(0)?, pass_rate_of(1)?];
    let gains = [gain_of(0)?, gain_of(1)?];
    let scores = score_differences(sides, comparable).map_err(|source| of_side(1, source))?;
    Ok(ModelDifference {
        verdicts: [verdict(0), verdict(1)],
        pass_rates,
        gains,
        scores,
        names,
    })
}

/// Sorts fields by what they bear on.
fn by_aspect(fields: &[FieldDifference]) -> Vec<AspectDifference> {
    let of = |aspect: Aspect| {
        let own = fields.iter();
        let own = own.filter(|difference| Aspect::of_field(&difference.field) == aspect);
        AspectDifference {
            aspect,
            fields: own.cloned().collect(),
        }
    };
    let all = Aspect::ALL.into_iter().map(of);
    all.filter(|difference| !difference.fields.is_empty())
        .collect()
}

/// Returns who is in one run only, then how people of both differ.
fn people(old: &[Persona], new: &[Persona]) -> Vec<FieldDifference> {
    let ids = |people: &[Persona]| people.iter().map(|p| p.id.clone()).collect::<BTreeSet<_>>();
    let (old_ids, new_ids) = (ids(old), ids(new));
    let only = |own: &BTreeSet<PersonaId>, other: &BTreeSet<PersonaId>| {
        let only: Vec<&PersonaId> = own.difference(other).collect();
        if only.is_empty() {
            Value::Null
        } else {
            json!(only)
        }
    };
    let (left, joined) = (only(&old_ids, &new_ids), only(&new_ids, &old_ids));
    let mut fields = Vec::new();
    if left != joined {
        fields.push(FieldDifference {
            field: "people".to_owned(),
            old: left,
            new: joined,
        });
    }
    let in_both = |people: &[Persona]| {
        let both = people.iter();
        let both = both.filter(|p| old_ids.contains(&p.id) && new_ids.contains(&p.id));
        json!({ "people": both.collect::<Vec<_>>() })
    };
    fields.extend(differences(&in_both(old), &in_both(new)));
    fields
}

/// Returns where the texts of the rubrics differ, criterion by criterion.
fn rubric(old: &Run, new: &Run) -> Vec<FieldDifference> {
    // What no longer reads is still told apart by its digest, in the plan.
    let content = |run: &Run| {
        let content = yaml::read::<Value>(&run.rubric, "the run's rubric").ok()?;
        Some(json!({ "rubric": content }))
    };
    match (content(old), content(new)) {
        (Some(old), Some(new)) => differences(&old, &new),
        _ => Vec::new(),
    }
}

/// Returns which models behind servers go on otherwise from the same prompts.
fn behaviours(old: &Preflight, new: &Preflight) -> Vec<FieldDifference> {
    let both = old.models.iter().filter_map(|(name, old)| {
        let (old, new) = (&old.behaviour, &new.models.get(name)?.behaviour);
        (old.is_some() && new.is_some() && old != new).then(|| FieldDifference {
            field: format!("{name}.behaviour"),
            old: json!(old),
            new: json!(new),
        })
    });
    both.collect()
}
