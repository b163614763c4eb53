//! Words of a text as duplicates are looked for by: lower case, letters and digits alone.

/// Calls `see` with a digest of every word.
///
/// A character of a script written without spaces is a word of its own.
pub(crate) fn each_word(text: &str, see: &mut impl FnMut(u64)) {
    let mut word = FNV_START;
    let mut is_inside = false;
    for c in text.chars() {
        if c.is_ascii() {
            // Nearly all there is in many texts, and cheaper to tell.
            if c.is_ascii_alphanumeric() {
                let lower = u64::from(u32::from(c.to_ascii_lowercase()));
                word = (word ^ lower).wrapping_mul(FNV_PRIME);
                is_inside = true;
            } else if is_inside {
                see(mixed(word));
                word = FNV_START;
                is_inside = false;
            }
            continue;
        }
        if !c.is_alphanumeric() || is_unspaced(c) {
            if is_inside {
                see(mixed(word));
            }
            if is_unspaced(c) {
                see(mixed(u64::from(u32::from(c)) ^ FNV_START));
            }
            word = FNV_START;
            is_inside = false;
            continue;
        }
        for lower in c.to_lowercase() {
            word = (word ^ u64::from(u32::from(lower))).wrapping_mul(FNV_PRIME);
        }
        is_inside = true;
    }
    if is_inside {
        see(mixed(word));
    }
}

/// FNV-1a's constants, 64 bits.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Spreads a number over 64 bits: the finaliser of `SplitMix64` (Steele et al. 2014).
pub(crate) fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Thai and Lao, kana, Han, Hangul.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}')
}
