use std::sync::Arc;

use shipworthy_schema::{Cost, Persona, Plan};

use super::preparation::Generation;
use super::selection::Selection;
use crate::asking::{Asking, Listener};
use crate::engine::Engine;
use crate::evaluation::{Done, EvaluationError, Start, evaluate, speak};
use crate::halt::Halt;
use crate::preparation::Prepared;
use crate::store::Store;

/// Training data that a teacher made.
#[derive(Debug)]
pub struct Generated {
    /// The run.
    pub run: String,
    /// Its plan.
    pub plan: Plan,
    /// What made training data of it.
    pub generation: Generation,
    /// The training data.
    pub selection: Selection,
    /// What the calls took.
    pub cost: Cost,
}

/// Lets training people talk with the teacher that [`prepare`](super::prepare) prepared, and keeps what
/// is good enough.
///
/// It is stopped, stored and resumed like [`evaluate`], which carries it out.
///
/// # Panics
///
/// If what was prepared is an evaluation.
pub async fn generate(
    prepared: Prepared,
    store: Arc<Store>,
    start: Start,
    halt: Halt,
    listener: Listener,
) -> Result<Generated, EvaluationError> {
    assert!(prepared.generation.is_some(), "a generation was prepared");
    match evaluate(prepared, store, start, halt, listener).await? {
        Done::Generated(generated) => Ok(*generated),
        _ => unreachable!("a generation ends in no other way"),
    }
}

/// Fewer people at once would leave a server idle.
const LEAST_MORE_PEOPLE: usize = 8;

/// Lets people talk with the teacher until there are as many good conversations as are wanted, or
/// everybody has talked.
///
/// As many more people talk as conversations are missing, so that none is paid for in vain; which
/// those are follows from what was said before.
pub(crate) async fn hold_and_select(
    engine: &Engine<'_>,
    asking: &Asking,
    plan: &Plan,
    personas: &[Persona],
    generation: &Generation,
) -> Result<Selection, EvaluationError> {
    let (store, run) = (asking.store(), asking.run());
    let repeats = plan.personas.repeats.max(1) as usize;
    let mut spoken = Vec::new();
    let mut missing = generation.wanted;
    let mut next: usize = 0;
    loop {
        let more = missing.map_or(personas.len(), |missing| {
            missing.div_ceil(repeats).max(LEAST_MORE_PEOPLE)
        });
        let people = &personas[next..personas.len().min(next.saturating_add(more))];
        next += people.len();
        let (conversations, scores, _) = speak(engine, store, run, people).await?;
        spoken.extend(conversations.into_iter().zip(scores));
        let passed = generation.filter(plan, personas, &spoken);
        let is_last = next == personas.len();
        missing = generation
            .wanted
            .map(|wanted| wanted.saturating_sub(passed.len()));
        if is_last || missing == Some(0) {
            let selection = generation.select(passed)?;
            if is_last || selection.is_enough() {
                let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
                let (kept, held) = (count(selection.kept()), count(selection.conversations));
                store.finish_generation(run, kept, held).await?;
                return Ok(selection);
            }
        }
    }
}
