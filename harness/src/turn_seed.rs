use sha2::{Digest as _, Sha256};
use shipworthy_schema::{CallRole, PersonaId};

/// Returns the sampling seed of one turn, in 0…2³¹ − 1, which every server takes.
///
/// It depends on the plan's seed, the persona, the repeat, the turn and the role, and not on the
/// model: baseline and candidates meet the same seeds. It is the first four bytes of the SHA-256 of
/// those, little-endian, less the top bit.
pub(crate) fn turn_seed(
    seed: u64,
    persona: &PersonaId,
    repeat: u32,
    turn: u32,
    role: CallRole,
) -> u64 {
    let role = match role {
        CallRole::Model => "model",
        CallRole::Simulator => "simulator",
        CallRole::Judge => "judge",
    };
    let text = format!("turn-seed/1\n{seed}\n{persona}\n{repeat}\n{turn}\n{role}");
    let hash = Sha256::digest(text.as_bytes());
    let first = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
    u64::from(first & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{CallRole, PersonaId};

    use super::turn_seed;

    #[test]
    fn seeds_are_pinned_for_ever() {
        let anna = PersonaId::new("coaching-9000").unwrap();
        let first = turn_seed(7, &anna, 1, 1, CallRole::Model);
        assert_eq!(first, turn_seed(7, &anna, 1, 1, CallRole::Model));
        let others = [
            turn_seed(8, &anna, 1, 1, CallRole::Model),
            turn_seed(7, &anna, 2, 1, CallRole::Model),
            turn_seed(7, &anna, 1, 2, CallRole::Model),
            turn_seed(7, &anna, 1, 1, CallRole::Judge),
        ];
        assert!(
            others
                .iter()
                .all(|other| *other != first && *other < 1 << 31)
        );
    }
}
