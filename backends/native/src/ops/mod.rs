//! What a decoder is made of: every operation with its backward pass.
//!
//! On the host they are written for it; elsewhere they are made of candle's operations, and so are they
//! in tests, where both must agree.

pub(crate) mod attention;
pub(crate) mod exponential;
pub(crate) mod gated;
pub(crate) mod rms_norm;
pub(crate) mod rotation;
pub(crate) mod sum;
