//! What the tests of the workspace share, as far as it serves here.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

#[path = "../../../tests/support/connection.rs"]
pub(crate) mod connection;
#[path = "../../../tests/support/fake_hub/mod.rs"]
pub(crate) mod fake_hub;
#[path = "../../../tests/support/fake_openai/mod.rs"]
pub(crate) mod fake_openai;
