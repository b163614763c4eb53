use std::time::Duration;

use shipworthy_schema::Digest;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Returns how long to wait before the `retry`-th repetition (from 1) of the request with `digest`.
///
/// It doubles from 250 ms to 30 s; of that between a half and all is waited, so that calls that
/// failed together do not come again together. What share follows from the request and not from a
/// clock: the same run waits the same.
pub(crate) fn backoff(digest: &Digest, retry: u32) -> Duration {
    let whole = FIRST
        .saturating_mul(1 << retry.saturating_sub(1).min(16))
        .min(LONGEST);
    whole.mul_f64(0.5 + share(digest, retry) / 2.0)
}

/// Returns a number in [0, 1) that follows from `digest` and `n` alone.
pub(crate) fn share(digest: &Digest, n: u32) -> f64 {
    // FNV-1a, its high bits spread by one multiplication.
    let bytes = digest.as_str().bytes().chain(n.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shipworthy_schema::Digest;

    use super::{backoff, share};

    #[test]
    fn waits_double_up_to_a_bound_and_repeat() {
        let digest = Digest::of(b"a request");
        let mut whole = Duration::from_millis(250);
        for retry in 1..40 {
            let wait = backoff(&digest, retry);
            assert_eq!(wait, backoff(&digest, retry));
            assert!(wait >= whole / 2 && wait <= whole, "{retry}: {wait:?}");
            whole = (whole * 2).min(Duration::from_secs(30));
        }
    }

    #[test]
    fn calls_that_failed_together_spread() {
        let shares: Vec<f64> = (0..1000_u32)
            .map(|i| share(&Digest::of(&i.to_le_bytes()), 1))
            .collect();
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let within = shares.iter().filter(|s| **s >= from && **s < from + 0.1);
            assert!((60..=140).contains(&within.count()), "{tenth}");
        }
    }
}
