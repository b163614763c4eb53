use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{PersonalData, find};

/// Puts stand-ins for personal data into all texts of a row; returns how many.
///
/// The same datum has the same stand-in within a row, and no other. Stand-ins are nobody's and are
/// not found again: `person1@example.com`, 555-0101, 192.0.2.1, `[card 1]`, `[IBAN 1]`.
pub fn pseudonymise(row: &mut Map<String, Value>) -> usize {
    let mut known = BTreeMap::new();
    let mut count = 0;
    for value in row.values_mut() {
        replace(value, &mut known, &mut count);
    }
    count
}

/// Stand-ins' numbers by kind and datum.
type Known = BTreeMap<PersonalData, BTreeMap<String, usize>>;

fn replace(value: &mut Value, known: &mut Known, count: &mut usize) {
    match value {
        Value::String(text) => {
            let found = find(text);
            *count += found.len();
            let stand_ins: Vec<_> = found
                .into_iter()
                .map(|(kind, place)| (stand_in(kind, &text[place.clone()], known), place))
                .collect();
            for (stand_in, place) in stand_ins.into_iter().rev() {
                text.replace_range(place, &stand_in);
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace(item, known, count)),
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|item| replace(item, known, count));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn stand_in(kind: PersonalData, datum: &str, known: &mut Known) -> String {
    // However it is written, it is the same.
    let same = datum
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | ':'));
    let same = same.collect::<String>().to_ascii_lowercase();
    let numbers = known.entry(kind).or_default();
    let next = numbers.len() + 1;
    let number = *numbers.entry(same).or_insert(next);
    match kind {
        PersonalData::Email => format!("person{number}@example.com"),
        PersonalData::Iban => format!("[IBAN {number}]"),
        PersonalData::Card => format!("[card {number}]"),
        PersonalData::IpAddress if datum.contains(':') => format!("2001:db8::{number:x}"),
        // As many as the documentation's networks have; a row has not more.
        PersonalData::IpAddress => format!("192.0.2.{}", number % 256),
        PersonalData::Phone => format!("+1 202 555 01{:02}", number % 100),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_datum_has_the_same_stand_in_and_nothing_is_found_again() {
        let mut row = json!({
            "messages": [
                {"role": "user", "content": "I am ann@acme.com, +49 30 901820, 8.8.8.8, DE89370400440532013000, 2a00:1450::1"},
                {"role": "assistant", "content": "ANN@acme.com? bob@acme.com! 4111 1111 1111 1111 and DE89 3704 0044 0532 0130 00."}
            ],
            "source": "ann@acme.com"
        });
        let fields = row.as_object_mut().unwrap();
        assert_eq!(pseudonymise(fields), 10);
        let user = "I am person1@example.com, +1 202 555 0101, 192.0.2.1, [IBAN 1], 2001:db8::2";
        assert_eq!(fields["messages"][0]["content"], user);
        let reply = "person1@example.com? person2@example.com! [card 1] and [IBAN 1].";
        assert_eq!(fields["messages"][1]["content"], reply);
        assert_eq!(fields["source"], "person1@example.com");
        assert_eq!(pseudonymise(fields), 0);
    }
}
