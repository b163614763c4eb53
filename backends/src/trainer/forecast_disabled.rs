//! What stands in for the prediction of memory where this build does not train itself.

use shipworthy_schema::finetune::FinetuneConfig;
use shipworthy_schema::{ForecastDevice, MemoryForecast};

use super::{ForecastBatch, ForecastModel, TrainError};

/// Says how to build with it.
pub fn forecast_memory(
    _: &FinetuneConfig,
    _: &ForecastModel<'_>,
    _: &ForecastBatch,
    _: ForecastDevice,
) -> Result<MemoryForecast, TrainError> {
    Err(not_built())
}

/// Says how to build with it.
pub fn forecast_values(
    _: &FinetuneConfig,
    _: &ForecastModel<'_>,
) -> Result<(u64, u64), TrainError> {
    Err(not_built())
}

fn not_built() -> TrainError {
    TrainError::NotBuilt {
        what: "tell what training takes",
        feature: "native",
    }
}
