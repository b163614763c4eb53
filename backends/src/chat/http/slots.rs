use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The places of a llama-server, each lent to one conversation from its first call to its end, so
/// that what the place keeps of the conversation's prompt is found again.
///
/// Safe only where nobody else uses the server: a call that names a busy place waits for it.
#[derive(Debug)]
pub(super) struct Slots(Mutex<Lent>);

#[derive(Debug)]
struct Lent {
    /// Free places, the next one last.
    free: Vec<usize>,
    by_thread: BTreeMap<String, usize>,
}

impl Slots {
    /// Returns `total` free places.
    pub(super) fn new(total: usize) -> Self {
        Self(Mutex::new(Lent {
            free: (0..total).rev().collect(),
            by_thread: BTreeMap::new(),
        }))
    }

    /// Returns the place of `thread`, lending it one if it has none; `None` where none is free: the
    /// server then chooses.
    pub(super) fn of(&self, thread: &str) -> Option<usize> {
        let mut lent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = lent.by_thread.get(thread) {
            return Some(*slot);
        }
        let slot = lent.free.pop()?;
        lent.by_thread.insert(thread.to_owned(), slot);
        Some(slot)
    }

    /// Takes the place of `thread` back.
    pub(super) fn end(&self, thread: &str) {
        let mut lent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = lent.by_thread.remove(thread) {
            lent.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn a_thread_keeps_its_place_until_it_ends() {
        let slots = Slots::new(2);
        assert_eq!(slots.of("a"), Some(0));
        assert_eq!(slots.of("b"), Some(1));
        assert_eq!(slots.of("a"), Some(0));
        assert_eq!(slots.of("c"), None, "more threads than places");
        slots.end("a");
        slots.end("nobody");
        assert_eq!(slots.of("c"), Some(0));
        assert_eq!(slots.of("b"), Some(1));
        assert_eq!(slots.of("a"), None);
    }
}
