use std::ops::Range;

/// Marks the tokens of a range of the text: from the one with its first byte to the one with its
/// last, both included. Offsets are the tokens' ranges of bytes; some tokens are empty ones, and some
/// lack the space before them.
pub(crate) fn mark(mask: &mut [bool], offsets: &[(usize, usize)], range: &Range<usize>) {
    let touches = |(start, end): &(usize, usize)| *start < range.end && *end > range.start;
    if range.is_empty() {
        return;
    }
    let Some(first) = offsets.iter().position(touches) else {
        return;
    };
    let last = offsets.iter().rposition(touches).unwrap_or(first);
    if let Some(tokens) = mask.get_mut(first..=last) {
        tokens.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_marked_from_the_first_to_the_last_byte() {
        // The second token lacks its space, the fourth is empty.
        let offsets = [(0, 3), (4, 6), (6, 9), (9, 9), (9, 10)];
        let marked = |range| {
            let mut mask = vec![false; 5];
            mark(&mut mask, &offsets, &range);
            mask.iter()
                .map(|&is| if is { '1' } else { '0' })
                .collect::<String>()
        };
        assert_eq!(marked(3..6), "01000");
        assert_eq!(marked(4..10), "01111");
        assert_eq!(marked(2..5), "11000");
        assert_eq!(marked(7..7), "00000");
        assert_eq!(marked(20..30), "00000");
    }
}
