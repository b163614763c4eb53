use std::collections::BTreeMap;

use serde::Serialize;
use shipworthy_personas::PersonaPool;
use shipworthy_schema::{
    Digest, JudgePlan, ModelRef, PersonaPlan, Plan, RubricRef, Sampling, SimulatorPlan,
};

use super::filter::Rejection;
use super::preparation::Generation;
use super::selection::Selection;

/// Version of the format.
const FORMAT: u32 = 1;

/// Where generated training data is from, and what was left out.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    format: u32,
    project: &'a str,
    plan: Digest,
    teacher: &'a ModelRef,
    teacher_system_prompt: Option<&'a str>,
    system_prompt: Option<&'a str>,
    sampling: &'a Sampling,
    personas: &'a PersonaPlan,
    simulator: &'a SimulatorPlan,
    judges: &'a [JudgePlan],
    rubric: &'a RubricRef,
    min_score: f64,
    wanted: Option<usize>,
    conversations: usize,
    kept: usize,
    rejected: &'a BTreeMap<Rejection, usize>,
    held_out: Vec<HeldOutPeople<'a>>,
    files: Vec<ManifestFile<'a>>,
}

/// A pool of people who were looked for in the rows; none is in one.
#[derive(Serialize)]
struct HeldOutPeople<'a> {
    spec: &'a str,
    seed_start: u32,
    count: u32,
    pool: Digest,
    found: u32,
}

/// A file of rows.
#[derive(Serialize)]
pub(super) struct ManifestFile<'a> {
    pub(super) file: String,
    pub(super) rows: usize,
    pub(super) personas: usize,
    pub(super) digest: &'a Digest,
}

impl<'a> Manifest<'a> {
    pub(super) fn of(
        plan: &'a Plan,
        generation: &'a Generation,
        selection: &'a Selection,
        files: Vec<ManifestFile<'a>>,
    ) -> Self {
        let held_out = |pool: &'a PersonaPool| HeldOutPeople {
            spec: &pool.spec().name,
            seed_start: pool.seed_start(),
            count: pool.count(),
            pool: pool.digest(),
            found: 0,
        };
        Self {
            format: FORMAT,
            project: &plan.project,
            plan: plan.digest(),
            teacher: &plan.models[0],
            teacher_system_prompt: plan.system_prompt.as_deref(),
            system_prompt: generation.system_prompt.as_deref(),
            sampling: &plan.sampling,
            personas: &plan.personas,
            simulator: &plan.simulator,
            judges: &plan.judges,
            rubric: &plan.rubric,
            min_score: generation.filter.min_score,
            wanted: generation.wanted,
            conversations: selection.conversations,
            kept: selection.kept(),
            rejected: &selection.rejected,
            held_out: generation.held_out.pools.iter().map(held_out).collect(),
            files,
        }
    }
}
