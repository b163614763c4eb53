//! Estimates, tests and intervals over slices of numbers.
