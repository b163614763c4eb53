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
/// Tokens handed to llama.cpp at once.
const BATCH: u32 = 512;
/// Superblock quantisations change kernels from 8 rows up (`ggml_tiled_min_batch`).
const SUPERBLOCK_ROWS: u32 = 7;
/// Sequences llama.cpp can tell apart (`LLAMA_MAX_SEQ`).
const MAX_SEQUENCES: u32 = 256;
/// Below this many weights a token takes less time than the threads need to meet after each
/// operation: 4 million weights at `Q8_0`, 2 cores: see `backends/README.md`.
const SINGLE_THREAD_WEIGHTS: u64 = 30_000_000;

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
    /// Tokens handed to llama.cpp at once.
    pub(super) batch: u32,
    /// Tokens computed at once.
    pub(super) physical_batch: u32,
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
        let is_small = model.n_params() < SINGLE_THREAD_WEIGHTS;
        let physical_batch = if !IS_BATCH_INVARIANT_BUILD || is_recurrent {
            1
        } else if header.has_superblocks {
            SUPERBLOCK_ROWS
        } else {
            BATCH
        };
        Self {
            context: context.unwrap_or(trained.min(DEFAULT_CONTEXT)).max(1),
            parallel: parallel.clamp(1, MAX_SEQUENCES),
            threads: threads
                .unwrap_or_else(|| if is_small { 1 } else { cores::available() })
                .max(1),
            batch: BATCH,
            physical_batch,
            can_rewind: !is_recurrent,
        }
    }

    /// Returns llama.cpp's own form of the settings.
    pub(super) fn to_params(self) -> LlamaContextParams {
        // llama.cpp divides the cells between the conversations and wants a multiple of 256 each.
        let cells = self.context.next_multiple_of(256);
        let threads = i32::try_from(self.threads).unwrap_or(i32::MAX);
        LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells.saturating_mul(self.parallel)))
            .with_n_seq_max(self.parallel)
            .with_n_batch(self.batch)
            .with_n_ubatch(self.physical_batch)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_kv_unified(false)
            .with_swa_full(true)
            // LLAMA_FLASH_ATTN_TYPE_DISABLED
            .with_flash_attention_policy(0)
            .with_type_k(KvCacheType::F16)
            .with_type_v(KvCacheType::F16)
            .with_offload_kqv(false)
            .with_op_offload(false)
            .with_no_perf(true)
    }
}
