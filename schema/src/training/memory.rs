use serde::{Deserialize, Serialize};

/// A predicted share of the peak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPart {
    /// What takes it, e.g. `base weights`.
    pub part: String,
    /// How much.
    pub bytes: u64,
}

/// Memory of the device at its peak, as predicted and as measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// The device, e.g. `cpu` or `NVIDIA H200`.
    pub device: String,
    /// What it has; `None` where it does not tell.
    pub capacity_bytes: Option<u64>,
    /// By part, in the order of the prediction.
    pub parts: Vec<MemoryUse>,
    /// The parts that exist at the same time, added up.
    pub predicted_peak_bytes: u64,
    /// `None` where it cannot be measured.
    pub measured_peak_bytes: Option<u64>,
}

/// What one part takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// What takes it.
    pub part: String,
    /// How much was predicted; `None`: only measured.
    pub predicted_bytes: Option<u64>,
    /// How much it was; `None` where parts cannot be told apart.
    pub measured_bytes: Option<u64>,
}
