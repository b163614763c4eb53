//! Takes training steps on random tokens and tells what they cost; `scripts/bench-training.py` compares them
//! with PEFT's.
//!
//! Reads its settings from the first argument, as JSON; prints for each step CPU seconds (all threads), wall
//! seconds and the loss before it, and at the end the most memory that was resident.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use shipworthy_datasets::TokenisedExample;
use shipworthy_models::Checkpoint;
use shipworthy_native::{
    Adaptation, Batch, Compute, Decoder, Gradients, LoraOptions, Nf4Options, Optimiser,
    OptimiserKind, Pass,
};

/// Ticks of a second in `/proc/self/stat`.
const TICKS: f64 = 100.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    checkpoint: PathBuf,
    /// Whether linear layers are NF4, doubly quantised.
    nf4: bool,
    checkpointing: bool,
    /// The tokens of the only sequence.
    tokens: Vec<u32>,
    /// How many of its last are learnt.
    labelled: usize,
    rank: usize,
    steps: usize,
    loss_chunk: usize,
}

#[derive(Serialize)]
struct Costs {
    /// Of all steps, one after another.
    cpu: Vec<f64>,
    wall: Vec<f64>,
    loss: Vec<f64>,
    /// The most that was resident, mapped files with it, in kilobytes.
    peak: u64,
    /// What was resident of it before the first step.
    loaded: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).ok_or("settings are missing")?;
    let settings: Settings = serde_json::from_str(&text)?;
    let nf4 = Nf4Options { double_quant: true };
    let compute = Compute::host(settings.nf4.then_some(nf4));
    let lora = LoraOptions::new(settings.rank, 2.0 * settings.rank as f64);
    let checkpoint = Arc::new(Checkpoint::open(&settings.checkpoint)?);
    let adaptation = Adaptation::Lora(lora);
    let mut decoder = Decoder::load(&checkpoint, &adaptation, &compute, 7, &mut |_, _| ())?;

    let length = settings.tokens.len();
    let first = length - settings.labelled.min(length - 1);
    let example = TokenisedExample {
        id: String::new(),
        tokens: settings.tokens,
        labelled: (0..length).map(|idx| idx >= first).collect(),
    };
    let batch = Batch::new([(&example, 0)]);
    let pass = Pass {
        gradient_scale: 1.0 / batch.labelled_count() as f64,
        dropout_seed: None,
        checkpointing: settings.checkpointing,
        loss_chunk: settings.loss_chunk,
    };
    let (betas, eps, weight_decay) = ((0.9, 0.999), 1e-8, 0.01);
    let kind = OptimiserKind::AdamW;
    let mut optimiser = Optimiser::new(kind, betas, eps, weight_decay, decoder.parameters());
    let mut costs = Costs {
        cpu: Vec::new(),
        wall: Vec::new(),
        loss: Vec::new(),
        peak: 0,
        loaded: resident("VmRSS:")?,
    };
    for _ in 0..settings.steps {
        let (cpu, wall) = (cpu_seconds()?, Instant::now());
        let mut gradients = Gradients::new(decoder.parameters());
        let loss = decoder.accumulate(&batch, &pass, &mut gradients)?;
        costs.loss.push(loss.nll_sum() / loss.labelled() as f64);
        optimiser.step(decoder.parameters_mut(), &gradients, 1e-4)?;
        costs.wall.push(wall.elapsed().as_secs_f64());
        costs.cpu.push(cpu_seconds()? - cpu);
    }
    costs.peak = resident("VmHWM:")?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&costs)?)?;
    Ok(())
}

/// Returns the seconds that all threads have computed.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // The name, in parentheses, may have spaces.
    let fields = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS)
}

/// Returns a number of kilobytes from `/proc/self/status`.
fn resident(field: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
