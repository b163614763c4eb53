//! Places in the batch: one conversation's KV cache each.

use llama_cpp_2::token::LlamaToken;

/// One sequence of the context and what its cache holds.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The conversation whose cache this is; `None` once it has ended.
    thread: Option<String>,
    /// The tokens in the cache, from position 0 on.
    pub(super) cached: Vec<LlamaToken>,
    /// A reply is being made here.
    is_busy: bool,
    /// The slots' count of assignments when this one was last given out.
    last_used: u64,
}

/// All slots of one model; a slot's index is its sequence id.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    n_assigned: u64,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self {
            slots: (0..count).map(|_| Slot::default()).collect(),
            n_assigned: 0,
        }
    }

    /// Gives a slot to a conversation: the one it had; else the unowned one that shares the longest
    /// beginning with its prompt; else the one whose owner was away longest. `None`: all are busy.
    pub(super) fn assign(&mut self, thread: &str, prompt: &[LlamaToken]) -> Option<usize> {
        let idle = || self.slots.iter().enumerate().filter(|(_, s)| !s.is_busy);
        let own = idle().find(|(_, slot)| slot.thread.as_deref() == Some(thread));
        let unowned = || {
            idle()
                .filter(|(_, slot)| slot.thread.is_none())
                // On a tie the first one: neighbours are decoded together.
                .rev()
                .max_by_key(|(_, slot)| common_prefix(&slot.cached, prompt))
        };
        let stalest = || idle().min_by_key(|(_, slot)| slot.last_used);
        let (index, _) = own.or_else(unowned).or_else(stalest)?;
        self.n_assigned += 1;
        let slot = &mut self.slots[index];
        slot.thread = Some(thread.to_owned());
        slot.is_busy = true;
        slot.last_used = self.n_assigned;
        Some(index)
    }

    /// Takes a slot back when its reply is made; its cache stays its conversation's.
    pub(super) fn release(&mut self, index: usize) {
        self.slots[index].is_busy = false;
    }

    /// Takes the slot from a conversation that has ended.
    pub(super) fn end_thread(&mut self, thread: &str) {
        for slot in &mut self.slots {
            if slot.thread.as_deref() == Some(thread) {
                slot.thread = None;
            }
        }
    }

    pub(super) fn slot(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }
}

/// Returns how many tokens two texts begin with alike.
pub(super) fn common_prefix(a: &[LlamaToken], b: &[LlamaToken]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::Slots;

    fn tokens(ids: &[i32]) -> Vec<LlamaToken> {
        ids.iter().copied().map(LlamaToken::new).collect()
    }

    #[test]
    fn conversations_come_back_to_their_slot_and_the_stalest_yields() {
        let mut slots = Slots::new(2);
        let prompt = tokens(&[1, 2]);
        assert_eq!(slots.assign("a", &prompt), Some(0));
        assert_eq!(slots.assign("b", &prompt), Some(1));
        assert_eq!(slots.assign("c", &prompt), None);
        slots.release(0);
        slots.release(1);
        assert_eq!(slots.assign("b", &prompt), Some(1));
        slots.release(1);
        assert_eq!(slots.assign("c", &prompt), Some(0), "a was away longer");
        slots.release(0);
        assert_eq!(slots.assign("a", &prompt), Some(1), "b was away longer");
    }

    #[test]
    fn an_ended_conversation_leaves_its_beginning_to_others() {
        let mut slots = Slots::new(3);
        for (thread, cached) in [("a", [1, 2]), ("b", [7, 8])] {
            let index = slots.assign(thread, &[]).unwrap();
            slots.slot(index).cached = tokens(&cached);
            slots.release(index);
        }
        slots.end_thread("b");
        slots.end_thread("a");
        assert_eq!(slots.assign("c", &tokens(&[7, 9])), Some(1));
        assert_eq!(slots.assign("d", &tokens(&[5])), Some(0));
    }

    #[test]
    fn two_calls_of_one_conversation_do_not_share_a_slot() {
        let mut slots = Slots::new(2);
        assert_eq!(slots.assign("a", &[]), Some(0));
        assert_eq!(slots.assign("a", &[]), Some(1));
    }
}
