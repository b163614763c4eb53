//! What counts as good: criteria, deterministic checks, judge questions and scores.
