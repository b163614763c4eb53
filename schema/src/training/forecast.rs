use serde::{Deserialize, Serialize};

/// Where a model is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForecastDevice {
    /// On the processor.
    Cpu,
    /// On a CUDA card.
    Cuda,
}

/// The memory that training a configuration will take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryForecast {
    /// Where it is trained.
    pub device: ForecastDevice,
    /// What takes memory; parts of different `phase` are not all there together.
    pub parts: Vec<ForecastPart>,
    /// The most that is taken of the device's memory at a time, mapped files included.
    pub peak_bytes: u64,
    /// The most that is taken of the host's memory at a time; of a processor the same.
    pub host_peak_bytes: u64,
    /// Of `host_peak_bytes`, pages of files, which the system takes back where memory is short.
    pub mapped_bytes: u64,
    /// Settings that take less of the device's memory, each by itself, largest saving first.
    pub knobs: Vec<ForecastKnob>,
}

/// A part of the memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastPart {
    /// What takes it.
    pub part: String,
    /// How much.
    pub bytes: u64,
    /// Whether it is the host's memory though another device computes.
    pub is_on_host: bool,
    /// Whether it is pages of a file.
    pub is_mapped: bool,
    /// When it is there: `throughout`, `pass`, `loss`, `layer` or `update`.
    pub phase: String,
}

/// A setting that takes less memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastKnob {
    /// The configuration's key.
    pub key: String,
    /// What to set it to.
    pub value: String,
    /// What that saves at the peak.
    pub saved_bytes: u64,
}
