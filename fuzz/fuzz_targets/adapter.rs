//! An adapter: its configuration, its tensors' header, their values. What can be read is merged into a
//! small model.

#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use shipworthy_fuzz::{Files, parts, safetensors};
use shipworthy_models::{Adapter, Checkpoint, MergeOptions, OutputFormat, merge};

/// The model: shapes of two dimensions and of one, and one that is empty.
const BASE: &[u8] = br#"{"model.embed_tokens.weight":{"dtype":"BF16","shape":[4,2],"data_offsets":[0,16]},"model.norm.weight":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]},"q.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[20,44]},"q.bias":{"dtype":"F32","shape":[3],"data_offsets":[44,56]},"e.weight":{"dtype":"F16","shape":[0,2],"data_offsets":[56,56]}}"#;

struct Place {
    base: Files,
    adapter: Files,
    output: Files,
}

thread_local!(static PLACE: Place = {
    let base = Files::new();
    base.write("config.json", br#"{"model_type":"llama","tie_word_embeddings":true}"#);
    base.write("model.safetensors", &safetensors(BASE, Some(&[60; 56])));
    Place { base, adapter: Files::new(), output: Files::new() }
});

fuzz_target!(|data: &[u8]| {
    let mut parts = parts(data);
    PLACE.with(|place| {
        place
            .adapter
            .write("adapter_config.json", parts.next().unwrap_or_default());
        let header = parts.next().unwrap_or_default();
        place.adapter.write(
            "adapter_model.safetensors",
            &safetensors(header, parts.next()),
        );
        let Ok(adapter) = Adapter::open(place.adapter.path()) else {
            return;
        };
        for module in adapter.module_names() {
            let scale = adapter.config().scale_of(module);
            assert!(scale.expect("it was looked at").is_finite());
        }
        let base = Checkpoint::open(place.base.path()).expect("the model is right");
        let output = place.output.path().join("merged");
        let options = MergeOptions {
            output: output.clone(),
            format: OutputFormat::Base,
        };
        let merged = merge(
            &base,
            &adapter,
            &options,
            &mut |_| ControlFlow::Continue(()),
        );
        if merged.is_ok() {
            Checkpoint::open(&output).expect("what was merged can be read");
            std::fs::remove_dir_all(&output).expect("it can be removed");
        }
        let left = std::fs::read_dir(place.output.path())
            .expect("it is there")
            .count();
        assert_eq!(left, 0, "something was left behind");
    });
});
