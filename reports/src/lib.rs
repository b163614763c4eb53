//! Values in, words out: terminal, Markdown, JSON and CSV.
