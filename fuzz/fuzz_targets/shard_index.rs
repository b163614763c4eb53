//! A sharded checkpoint: the index, then the header and the values of each of two shards.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shipworthy_fuzz::{Files, parts, safetensors};
use shipworthy_models::Checkpoint;

thread_local!(static FILES: Files = {
    let files = Files::new();
    files.write("config.json", br#"{"model_type":"llama"}"#);
    files
});

fuzz_target!(|data: &[u8]| {
    let mut parts = parts(data);
    FILES.with(|files| {
        files.write(
            "model.safetensors.index.json",
            parts.next().unwrap_or_default(),
        );
        for name in ["1.safetensors", "2.safetensors"] {
            let header = parts.next().unwrap_or_default();
            files.write(name, &safetensors(header, parts.next()));
        }
        if let Ok(checkpoint) = Checkpoint::open(files.path()) {
            assert!(checkpoint.tensor_names().count() > 0);
        }
    });
});
