use clap::Args;
use shipworthy_harness::effort::{Assumed, Effort, RoleRate, measured};
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::operating_characteristics::{EFFECTS, Simulation};
use shipworthy_harness::pilot::Pilot;
use shipworthy_harness::sample_size::{Aim, Needed, spread_of};
use shipworthy_harness::store::Store;
use shipworthy_schema::{Evaluation, Gate, ModelName, SimulatorPlan};
use shipworthy_stats::{Spread, StatsError};

use super::{operating_characteristics, sample_size};
use crate::cli::error::{Failure, Kind};
use crate::cli::gate_options::GateOptions;
use crate::cli::printer::Printer;
use crate::cli::project::{ConfigPath, find_run};
use crate::cli::{Outcome, exit_code, range};

/// Standard deviation of persona differences with which 15 personas of 3 conversations just find a
/// gain of 0.10 four times in five; what is assumed if nothing is known.
const ASSUMED_SD: f64 = 0.13;
const ASSUMED_ICC: f64 = 0.5;

/// Personas and repeats that an evaluation needs, and what they cost
///
/// The spread of the scores comes from a pilot run (--run) or is assumed: --sd with --icc, or
/// --sd-personas with --sd-conversations. What is left out is the pilot's, where there is one.
#[derive(Args)]
pub(crate) struct PlanEvaluation {
    /// A finished run to take the spread, the turns, the tokens and the seconds from
    #[arg(long)]
    run: Option<String>,
    /// The run's candidate whose spread is taken [default: the recommended one]
    #[arg(long, value_name = "MODEL", requires = "run")]
    candidate: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// Standard deviation of persona differences, candidate minus baseline [default: 0.13]
    #[arg(long, value_parser = range::positive, conflicts_with = "run")]
    sd: Option<f64>,
    /// Share of the personas in the variance of one conversation's difference [default: 0.5]
    #[arg(long, value_parser = range::share, conflicts_with = "run")]
    icc: Option<f64>,
    /// Standard deviation of differences between personas
    #[arg(long, value_name = "SD", value_parser = range::at_least_zero, requires = "sd_conversations", conflicts_with_all = ["run", "sd", "icc"])]
    sd_personas: Option<f64>,
    /// Standard deviation of differences between conversations of one persona
    #[arg(long, value_name = "SD", value_parser = range::at_least_zero, requires = "sd_personas", conflicts_with_all = ["run", "sd", "icc"])]
    sd_conversations: Option<f64>,
    /// True gain that shall ship
    #[arg(long, default_value_t = 0.15, value_parser = range::positive_share)]
    gain: f64,
    /// Chance of shipping it
    #[arg(long, default_value_t = 0.8, value_parser = range::level)]
    power: f64,
    #[command(flatten)]
    gate: GateOptions,
    /// Conversations of each persona with each model [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: Option<u32>,
    /// Conversations with each model that can be paid [default: as many as are needed]
    #[arg(long, value_name = "CONVERSATIONS", value_parser = range::positive)]
    budget: Option<f64>,
    /// What one more persona costs, in conversations; personas of a spec cost nothing
    #[arg(long, value_name = "CONVERSATIONS", default_value_t = 0.0, value_parser = range::at_least_zero)]
    persona_cost: f64,
    #[command(flatten)]
    cost: CostOptions,
    #[command(flatten)]
    simulation: SimulationOptions,
}

#[derive(Args)]
struct CostOptions {
    /// Models, the baseline among them [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1000))]
    models: Option<u32>,
    /// Turns of the person in a conversation [default: 6]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "run")]
    max_turns: Option<u32>,
    /// A language model plays the personas
    #[arg(long, conflicts_with = "run")]
    llm_simulator: bool,
    /// Judge calls for each conversation; 0: no judge
    #[arg(long, default_value_t = 0, conflicts_with = "run")]
    judge_repeats: u32,
    /// Tokens of a reply
    #[arg(long, default_value_t = 200.0, value_parser = range::positive, conflicts_with = "run")]
    tokens_per_reply: f64,
    /// Seconds a call takes
    #[arg(long, default_value_t = 5.0, value_parser = range::positive, conflicts_with = "run")]
    seconds_per_call: f64,
    /// Calls at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    parallel: u32,
}

