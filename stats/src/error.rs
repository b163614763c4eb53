use thiserror::Error;

/// Says why numbers have no answer; no function of this crate returns NaN instead.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum StatsError {
    /// There are fewer values than the method can work with.
    #[error("{what} needs at least {needed} values, got {got}")]
    TooFew {
        /// The method or quantity asked for.
        what: &'static str,
        /// The smallest number that works.
        needed: usize,
        /// The number given.
        got: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {value} at index {index} is not finite")]
    NonFinite {
        /// Where in the input, counted from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A value is too large for its square to be summed.
    #[error("value {value} at index {index} is larger than 1e100")]
    TooLarge {
        /// Where in the input, counted from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// All values are equal, or differ by no more than rounding does.
    #[error("all {n} values equal {value}, so their spread cannot be estimated")]
    NoVariation {
        /// How many values there are.
        n: usize,
        /// The value they share.
        value: f64,
    },
    /// Two slices that belong together differ in length.
    #[error("expected as many values as the {expected} of {first}, got {got} of {second}")]
    LengthMismatch {
        /// What the first slice holds.
        first: &'static str,
        /// What the second slice holds.
        second: &'static str,
        /// Length of the first slice.
        expected: usize,
        /// Length of the second slice.
        got: usize,
    },
    /// A parameter is outside its range.
    #[error("{parameter} is {value}, expected {expected}")]
    OutOfRange {
        /// The parameter.
        parameter: &'static str,
        /// The value given.
        value: f64,
        /// The values that are allowed, in words.
        expected: &'static str,
    },
    /// The quantity does not exist for these values.
    #[error("{what} is not defined: {reason}")]
    Undefined {
        /// The quantity.
        what: &'static str,
        /// Why not.
        reason: &'static str,
    },
}

/// Checks that a probability lies strictly between 0 and 1.
pub(crate) fn check_open_unit(parameter: &'static str, value: f64) -> Result<(), StatsError> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(StatsError::OutOfRange {
            parameter,
            value,
            expected: "more than 0 and less than 1",
        })
    }
}

/// Checks that a number is finite and more than 0.
pub(crate) fn check_positive(parameter: &'static str, value: f64) -> Result<(), StatsError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(StatsError::OutOfRange {
            parameter,
            value,
            expected: "a finite number above 0",
        })
    }
}

/// Checks that there are at least `needed` values.
pub(crate) fn check_count(what: &'static str, needed: usize, got: usize) -> Result<(), StatsError> {
    if got < needed {
        Err(StatsError::TooFew { what, needed, got })
    } else {
        Ok(())
    }
}

/// Checks that two slices are equally long.
pub(crate) fn check_lengths(
    (first, expected): (&'static str, usize),
    (second, got): (&'static str, usize),
) -> Result<(), StatsError> {
    if expected == got {
        Ok(())
    } else {
        Err(StatsError::LengthMismatch {
            first,
            second,
            expected,
            got,
        })
    }
}
