use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}(?-u:\b)",
    )
    .expect("the pattern is well formed")
});
static V4: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?-u:\b)")
        .expect("the pattern is well formed")
});
static V6: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{3,34}")
        .expect("the pattern is well formed")
});

/// Finds e-mail addresses, but for those reserved for examples.
pub(super) fn emails(text: &str) -> Vec<Range<usize>> {
    if !text.contains('@') {
        return Vec::new();
    }
    let found = EMAIL.find_iter(text);
    found
        .filter(|one| !is_reserved(one.as_str()))
        .map(|one| one.range())
        .collect()
}

/// Tells whether an address' host is reserved (RFC 2606, RFC 6761).
fn is_reserved(address: &str) -> bool {
    let host = address
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut labels = host.rsplit('.');
    let (top, second) = (labels.next().unwrap_or_default(), labels.next());
    matches!(top, "example" | "invalid" | "test" | "localhost")
        || second == Some("example") && matches!(top, "com" | "net" | "org" | "edu")
}

/// Finds addresses of the public internet.
pub(super) fn addresses(text: &str) -> Vec<Range<usize>> {
    let v4 = V4.find_iter(text).filter(|one| {
        let (before, after) = (&text[..one.start()], &text[one.end()..]);
        // A longer row of numbers is a version or an outline.
        let goes_on = before.ends_with('.')
            || after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit());
        !goes_on && one.as_str().parse().is_ok_and(is_public)
    });
    let v6 = V6.find_iter(text).filter_map(|one| {
        let address = one.as_str().trim_end_matches(':');
        let parsed: Ipv6Addr = address.parse().ok()?;
        let is_documentation = parsed.segments()[..2] == [0x2001, 0x0db8];
        (!is_documentation).then(|| one.start()..one.start() + address.len())
    });
    v4.map(|one| one.range()).chain(v6).collect()
}

fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || is_shared
        || first == 0
        || first >= 224)
}