#[derive(Args)]
struct SimulationOptions {
    /// Simulate the whole rule instead: how often each verdict falls, by true effect
    #[arg(long)]
    operating_characteristics: bool,
    /// Personas of the simulated evaluations [default: 15]
    #[arg(long, requires = "operating_characteristics", value_parser = clap::value_parser!(u32).range(3..=1000))]
    personas: Option<u32>,
    /// Simulated evaluations for each true effect
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    replicates: u32,
    /// Seed of the simulation
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// How often the number of personas is raised until the whole rule has the aim's power.
const MOST_STEPS: usize = 20;

/// What is known or assumed before planning.
struct Basis {
    spread: Spread,
    /// Where the spread comes from, in words.
    source: String,
    gate: Gate,
    models: u32,
    repeats: u32,
    /// What a conversation costs, and where that comes from.
    rates: (Vec<RoleRate>, &'static str),
    pilot_personas: Option<u32>,
}

impl PlanEvaluation {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let basis = match &self.run {
            None => self.assumed()?,
            Some(run) => self.pilot(run)?,
        };
        let simulation = Simulation {
            personas: self
                .simulation
                .personas
                .or(basis.pilot_personas)
                .unwrap_or(15),
            repeats: basis.repeats,
            spread: basis.spread,
            gate: basis.gate.clone(),
            replicates: self.simulation.replicates,
            seed: self.simulation.seed,
        };
        if self.simulation.operating_characteristics {
            if printer.progress() {
                let evaluations = EFFECTS.len() * simulation.replicates as usize;
                printer.note(&format!("simulating {evaluations} evaluations…"));
            }
            let rows = simulation.run(&EFFECTS).map_err(unplannable)?;
            let shown = operating_characteristics::Shown {
                simulation: &simulation,
                source: &basis.source,
                rows: &rows,
            };
            printer.value(&shown.value());
            printer.text(&shown.text(printer.width()));
            return Ok(exit_code::SUCCESS);
        }
        let mut aim = Aim {
            spread: basis.spread,
            gain: self.gain,
            power: self.power,
            gate: basis.gate,
            repeats: basis.repeats as usize,
            budget: self.budget,
            persona_cost: self.persona_cost,
            simulated: 0,
        };
        let mut size = aim.sample_size().map_err(unplannable)?;
        let mut found = shipped(&simulation, &size.needed, self.gain)?;
        // Each part of the rule has the aim's power; all of them together need a little more.
        for _ in 0..MOST_STEPS {
            let is_short = found.as_ref().is_some_and(|found| found.share < self.power);
            if !is_short || size.needed.for_gain.is_none() {
                break;
            }
            let personas = size.needed.personas;
            aim.simulated = personas + (personas / 10).max(1);
            size = aim.sample_size().map_err(unplannable)?;
            found = shipped(&simulation, &size.needed, self.gain)?;
        }
        let conversations = size.needed.personas as u64 * u64::from(basis.repeats);
        let (rates, rates_source) = &basis.rates;
        let effort = Effort::of(
            u64::from(basis.models) * conversations,
            rates,
            self.cost.parallel,
        );
        let shown = sample_size::Shown {
            aim: &aim,
            source: &basis.source,
            size: &size,
            models: basis.models,
            parallel: self.cost.parallel,
            effort: &effort,
            effort_source: rates_source,
            shipped: found,
        };
        printer.value(&shown.value());
        printer.text(&shown.text(printer.width()));
        Ok(exit_code::SUCCESS)
    }

    fn assumed(&self) -> Result<Basis, Failure> {
        let repeats = self.repeats.unwrap_or(3);
        let both = self.sd_personas.zip(self.sd_conversations);
        let (spread, source) = if let Some((personas, conversations)) = both {
            let spread = Spread {
                between: personas * personas,
                within: conversations * conversations,
            };
            spread.difference_sd(1).map_err(unplannable)?;
            let source = format!(
                "assumed: differences vary by {personas} between personas and by {conversations} \
                 between conversations of one persona"
            );
            (spread, source)
        } else {
            let sd = self.sd.unwrap_or(ASSUMED_SD);
            let icc = self.icc.unwrap_or(ASSUMED_ICC);
            let why = match self.sd {
                Some(_) => "",
                None => " for want of a pilot (--run) or --sd",
            };
            let source = format!(
                "assumed{why}: persona differences over {repeats} conversations vary by {sd}, ICC \
                 {icc}"
            );
            let spread = spread_of(sd, icc, repeats as usize).map_err(unplannable)?;
            (spread, source)
        };
        let assumed = Assumed {
            turns: self.cost.max_turns.unwrap_or(6),
            llm_simulator: self.cost.llm_simulator,
            judge_calls: self.cost.judge_repeats,
            tokens_per_reply: self.cost.tokens_per_reply,
            seconds_per_call: self.cost.seconds_per_call,
        };
        Ok(Basis {
            spread,
            source,
            gate: self.gate.gate(&Gate::default()),
            models: self.cost.models.unwrap_or(2),
            repeats,
            rates: (assumed.rates(), "assumed"),
            pilot_personas: None,
        })
    }

