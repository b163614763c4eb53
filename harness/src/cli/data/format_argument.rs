use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use shipworthy_datasets::Format;

/// Returns what reads the name of a format from the command line.
pub(super) fn parser() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.map(|format| PossibleValue::new(format.name()));
    PossibleValuesParser::new(names).map(|name| {
        let mut all = Format::ALL.into_iter();
        all.find(|format| format.name() == name)
            .expect("no other name is let through")
    })
}
