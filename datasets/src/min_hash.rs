//! `MinHash` with bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, ch. 3), with the
//! sizes that datatrove takes: five words in a row, 14 bands of 8 minima.

use crate::words::{each_word, mixed};

/// Words in a row that are one feature.
const NGRAM: usize = 5;
/// Two texts are near if all minima of one band are the same: likely where more than 72 % of their
/// features are, (1/14)^(1/8).
pub(crate) const BANDS: usize = 14;
const MINIMA: usize = 8;

/// A digest of every band of a text; equal ones make two texts near.
pub(crate) type Bands = [u64; BANDS];

/// Computes the bands of texts that follow one another; none without any word.
pub(crate) fn bands<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Bands> {
    let mut minima = [u32::MAX; BANDS * MINIMA];
    let mut last = [0_u64; NGRAM];
    let mut words = 0;
    for text in texts {
        each_word(text, &mut |word| {
            last.rotate_left(1);
            last[NGRAM - 1] = word;
            words += 1;
            if words >= NGRAM {
                lower(&mut minima, feature(&last));
            }
        });
    }
    if words == 0 {
        return None;
    }
    // A shorter text is one feature as a whole.
    if words < NGRAM {
        lower(&mut minima, feature(&last));
    }
    let mut bands = [0; BANDS];
    for ((index, band), minima) in bands.iter_mut().enumerate().zip(minima.chunks(MINIMA)) {
        let start = mixed(index as u64 + 1);
        *band = minima
            .iter()
            .fold(start, |sum, &least| mixed(sum ^ u64::from(least)));
    }
    Some(bands)
}

fn feature(words: &[u64; NGRAM]) -> u64 {
    words
        .iter()
        .fold(0, |sum, &word| mixed(sum.wrapping_add(word)))
}

/// Lowers each minimum to this feature's hash by that minimum's function, multiply-shift
/// (Dietzfelbinger 1996).
fn lower(minima: &mut [u32; BANDS * MINIMA], feature: u64) {
    for (least, (factor, addend)) in minima.iter_mut().zip(&FUNCTIONS) {
        let product = feature.wrapping_mul(*factor).wrapping_add(*addend);
        let hash = u32::try_from(product >> 32).expect("32 bits are left");
        *least = hash.min(*least);
    }
}

/// The functions' odd factors and their addends.
static FUNCTIONS: [(u64, u64); BANDS * MINIMA] = functions();

const fn functions() -> [(u64, u64); BANDS * MINIMA] {
    let mut functions = [(0, 0); BANDS * MINIMA];
    let mut state: u64 = 0;
    let mut index = 0;
    while index < functions.len() {
        let (first, next) = step(state);
        let (second, next) = step(next);
        functions[index] = (first | 1, second);
        state = next;
        index += 1;
    }
    functions
}

/// One number of `SplitMix64`, and its next state.
const fn step(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (number ^ (number >> 31), state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: &str, other: &str) -> bool {
        let bands = |text: &str| bands([text].into_iter()).unwrap();
        bands(one).iter().zip(&bands(other)).any(|(a, b)| a == b)
    }

    #[test]
    fn near_texts_are_found_as_often_as_the_formula_says() {
        // Texts of 104 words have 100 features; the first `changed` are others, so that of
        // 100 + changed in all 100 - changed are shared.
        let text = |trial: usize, changed: usize| {
            let word = |index: usize| match index {
                index if index < changed => format!("b{trial}x{index}"),
                index => format!("a{trial}x{index}"),
            };
            (0..104).map(word).collect::<Vec<_>>().join(" ")
        };
        for changed in [5, 10, 20, 40] {
            let share = (100 - changed) as f64 / (100 + changed) as f64;
            let expected = 1.0 - (1.0 - share.powi(8)).powi(14);
            let trials = 400;
            let found = (0..trials)
                .filter(|&trial| near(&text(trial, 0), &text(trial, changed)))
                .count();
            let rate = found as f64 / trials as f64;
            let error = (expected * (1.0 - expected) / trials as f64).sqrt();
            assert!(
                (rate - expected).abs() < 4.0 * error + 0.01,
                "{changed}: {rate}, expected {expected}"
            );
        }
    }

    #[test]
    fn case_and_signs_do_not_count_and_short_texts_are_compared_whole() {
        assert!(near("Well — hello, World!", "well hello world"));
        assert!(!near("hello world", "hello word"));
        assert!(near(
            "今日はいい天気ですね、散歩しましょう",
            "今日はいい天気ですね。散歩しましょう"
        ));
        assert_eq!(bands([" !? "].into_iter()), None);
    }
}
