//! Numbers for people; machines get full precision elsewhere.

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

#[cfg(test)]
mod tests {
    use super::{count, difference, p_equation, p_value, told_apart};

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
