//! The LLM person.
