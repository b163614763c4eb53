/// Returns a number of parameters as a short label, e.g. `1.2B`: two digits at least.
///
/// Rounded as gguf-py does it, whose labels these are.
pub(super) fn size_label(parameters: u64) -> String {
    let count = parameters as f64;
    let (scaled, suffix) = if count > 1e12 {
        (count * 1e-12, 'T')
    } else if count > 1e9 {
        (count * 1e-9, 'B')
    } else if count > 1e6 {
        (count * 1e-6, 'M')
    } else {
        (count * 1e-3, 'K')
    };
    let whole = format!("{:.0}", scaled.round_ties_even());
    let digits = whole.trim_start_matches('0').len();
    let decimals = 2usize.saturating_sub(digits);
    format!("{scaled:.decimals$}{suffix}")
}
