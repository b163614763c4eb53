use std::time::Duration;

/// Reads `90m`, `1.5h`, `2d` or seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write e.g. 90m, 1.5h or 2d");
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[number.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = (number * scale).ceil();
    if !(1.0..=30.0 * 86_400.0).contains(&seconds) {
        return Err(format!("`{text}` is not from 1 s to 30 days"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("90m", Some(5400); "minutes")]
    #[test_case("1.5h", Some(5400); "a fraction")]
    #[test_case("45", Some(45); "seconds")]
    #[test_case("0", None; "nothing")]
    #[test_case("-1h", None; "less")]
    #[test_case("1w", None; "weeks")]
    #[test_case("NaN", None; "no number")]
    #[test_case("40d", None; "too long")]
    fn times_are_read(text: &str, seconds: Option<u64>) {
        assert_eq!(duration(text).ok().map(|time| time.as_secs()), seconds);
    }
}
