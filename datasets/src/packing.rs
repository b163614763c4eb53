use std::collections::{BTreeMap, BTreeSet};

/// Puts examples of these lengths into rows of at most `max_length` tokens, by best-fit decreasing.
///
/// Returns the examples' indices row by row. Each example is in exactly one row; one longer than
/// `max_length` has a row of its own. The longest come first, equal ones in their order, and each
/// goes where the least room is left over, of several such rows into the earliest; the same lengths
/// give the same rows.
pub fn pack(lengths: &[usize], max_length: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&idx| (std::cmp::Reverse(lengths[idx]), idx));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // Rows by the room that is left in them.
    let mut by_room: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for idx in order {
        let length = lengths[idx];
        let fitting = by_room
            .range(length..)
            .next()
            .and_then(|(&room, rows)| Some((room, *rows.first()?)));
        let (room, row) = if let Some((room, row)) = fitting {
            let same = by_room.get_mut(&room).expect("it was just found");
            same.remove(&row);
            if same.is_empty() {
                by_room.remove(&room);
            }
            rows[row].push(idx);
            (room - length, row)
        } else {
            rows.push(vec![idx]);
            (max_length.saturating_sub(length), rows.len() - 1)
        };
        by_room.entry(room).or_default().insert(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_come_first_and_go_where_they_fit_best() {
        assert_eq!(
            pack(&[3, 7, 5, 2, 4, 10], 10),
            [vec![5], vec![1, 0], vec![2, 4], vec![3]]
        );
        assert_eq!(pack(&[12, 1], 10), [vec![0], vec![1]]);
        assert_eq!(pack(&[], 10), Vec::<Vec<usize>>::new());
        assert_eq!(pack(&[4, 4, 4], 8), [vec![0, 1], vec![2]]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_row_is_too_long(
            lengths in proptest::collection::vec(1_usize..150, 0..200), max_length in 1_usize..120
        ) {
            let rows = pack(&lengths, max_length);
            let mut seen: Vec<usize> = rows.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for row in &rows {
                let sum: usize = row.iter().map(|&idx| lengths[idx]).sum();
                prop_assert!(sum <= max_length || row.len() == 1);
            }
            // No two rows would fit into one: best fit opens a row only where none has room.
            let total: usize = lengths.iter().map(|&length| length.min(max_length)).sum();
            prop_assert!(rows.len() <= 2 * total.div_ceil(max_length) + 1);
            prop_assert_eq!(pack(&lengths, max_length), rows);
        }
    }
}
