use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Returns how long the Hub asks to wait: the `t` of `RateLimit: "api";r=0;t=37`, else `Retry-After` in
/// seconds.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reset = text("ratelimit").and_then(|limit| {
        let fields = limit.split([';', ',']);
        fields
            .map(str::trim)
            .find_map(|field| field.strip_prefix("t="))
    });
    let seconds = reset.or_else(|| text(RETRY_AFTER.as_str()))?;
    let seconds: f64 = seconds.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[("ratelimit", "\"api\";r=0;t=37")], Some(37); "as the Hub tells")]
    #[test_case(&[("retry-after", "5")], Some(5); "as others tell")]
    #[test_case(&[("retry-after", "5"), ("ratelimit", "\"api\";r=0;t=2")], Some(2); "the exact one first")]
    #[test_case(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None; "a date")]
    #[test_case(&[("retry-after", "-1")], None; "less than nothing")]
    #[test_case(&[], None; "nothing")]
    fn waits_are_read(headers: &[(&'static str, &'static str)], seconds: Option<u64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        assert_eq!(asked_wait(&map), seconds.map(Duration::from_secs));
    }
}
