//! A tokenizer: first a byte that chooses the size and the family, then `tokenizer.json`,
//! `tokenizer_config.json` and `tokenizer.model`, the last two if they are there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shipworthy_fuzz::{Files, parts};
use shipworthy_models::{ChatTemplates, Family, SpecialTokens, Vocabulary};

thread_local!(static FILES: Files = Files::new());

const FAMILIES: [Family; 5] = [
    Family::Llama,
    Family::Mistral,
    Family::Qwen2,
    Family::Qwen3,
    Family::Gemma3,
];

fuzz_target!(|data: &[u8]| {
    let Some((&chosen, data)) = data.split_first() else {
        return;
    };
    let family = FAMILIES[usize::from(chosen) % FAMILIES.len()];
    let mut parts = parts(data);
    FILES.with(|files| {
        for name in ["tokenizer.json", "tokenizer_config.json", "tokenizer.model"] {
            match parts.next() {
                Some(part) => drop(files.write(name, part)),
                None => drop(std::fs::remove_file(files.path().join(name))),
            }
        }
        let vocab_size = 256 + 16 * usize::from(chosen);
        if let Ok(vocabulary) = Vocabulary::read(files.path(), family, vocab_size) {
            assert_eq!(vocabulary.tokens().len(), vocab_size);
            assert!(!vocabulary.metadata().is_empty());
        }
        let _ = SpecialTokens::read(files.path());
        let _ = ChatTemplates::read(files.path());
    });
});