    fn pilot(&self, id: &str) -> Result<Basis, Failure> {
        let project = self.path.project()?;
        let store = Store::open_existing(&project.store())?;
        let run = find_run(&store, Some(id))?;
        let evaluation = recall(&store, &run)?;
        let candidate = candidate(&evaluation, self.candidate.as_deref())?;
        let pilot = Pilot::of(&evaluation.scores, &evaluation.comparison, candidate)
            .ok_or_else(|| unknown_candidate(candidate.as_str(), &evaluation))?
            .map_err(unplannable)?;
        let Evaluation {
            plan,
            conversations,
            ..
        } = &evaluation;
        let icc = match pilot.icc {
            Some(icc) => format!("ICC {icc:.2}"),
            None => "all of it counted as the personas', who had one conversation each".to_owned(),
        };
        let source = format!(
            "run {id}: the differences of `{}` from `{}` over {} personas × {} conversations vary by \
             {:.3}, {icc}{}",
            pilot.candidate,
            plan.baseline,
            pilot.personas,
            plan.personas.repeats,
            pilot.sd,
            match plan.simulator {
                SimulatorPlan::RuleBased { .. } => "; a language model as simulator may vary more",
                SimulatorPlan::Llm { .. } => "",
            }
        );
        Ok(Basis {
            spread: pilot.spread,
            source,
            gate: self.gate.gate(&plan.gate),
            models: self
                .cost
                .models
                .unwrap_or(u32::try_from(plan.models.len()).unwrap_or(u32::MAX)),
            repeats: self.repeats.unwrap_or(plan.personas.repeats),
            rates: (
                measured(&store.usage(&run.id)?, conversations.len()),
                "measured in the run",
            ),
            pilot_personas: Some(pilot.personas),
        })
    }
}

/// Simulates the whole rule with the personas needed; returns the chance that the gain ships.
fn shipped(
    simulation: &Simulation,
    needed: &Needed,
    gain: f64,
) -> Result<Option<sample_size::Shipped>, Failure> {
    /// Conversations of a simulated evaluation from which it takes too long to be worth it.
    const TOO_MANY: u64 = 20_000;
    let personas = u32::try_from(needed.personas).unwrap_or(u32::MAX);
    if u64::from(personas) * u64::from(simulation.repeats) > TOO_MANY {
        return Ok(None);
    }
    // Large evaluations are simulated less often; the error beside the share says how well.
    let affordable = 100_000 / (personas * simulation.repeats).max(1);
    let simulation = Simulation {
        personas,
        replicates: simulation.replicates.min(affordable.max(200)),
        ..simulation.clone()
    };
    let rows = simulation.run(&[gain]).map_err(unplannable)?;
    Ok(rows
        .first()
        .and_then(|row| row.verdicts.first())
        .map(|ship| sample_size::Shipped {
            share: ship.share,
            error: ship.error,
            replicates: simulation.replicates,
            seed: simulation.seed,
        }))
}

fn candidate<'a>(evaluation: &'a Evaluation, name: Option<&str>) -> Result<&'a ModelName, Failure> {
    let Some(name) = name else {
        return Ok(&evaluation.recommended);
    };
    let candidates = &evaluation.comparison.candidates;
    candidates
        .iter()
        .map(|candidate| &candidate.model)
        .find(|model| model.as_str() == name)
        .ok_or_else(|| unknown_candidate(name, evaluation))
}

fn unknown_candidate(name: &str, evaluation: &Evaluation) -> Failure {
    let candidates = &evaluation.comparison.candidates;
    let names: Vec<&str> = candidates.iter().map(|c| c.model.as_str()).collect();
    Failure::new(
        Kind::Usage,
        format!(
            "the run has no candidate `{name}`, it has {}",
            names.join(", ")
        ),
    )
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what an error is mapped with"
)]
fn unplannable(error: StatsError) -> Failure {
    Failure::new(Kind::Usage, format!("nothing can be planned: {error}"))
}
