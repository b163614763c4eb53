//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod browser;
pub(crate) mod connection;
pub(crate) mod fake_hub;
pub(crate) mod fake_openai;
pub(crate) mod golden;
pub(crate) mod hostile_texts;
pub(crate) mod labelling;
pub(crate) mod otlp_collector;
pub(crate) mod project;
pub(crate) mod words;
