//! A model's tensors, the adapter's changes applied: planned and checked first, then read row by row.

mod low_rank;
mod plan;
mod rows;

use crate::number_format::NumberFormat;

pub(crate) use plan::{Plan, Planned, PlannedFile};
pub(crate) use rows::Rows;

/// The number format of a model's weights once an adapter is merged into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Every tensor's own, as in the base.
    Base,
    /// bfloat16, rounded to the nearest, ties to even.
    Bf16,
    /// 32 bits; nothing is rounded.
    F32,
}

impl OutputFormat {
    /// Returns what a tensor of `format` is written as.
    pub(crate) fn of(self, format: NumberFormat) -> NumberFormat {
        match self {
            Self::Base => format,
            Self::Bf16 => NumberFormat::Bf16,
            Self::F32 => NumberFormat::F32,
        }
    }

    /// Returns what `config.json` calls it, if it is another than the base's.
    pub(crate) fn config_name(self) -> Option<&'static str> {
        match self {
            Self::Base => None,
            Self::Bf16 => Some("bfloat16"),
            Self::F32 => Some("float32"),
        }
    }
}
