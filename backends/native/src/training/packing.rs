use std::collections::BTreeSet;

/// Puts examples together into rows of at most `capacity` tokens; best fit, longest first.
///
/// `lengths`: tokens of each example. Returns the examples of every row; within a row and among the first
/// of rows, the order is the data's. An example that is longer than a row has one of its own. Each example
/// goes where it leaves least room, which is within 11/9 of the fewest rows (Johnson 1974), and what TRL
/// does by default.
pub(super) fn pack(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut longest_first: Vec<usize> = (0..lengths.len()).collect();
    longest_first.sort_by_key(|&example| (usize::MAX - lengths[example], example));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // Room that is left, and where.
    let mut open: BTreeSet<(usize, usize)> = BTreeSet::new();
    for example in longest_first {
        let length = lengths[example];
        let (room, row) = match open.range((length, 0)..).next().copied() {
            Some(found) => {
                open.remove(&found);
                found
            }
            None => {
                rows.push(Vec::new());
                (capacity.max(length), rows.len() - 1)
            }
        };
        rows[row].push(example);
        if room > length {
            open.insert((room - length, row));
        }
    }
    for row in &mut rows {
        row.sort_unstable();
    }
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_go_where_they_leave_least_room() {
        assert_eq!(
            pack(&[3, 9, 7, 1, 12, 3], 10),
            [vec![0, 2], vec![1, 3], vec![4], vec![5]]
        );
    }

    proptest! {
        #[test]
        fn rows_hold_every_example_once_and_no_more_than_fits(
            lengths in prop::collection::vec(1_usize..50, 0..60),
            capacity in 1_usize..60,
        ) {
            let rows = pack(&lengths, capacity);
            let mut all: Vec<usize> = rows.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            let total = |row: &Vec<usize>| row.iter().map(|&example| lengths[example]).sum::<usize>();
            for row in &rows {
                prop_assert!(!row.is_empty());
                prop_assert!(total(row) <= capacity || row.len() == 1);
            }
            // Two rows that fit into one would have been one.
            let mut totals: Vec<usize> = rows.iter().map(total).collect();
            totals.sort_unstable();
            if let [first, second, ..] = totals[..] {
                prop_assert!(first + second > capacity);
            }
        }
    }
}
