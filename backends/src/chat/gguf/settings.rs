//! How llama.cpp is set up so that a reply depends on its own conversation alone.
//!
//! A comparison of two models is worth nothing if a second run of the same plan says something
//! else, and llama.cpp decides by the shape of a batch which kernels multiply. The rule here: every
//! number of a conversation is computed by the same operations in the same order, whatever else is
//! in the batch, however its prompt was cut up, and whether its KV cache was kept. It holds because
//!
//! - each conversation has a KV stream of its own (`kv_unified` off), filled from its first cell on,
//!   so sums over the cache never skip over somebody else's cells;
//! - flash attention, whose blocking depends on batch and cache sizes, is off;
//! - the sliding-window cache is kept whole, so that it never wraps;
//! - matrix products go through ggml's dot products, one row and column at a time: the build has
//!   llamafile's and the repacked kernels left out (`.cargo/config.toml`), and superblock
//!   quantisations, which change kernels from 8 rows up, are fed at most 7 at once;
//! - nothing is offloaded to a GPU;
//! - where none of this is sure (a build without those options, a processor with matrix
//!   instructions that take pairs of rows, a recurrent model), tokens go one at a time.
//!
//! Thread counts matter to none of these: ggml splits results between threads, never sums.

use std::num::NonZeroU32;

use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::model::LlamaModel;

use super::cores;
use super::header::Header;

/// The context for one conversation where the configuration names none and the model was trained
/// with more: each conversation's cache is set aside when the model is opened.
const DEFAULT_CONTEXT: u32 = 8192;
/// Tokens computed at once where nothing speaks against it.
const BATCH: u32 = 512;
/// Superblock quantisations change kernels from 8 rows up (`ggml_tiled_min_batch`).
const SUPERBLOCK_ROWS: u32 = 7;
/// Sequences llama.cpp can tell apart (`LLAMA_MAX_SEQ`).
const MAX_SEQUENCES: u32 = 256;
/// Below this many weights threads spend much of their time meeting after each operation: two models
/// of 1.4 million weights on 2 cores made 2,595 tokens a second with one thread each and 1,232 in
/// turns with two threads each.
const SMALL_MODEL_WEIGHTS: u64 = 30_000_000;
/// Largest cache of one conversation, in bytes, kept in F32: products with F16 take twice as long,
/// but in a large model memory is dearer than that.
const F32_CACHE: u64 = 32 << 20;

/// The kernels left out are chosen when llama.cpp is built; cargo hands both builds the same
/// environment.
const IS_BATCH_INVARIANT_BUILD: bool = is_off(option_env!("GGML_LLAMAFILE"))
    && is_off(option_env!("GGML_CPU_REPACK"))
    && !cfg!(target_feature = "i8mm")
    && !cfg!(target_feature = "avx512vnni");

const fn is_off(option: Option<&str>) -> bool {
    matches!(option, Some(value) if value.len() == 3 && matches!(value.as_bytes(), b"OFF"))
}

/// What a model is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Tokens of one conversation, prompt and replies together.
    pub(super) context: u32,
    /// Conversations held at once.
    pub(super) parallel: u32,
    /// Threads that compute.
    pub(super) threads: u32,
    /// Tokens computed at once, of all conversations together.
    pub(super) batch: u32,
    /// Whether the cache is kept in F32, not F16. Depends on model and context alone, as replies do.
    pub(super) is_f32_cache: bool,
    /// Whether the end of a cached conversation can be taken back.
    pub(super) can_rewind: bool,
}

impl Settings {
    /// Settles what the configuration left open.
    pub(super) fn new(
        model: &LlamaModel,
        header: &Header,
        context: Option<u32>,
        threads: Option<u32>,
        parallel: u32,
    ) -> Self {
        let trained = model.n_ctx_train().max(1);
        let is_recurrent = model.is_recurrent() || model.is_hybrid();
        let default_threads = if model.n_params() < SMALL_MODEL_WEIGHTS {
            // Baseline and candidate are decoded side by side.
            (cores::available() / 2).clamp(1, 4)
        } else {
            cores::available()
        };
        let context = context.unwrap_or(trained.min(DEFAULT_CONTEXT)).max(1);
        let batch = if !IS_BATCH_INVARIANT_BUILD || is_recurrent {
            1
        } else if header.has_superblocks {
            SUPERBLOCK_ROWS
        } else {
            BATCH
        };
        Self {
            context,
            parallel: parallel.clamp(1, MAX_SEQUENCES),
            threads: threads.unwrap_or(default_threads).max(1),
            batch,
            is_f32_cache: f32_cache_size(model, context) <= F32_CACHE,
            can_rewind: !is_recurrent,
        }
    }

    /// Returns llama.cpp's own form of the settings.
    pub(super) fn to_params(self) -> LlamaContextParams {
        // llama.cpp divides the cells between the conversations and wants a multiple of 256 each.
        let cells = self.context.next_multiple_of(256);
        let threads = i32::try_from(self.threads).unwrap_or(i32::MAX);
        let cache_type = if self.is_f32_cache {
            KvCacheType::F32
        } else {
            KvCacheType::F16
        };
        LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells.saturating_mul(self.parallel)))
            .with_n_seq_max(self.parallel)
            // Never what limits a batch: `self.batch` is, in the scheduler. llama.cpp's own physical
            // batch may come out one token longer than it is told to.
            .with_n_batch(BATCH)
            .with_n_ubatch(BATCH)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_kv_unified(false)
            .with_swa_full(true)
            // LLAMA_FLASH_ATTN_TYPE_DISABLED
            .with_flash_attention_policy(0)
            .with_type_k(cache_type)
            .with_type_v(cache_type)
            .with_offload_kqv(false)
            .with_op_offload(false)
            .with_no_perf(true)
    }
}

/// Returns the bytes of one conversation's keys and values in F32.
fn f32_cache_size(model: &LlamaModel, context: u32) -> u64 {
    let width = u64::try_from(model.n_embd()).unwrap_or(0);
    let heads = u64::from(model.n_head().max(1));
    let kv_width = width / heads * u64::from(model.n_head_kv());
    2 * 4 * kv_width * u64::from(model.n_layer()) * u64::from(context)
}
