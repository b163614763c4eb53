/// Reads `24GB` or `22GiB`; a bare number is in GB.
pub(super) fn memory_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no memory: write e.g. 24GB or 22GiB");
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" | "g" | "gb" => 1e9,
        "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "mb" => 1e6,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let bytes = (number * scale).ceil();
    if !(1.0..1e15).contains(&bytes) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within the range"
    )]
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("24", Some(24_000_000_000); "a bare number")]
    #[test_case("1.5GB", Some(1_500_000_000); "a fraction")]
    #[test_case("1GiB", Some(1 << 30); "binary")]
    #[test_case("0", None; "nothing")]
    #[test_case("inf", None; "without end")]
    #[test_case("3 apples", None; "another unit")]
    fn sizes_are_read(text: &str, bytes: Option<u64>) {
        assert_eq!(memory_size(text).ok(), bytes);
    }
}
