//! Learns a byte-level BPE from chat JSONL and writes `tokenizer.json`, for a model that begins at nothing.
//!
//!     train_tokenizer VOCABULARY OUT CONVERSATIONS...
//!
//! Text is split as GPT-2 splits it; the special tokens are those of `ChatML`. The same arguments give the same
//! bytes.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader};

use serde_json::Value;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};
use tokenizers::{DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [vocabulary, out, conversations @ ..] = arguments.as_slice() else {
        return Err("usage: train_tokenizer VOCABULARY OUT CONVERSATIONS...".into());
    };
    let mut texts = Vec::new();
    for path in conversations {
        for line in BufReader::new(File::open(path)?).lines() {
            let conversation: Value = serde_json::from_str(&line?)?;
            for message in conversation["messages"].as_array().ok_or("no messages")? {
                let text = |key| message[key].as_str().ok_or("a message without text");
                texts.push(format!("{}\n{}", text("role")?, text("content")?));
            }
        }
    }
    let special = ["<|pad|>", "<|im_start|>", "<|im_end|>"];
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocabulary.parse()?)
        .special_tokens(special.map(|token| AddedToken::from(token, true)).to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let byte_level = ByteLevel::default().add_prefix_space(false);
    let mut tokenizer = TokenizerBuilder::<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    >::default()
    .with_model(BPE::default())
    .with_normalizer(None)
    .with_pre_tokenizer(Some(byte_level.into()))
    .with_post_processor(None)
    .with_decoder(Some(byte_level.into()))
    .build()?;
    tokenizer
        .train(&mut trainer, texts.iter().map(String::as_str))?
        .save(out, true)?;
    Ok(())
}
