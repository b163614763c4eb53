//! Pictures as inline SVG, each with words for those who do not see it and its numbers in a table.
//!
//! Models are told apart by form as well as by colour: the baseline is a hollow circle, a candidate a
//! filled diamond. Colours are the style sheet's, so that they follow a light or a dark page.

pub(super) mod agreement;
mod canvas;
pub(super) mod distributions;
pub(super) mod figure;
pub(super) mod forest;
pub(super) mod lengths;
pub(super) mod power;
pub(super) mod safety_bounds;
pub(super) mod slopes;
