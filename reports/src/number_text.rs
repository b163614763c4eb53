//! Numbers for people; machines get full precision elsewhere.

use shipworthy_schema::LengthAdjusted;

/// Returns a score or mean, e.g. `0.612`.
pub(crate) fn score(value: f64) -> String {
    format!("{value:.3}")
}

/// Returns a difference with its sign, e.g. `+0.110`.
pub(crate) fn difference(value: f64) -> String {
    let text = format!("{value:+.3}");
    // A loss too small to show has no sign to show either.
    if text == "-0.000" {
        "+0.000".to_owned()
    } else {
        text
    }
}

/// Returns how long a candidate's replies are, e.g. `1.4 times as long`.
pub(crate) fn length_ratio(adjusted: &LengthAdjusted) -> String {
    format!("{:.2} times as long", adjusted.length_ratio)
}

/// Returns an interval of a difference, e.g. `[+0.064, +0.156]`.
pub(crate) fn interval([low, high]: [f64; 2]) -> String {
    format!("[{}, {}]", difference(low), difference(high))
}

/// Returns a share as a percentage, e.g. `73 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Returns a share as a percentage with one decimal, e.g. `6.4 %`.
pub(crate) fn percent_tenths(share: f64) -> String {
    if share > 0.995 {
        percent(share)
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

/// Returns a p value, e.g. `0.0310` or `< 0.0001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

/// Returns a p value as an equation, e.g. `p = 0.0310` or `p < 0.0001`.
pub(crate) fn p_equation(p: f64) -> String {
    let text = p_value(p);
    if text.starts_with('<') {
        format!("p {text}")
    } else {
        format!("p = {text}")
    }
}

/// Returns `value` and `threshold` with at least `digits` decimals, and with as many more as it
/// takes to tell them apart: a gain of 0.0999 must not read as `0.100`, below a bound of `0.100`.
pub(crate) fn told_apart(value: f64, threshold: f64, digits: usize) -> (String, String) {
    (digits..=17)
        .map(|n| (format!("{value:.n$}"), format!("{threshold:.n$}")))
        .find(|(v, t)| v != t || value == threshold)
        .unwrap_or_else(|| (value.to_string(), threshold.to_string()))
}

/// Returns violations among the conversations scored, e.g. `0 of 45`.
pub(crate) fn violations(n: u32, conversations: u32) -> String {
    if conversations == 0 {
        "not scored".to_owned()
    } else {
        format!("{n} of {conversations}")
    }
}

/// Returns a count with its noun, e.g. `1 persona`, `15 personas`.
pub(crate) fn count(n: u32, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        _ if noun == "criterion" => format!("{n} criteria"),
        _ => format!("{n} {noun}s"),
    }
}

/// Returns a loss, e.g. `1.2345`; one too small to show so is told apart from 0.
pub(crate) fn loss(value: f64) -> String {
    if value == 0.0 || (0.001..1e6).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        significant(value)
    }
}

/// Returns a number with three significant digits, e.g. `2e-4` or `1.25e-5`; a learning rate reads so.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let text = format!("{value:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{mantissa}e{exponent}")
}

/// Returns a whole number in groups of three digits, e.g. `41,943,040`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a rate: `812`, and below ten with decimals, e.g. `0.42`.
pub(crate) fn rate(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 1000.0 {
        format!("{value:.0}")
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive here, and the cast saturates"
        )]
        grouped(value.round() as u64)
    }
}

/// Returns a size, e.g. `7.42 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = units[0];
    for larger in &units[1..] {
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let decimals = if unit == "GiB" || unit == "TiB" { 2 } else { 0 };
    format!("{value:.decimals$} {unit}")
}

/// Returns a length of time, e.g. `4.2 s`, `12 min 5 s`, `3 h 20 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive here, and the cast saturates"
    )]
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, min, _) => format!("{} h {min} min", grouped(h)),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        bytes, count, difference, duration, grouped, loss, p_equation, p_value, rate, significant,
        told_apart,
    };

    #[test]
    fn quantities_read_well() {
        assert_eq!(loss(1.234_56), "1.2346");
        assert_eq!(loss(0.000_012_3), "1.23e-5");
        assert_eq!(loss(0.0), "0.0000");
        assert_eq!(significant(2e-4), "2e-4");
        assert_eq!(significant(0.000_012_5), "1.25e-5");
        assert_eq!(
            [999, 1000, 41_943_040].map(grouped),
            ["999", "1,000", "41,943,040"]
        );
        assert_eq!([0.416, 81.6, 1234.5].map(rate), ["0.42", "82", "1,235"]);
        let sizes = [1023, 2048, 1_048_575, 7_967_164_334];
        assert_eq!(sizes.map(bytes), ["1023 B", "2 KiB", "1 MiB", "7.42 GiB"]);
        let times = [4.21, 59.7, 725.0, 12_040.0, f64::NAN];
        let texts = ["4.2 s", "1 min 0 s", "12 min 5 s", "3 h 20 min", "unknown"];
        assert_eq!(times.map(duration), texts);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(difference(-0.0001), "+0.000");
        assert_eq!(difference(-0.11), "-0.110");
        assert_eq!(p_value(0.04996), "0.0500");
        assert_eq!(p_equation(0.000_01), "p < 0.0001");
        assert_eq!(p_equation(0.031), "p = 0.0310");
        assert_eq!(count(1, "criterion"), "1 criterion");
        assert_eq!(count(3, "criterion"), "3 criteria");
    }

    #[test]
    fn a_value_never_reads_like_the_bound_it_misses() {
        let text = |v: &str, t: &str| (v.to_owned(), t.to_owned());
        assert_eq!(told_apart(0.0999, 0.1, 3), text("0.0999", "0.1000"));
        assert_eq!(told_apart(0.1, 0.1, 3), text("0.100", "0.100"));
        assert_eq!(told_apart(0.049_996, 0.05, 4), text("0.049996", "0.050000"));
        let (v, t) = told_apart(0.1 + 0.2, 0.3, 3);
        assert_ne!(v, t);
    }
}
