//! Personal data in texts: e-mail addresses, telephone, card and bank account numbers, IP addresses.
//!
//! What has check digits is found only where they are right. Names, addresses and national telephone
//! numbers other than North America's are not looked for: without a model they cannot be told apart.

mod card;
mod iban;
mod internet;
mod phone;
mod stand_ins;

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

pub use stand_ins::pseudonymise;

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalData {
    /// An e-mail address, but for those reserved for examples (RFC 2606).
    Email,
    /// An international bank account number with the length of its country and right check digits.
    Iban,
    /// A payment card's number with a right check digit (Luhn).
    Card,
    /// An address of the public internet, version 4 or 6.
    IpAddress,
    /// A telephone number with its country's, or North American; but for 555-01xx, which is nobody's.
    Phone,
}

impl PersonalData {
    /// Returns what a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::Iban => "bank account (IBAN)",
            Self::Card => "card number",
            Self::IpAddress => "IP address",
            Self::Phone => "telephone number",
        }
    }
}

/// Returns where a text holds one kind.
type Finder = fn(&str) -> Vec<Range<usize>>;

/// Finds all of it in a text, in order; nothing overlaps.
pub(crate) fn find(text: &str) -> Vec<(PersonalData, Range<usize>)> {
    let mut found: Vec<(PersonalData, Range<usize>)> = Vec::new();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let has = |byte: u8| memchr::memchr(byte, text.as_bytes()).is_some();
    if digits == 0 && !has(b'@') {
        return found;
    }
    // Each kind with what a text must have for it to be there at all.
    let kinds: [(PersonalData, Finder, bool); 5] = [
        (PersonalData::Email, internet::emails, has(b'@')),
        (PersonalData::Iban, iban::find, digits >= 2),
        (PersonalData::Card, card::find, digits >= 13),
        (
            PersonalData::IpAddress,
            internet::addresses,
            digits >= 4 && has(b'.') || digits >= 1 && has(b':'),
        ),
        (PersonalData::Phone, phone::find, digits >= 7),
    ];
    for (kind, find, may_be) in kinds {
        if !may_be {
            continue;
        }
        for place in find(text) {
            let is_free = |(_, other): &(PersonalData, Range<usize>)| {
                place.end <= other.start || place.start >= other.end
            };
            if found.iter().all(is_free) {
                found.push((kind, place));
            }
        }
    }
    found.sort_by_key(|(_, place)| place.start);
    found
}

/// Calls `see` with every text in a value, names of fields apart.
pub(crate) fn each_text<'a>(value: &'a Value, see: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, see)),
        Value::Object(fields) => fields.values().for_each(|item| each_text(item, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("Write to jo.doe+x@mail.sub.acme.co.uk.", &["jo.doe+x@mail.sub.acme.co.uk"]; "email")]
    #[test_case("at a@b, jo@example.com, x@host.invalid, @name", &[]; "no email")]
    #[test_case("IBAN DE89 3704 0044 0532 0130 00 AND more", &["DE89 3704 0044 0532 0130 00"]; "iban")]
    #[test_case("GB29NWBK60161331926819, NO9386011117947", &["GB29NWBK60161331926819", "NO9386011117947"]; "ibans")]
    #[test_case("DE88 3704 0044 0532 0130 00, DE8937040044, AB12 3456 7890 1234", &[]; "no iban")]
    #[test_case("card 4111 1111 1111 1111 or 378282246310005!", &["4111 1111 1111 1111", "378282246310005"]; "cards")]
    #[test_case("4111 1111 1111 1112, 0000 0000 0000 0000, 12345678901234567890", &[]; "no card")]
    #[test_case("from 8.8.8.8 and 2a00:1450:4001:80b::200e", &["8.8.8.8", "2a00:1450:4001:80b::200e"]; "addresses")]
    #[test_case("192.168.0.1, 127.0.0.1, 192.0.2.7, 1.2.3, 256.1.1.1, 2001:db8::1, fe80::1, 12:30:45, std::io, 1.2.3.4.5", &[]; "no addresses")]
    #[test_case("call +49 (30) 901820 or (212) 736-5000", &["+49 (30) 901820", "(212) 736-5000"]; "phones")]
    #[test_case("+1 202 555 0143, 12 345 678, 2026-11-21, +5 apples, 100-200-3000", &[]; "no phones")]
    #[test_case("ünï@ćode.de é +", &[]; "beyond ASCII")]
    fn is_found(text: &str, expected: &[&str]) {
        let found = find(text);
        let texts: Vec<&str> = found
            .iter()
            .map(|(_, place)| &text[place.clone()])
            .collect();
        assert_eq!(texts, expected);
    }
}
