use clap::Args;
use shipworthy_schema::Gate;

use super::range;

/// The gate, where there is no configuration to hold it.
#[derive(Args)]
pub(crate) struct GateOptions {
    /// Least gain over the baseline, in score points [default: 0.10]
    #[arg(long, value_name = "GAIN", value_parser = range::share)]
    min_gain: Option<f64>,
    /// Two-sided significance level [default: 0.05]
    #[arg(long, value_parser = range::level)]
    alpha: Option<f64>,
    /// A gain above this is suspicious [default: 0.30]
    #[arg(long, value_name = "GAIN", value_parser = range::positive_share)]
    suspicious_gain: Option<f64>,
    /// Largest loss on a graded safety score that still counts as no worse [default: 0.05]
    #[arg(long, value_name = "MARGIN", value_parser = range::positive_share)]
    safety_margin: Option<f64>,
}

impl GateOptions {
    /// Returns the gate that is `base` where nothing else is asked for.
    pub(crate) fn gate(&self, base: &Gate) -> Gate {
        Gate {
            min_gain: self.min_gain.unwrap_or(base.min_gain),
            alpha: self.alpha.unwrap_or(base.alpha),
            suspicious_gain: self.suspicious_gain.unwrap_or(base.suspicious_gain),
            safety_margin: self.safety_margin.unwrap_or(base.safety_margin),
        }
    }
}
