use std::collections::BTreeSet;

use shipworthy_schema::Split;

use crate::PersonaSpec;
use crate::rng::Rng;
use crate::spec::Combination;

/// People drawn together: aligned blocks of this many seeds cover every factor evenly.
const BLOCK: usize = 15;

/// Redraws of a block before its leftover conflicts are settled one by one.
const MAX_ATTEMPTS: u32 = 16;

/// Draws the combinations of one split, seed after seed from its first.
///
/// Version 1. Each factor has a schedule of its levels in which any stretch holds them by weight
/// (smooth weighted round robin); a block takes the next 15 entries of every schedule and shuffles
/// each factor's by itself, as in Latin hypercube sampling. A combination that is forbidden or taken
/// trades one level with another person of its block, which leaves the block's shares as they are.
/// So a block depends on the blocks before it and on nothing else: neither where a caller starts
/// nor how many are asked for.
pub(crate) struct Draw<'a> {
    spec: &'a PersonaSpec,
    split: Split,
    schedules: Vec<Vec<u16>>,
    taken: BTreeSet<Combination>,
    /// Training people may resemble each other, evaluation people may not.
    distinct: bool,
    n_drawn: usize,
}

impl<'a> Draw<'a> {
    /// Starts the draw of `split` that avoids `taken`.
    pub(crate) fn new(spec: &'a PersonaSpec, split: Split, taken: BTreeSet<Combination>) -> Self {
        let schedules = (spec.factors().iter())
            .map(|factor| {
                let mut rng = label(spec, split, factor.name.as_bytes(), 0);
                let mut schedule = schedule(&factor.weights, &mut rng);
                let start = rng.below(schedule.len());
                schedule.rotate_left(start);
                schedule
            })
            .collect();
        Self {
            spec,
            split,
            schedules,
            taken,
            distinct: split == Split::Evaluation,
            n_drawn: 0,
        }
    }

    /// Returns the next block, or `None` once too few combinations are left to fill it.
    ///
    /// A last, shorter block is returned when `n_left` combinations, fewer than a block, are free.
    pub(crate) fn block(&mut self, n_left: u64) -> Option<Vec<Combination>> {
        let size = usize::try_from(n_left).unwrap_or(BLOCK).min(BLOCK);
        if size == 0 {
            return None;
        }
        let block_idx = (self.n_drawn / BLOCK) as u64;
        let mut people = Vec::new();
        let mut rng = label(self.spec, self.split, b"block", block_idx);
        for attempt in 0..MAX_ATTEMPTS {
            people = self.deal(size, &mut rng);
            let settled = self.trade(&mut people, &mut rng);
            if settled {
                break;
            }
            if attempt + 1 == MAX_ATTEMPTS {
                self.replace_conflicts(&mut people, &mut rng)?;
            }
        }
        self.n_drawn += size;
        if self.distinct {
            self.taken.extend(people.iter().cloned());
        }
        Some(people)
    }

    fn deal(&self, size: usize, rng: &mut Rng) -> Vec<Combination> {
        let mut people = vec![Vec::with_capacity(self.schedules.len()); size];
        for schedule in &self.schedules {
            let mut levels: Vec<u16> = (self.n_drawn..self.n_drawn + size)
                .map(|i| schedule[i % schedule.len()])
                .collect();
            rng.shuffle(&mut levels);
            for (person, level) in people.iter_mut().zip(levels) {
                person.push(level);
            }
        }
        people
    }

    /// Tells whether the person at `i` may stay among `people`.
    fn fits(&self, people: &[Combination], i: usize) -> bool {
        let person = &people[i];
        let repeats = || (people.iter().enumerate()).any(|(j, other)| j != i && other == person);
        self.spec.allows(person) && !self.taken.contains(person) && !(self.distinct && repeats())
    }

    /// Settles conflicts by trades within the block; returns whether none is left.
    fn trade(&self, people: &mut [Combination], rng: &mut Rng) -> bool {
        let mut all_fit = true;
        for i in 0..people.len() {
            if self.fits(people, i) {
                continue;
            }
            let mut trades: Vec<(usize, usize)> = (0..self.schedules.len())
                .flat_map(|factor| (0..people.len()).map(move |j| (factor, j)))
                .filter(|&(factor, j)| people[j][factor] != people[i][factor])
                .collect();
            rng.shuffle(&mut trades);
            let swap = |people: &mut [Combination], factor: usize, j: usize| {
                let level = people[i][factor];
                people[i][factor] = people[j][factor];
                people[j][factor] = level;
            };
            let settled = trades.into_iter().any(|(factor, j)| {
                let fitted = self.fits(people, j);
                swap(people, factor, j);
                let settles = self.fits(people, i) && (self.fits(people, j) || !fitted);
                if !settles {
                    swap(people, factor, j);
                }
                settles
            });
            all_fit &= settled;
        }
        all_fit && (0..people.len()).all(|i| self.fits(people, i))
    }

    /// Gives everyone still in conflict the next free combination from a random place of the grid.
    ///
    /// Only a grid that is nearly used up comes here; there the shares can no longer be kept.
    fn replace_conflicts(&self, people: &mut [Combination], rng: &mut Rng) -> Option<()> {
        for i in 0..people.len() {
            if self.fits(people, i) {
                continue;
            }
            let start: Combination = (self.spec.factors().iter())
                .map(|f| u16::try_from(rng.below(f.levels.len())).unwrap_or(0))
                .collect();
            people[i].clone_from(&start);
            while !self.fits(people, i) {
                self.step(&mut people[i]);
                if people[i] == start {
                    return None;
                }
            }
        }
        Some(())
    }

    /// Moves `combination` to the next of the grid, after the last to the first.
    fn step(&self, combination: &mut Combination) {
        for (level, factor) in combination.iter_mut().zip(self.spec.factors()) {
            *level += 1;
            if usize::from(*level) < factor.levels.len() {
                return;
            }
            *level = 0;
        }
    }
}

fn label(spec: &PersonaSpec, split: Split, what: &[u8], index: u64) -> Rng {
    let split: &[u8] = match split {
        Split::Training => b"training",
        Split::Evaluation => b"evaluation",
    };
    let version = spec.version().to_le_bytes();
    Rng::new(&[
        b"draw-1",
        spec.name().as_bytes(),
        &version,
        split,
        what,
        &index.to_le_bytes(),
    ])
}

/// Returns each level as often as its weight says, spread evenly; ties fall in random order.
fn schedule(weights: &[u64], rng: &mut Rng) -> Vec<u16> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    rng.shuffle(&mut order);
    let signed = |weight: u64| i64::try_from(weight).unwrap_or(i64::MAX);
    let total: i64 = weights.iter().map(|&weight| signed(weight)).sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut schedule = Vec::new();
    for _ in 0..total {
        let mut best = order[0];
        for &level in &order {
            credit[level] += signed(weights[level]);
        }
        for &level in &order {
            if credit[level] > credit[best] {
                best = level;
            }
        }
        credit[best] -= total;
        schedule.push(u16::try_from(best).unwrap_or(u16::MAX));
    }
    schedule
}

#[cfg(test)]
mod tests {
    use super::schedule;
    use crate::rng::Rng;

    #[test]
    fn every_stretch_of_a_schedule_holds_the_levels_by_weight() {
        let schedule = schedule(&[6, 1, 1, 1], &mut Rng::new(&[b"t"]));
        assert_eq!(schedule.len(), 9);
        for start in 0..9 {
            let n_first = (0..3).filter(|i| schedule[(start + i) % 9] == 0).count();
            assert!((1..=3).contains(&n_first), "{schedule:?}");
        }
    }
}
