//! `config.json`, then `generation_config.json` and the model card, and what a GGUF file says of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shipworthy_fuzz::{Files, parts};
use shipworthy_models::{FileType, Lineage, ModelConfig, model_metadata};

thread_local!(static FILES: Files = Files::new());

fuzz_target!(|data: &[u8]| {
    let mut parts = parts(data);
    FILES.with(|files| {
        for name in ["config.json", "generation_config.json", "README.md"] {
            files.write(name, parts.next().unwrap_or_default());
        }
        let Ok(config) = ModelConfig::read(files.path()) else {
            return;
        };
        let parameters = config.hyper_parameters();
        let lineage = Lineage::of_checkpoint(files.path(), &config, 1_000_000);
        if let (Ok(parameters), Ok(lineage)) = (parameters, lineage) {
            let values = model_metadata(config.family(), &parameters, &lineage, FileType::F32);
            assert!(!values.is_empty());
        }
    });
});
