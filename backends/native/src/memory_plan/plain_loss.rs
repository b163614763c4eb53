/// Returns the bytes of one `f32` copy of all logits of a batch, which a loss that is not computed in
/// chunks keeps: tokens × vocabulary × 4.
///
/// Trainers that do so keep about three such copies at their peak: the logits, their gradient, and
/// one in the model's own format.
pub fn plain_logits_bytes(vocab_size: u64, batch_tokens: u64) -> u64 {
    vocab_size.saturating_mul(batch_tokens).saturating_mul(4)
}
