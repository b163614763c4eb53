//! What a file says of itself costs no memory: alone in its program, because it counts all that is
//! allocated.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]
#![expect(unsafe_code, reason = "only an allocator can count what is allocated")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use shipworthy_models::gguf::GgufFile;
use shipworthy_models::{Adapter, Checkpoint, MergeOptions, OutputFormat, merge};

/// The most bytes that were in use at a time.
static PEAK: AtomicUsize = AtomicUsize::new(0);
static USED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does the work; numbers are only added up beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and returns the most bytes that were in use beyond those before.
fn peak(work: impl FnOnce()) -> usize {
    let before = USED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed) - before
}

const CLAIMED: u64 = 1 << 40;
const MEGABYTE: usize = 1 << 20;

fn gguf(counts: [u64; 2], rest: &[&[u8]]) -> Vec<u8> {
    let [tensors, keys] = counts.map(u64::to_le_bytes);
    let start: &[&[u8]] = &[b"GGUF\x03\0\0\0", &tensors, &keys];
    let mut bytes = [start, rest].concat().concat();
    bytes.resize(MEGABYTE, 0);
    bytes
}

fn safetensors(header: &str, length: usize) -> Vec<u8> {
    let mut bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    bytes.resize(length.max(bytes.len()), 0);
    bytes
}

fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(directory.join(name), bytes).unwrap();
}

#[test]
fn a_megabyte_that_claims_a_terabyte_takes_little_memory() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.gguf");
    let claimed = CLAIMED.to_le_bytes();
    let one = 1u64.to_le_bytes();
    let (u32_0, u32_1) = (0u32.to_le_bytes(), 1u32.to_le_bytes());
    let types: [&[u8]; 4] = [
        &[9, 0, 0, 0, 0, 0, 0, 0],
        &[9, 0, 0, 0, 8, 0, 0, 0],
        &[9, 0, 0, 0, 9, 0, 0, 0],
        &[8, 0, 0, 0],
    ];
    let mut files = vec![
        gguf([CLAIMED, 0], &[]),
        gguf([0, CLAIMED], &[]),
        gguf([0, 1], &[&claimed]),
        gguf([1, 0], &[&one, b"a", &u32_1, &claimed, &u32_0, &[0; 8]]),
    ];
    files.extend(types.map(|kind| gguf([0, 1], &[&one, b"k", kind, &claimed])));
    for (idx, bytes) in files.into_iter().enumerate() {
        std::fs::write(&path, bytes).unwrap();
        let peak = peak(|| drop(GgufFile::open(&path).unwrap_err()));
        assert!(peak < 64 * MEGABYTE, "GGUF {idx}: {peak}");
    }

    let model = place.path().join("model");
    std::fs::create_dir(&model).unwrap();
    write(&model, "config.json", r#"{"model_type":"llama"}"#);
    for header in [
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[{CLAIMED}],"data_offsets":[0,{}]}}}}"#,
            4 * CLAIMED
        ),
        format!(r#"{{"a":{{"dtype":"F32","shape":[{CLAIMED}],"data_offsets":[0,1048000]}}}}"#),
    ] {
        write(&model, "model.safetensors", safetensors(&header, MEGABYTE));
        let peak = peak(|| drop(Checkpoint::open(&model).unwrap_err()));
        assert!(peak < 64 * MEGABYTE, "{header}: {peak}");
    }

    let adapter = place.path().join("adapter");
    std::fs::create_dir(&adapter).unwrap();
    let patterns: Vec<String> = (0..200)
        .map(|i| format!(r#""(\\w{{3}}|q){i}":1"#))
        .collect();
    let config = format!(
        r#"{{"peft_type":"LORA","r":{CLAIMED},"lora_alpha":1,"rank_pattern":{{{}}}}}"#,
        patterns.join(",")
    );
    write(&adapter, "adapter_config.json", config);
    let lora = r#"{"q.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"q.lora_B.weight":{"dtype":"F32","shape":[3,1],"data_offsets":[8,20]}}"#;
    write(
        &adapter,
        "adapter_model.safetensors",
        safetensors(lora, 8 + lora.len() + 20),
    );
    let found = peak(|| drop(Adapter::open(&adapter).unwrap_err()));
    assert!(found < 64 * MEGABYTE, "adapter: {found}");

    // No values one way, a terabyte the other way.
    write(
        &adapter,
        "adapter_config.json",
        r#"{"peft_type":"LORA","r":1,"lora_alpha":1}"#,
    );
    let header = format!(
        r#"{{"q.weight":{{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}},"e":{{"dtype":"F32","shape":[0,{CLAIMED}],"data_offsets":[24,24]}}}}"#
    );
    write(
        &model,
        "model.safetensors",
        safetensors(&header, 8 + header.len() + 24),
    );
    let found = peak(|| {
        let base = Checkpoint::open(&model).unwrap();
        let adapter = Adapter::open(&adapter).unwrap();
        let output = place.path().join("out");
        let options = MergeOptions {
            output,
            format: OutputFormat::Bf16,
        };
        merge(
            &base,
            &adapter,
            &options,
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
    });
    assert!(found < 64 * MEGABYTE, "merging: {found}");
}
