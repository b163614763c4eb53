//! Damaged and hostile files, through every reader and through merging and converting: each is an error
//! that names the file and the place in it, and nothing is left behind.
//!
//! What one reader alone refuses is tested beside it; docs/fuzzing.md tells of the fuzz targets.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use shipworthy_models::gguf::{Existing, GgufFile};
use shipworthy_models::{
    Adapter, Checkpoint, ConvertOptions, FileType, MergeOptions, ModelError, OutputFormat, convert,
    merge,
};
use support::Golden;
use test_case::test_case;

const BASE: &str = r#"{"q.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"model.norm.weight":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]}}"#;
const LORA: &str = r#"{"q.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"q.lora_B.weight":{"dtype":"F32","shape":[3,1],"data_offsets":[8,20]},"model.norm.weight":{"dtype":"BF16","shape":[2],"data_offsets":[20,24]}}"#;
const INDEX: &str = "base/model.safetensors.index.json";
const ADAPTER_CONFIG: &str =
    r#"{"peft_type":"LORA","r":1,"lora_alpha":2,"modules_to_save":["norm"]}"#;

fn safetensors(header: &str, values: &[u8]) -> Vec<u8> {
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        values,
    ]
    .concat()
}

/// A model and an adapter that can be merged, as long as nobody damages them.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for folder in ["base", "adapter", "out"] {
            std::fs::create_dir(files.path(folder)).unwrap();
        }
        files.write("base/config.json", r#"{"model_type":"llama"}"#);
        files.write("base/model.safetensors", safetensors(BASE, &[60; 28]));
        files.write("adapter/adapter_config.json", ADAPTER_CONFIG);
        files.write(
            "adapter/adapter_model.safetensors",
            safetensors(LORA, &[60; 24]),
        );
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes over a tensor file's values, from `at` on.
    fn put(&self, name: &str, at: usize, bytes: &[u8]) {
        let mut file = std::fs::read(self.path(name)).unwrap();
        let header = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
        let at = 8 + header + at;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        self.write(name, file);
    }

    /// Puts other text into the header of a tensor file with so many bytes of values.
    fn change(&self, name: &str, from: &str, to: &str) {
        let header = if name.starts_with("base") { BASE } else { LORA };
        let changed = header.replacen(from, to, 1);
        assert_ne!(changed, header);
        let values = if name.starts_with("base") { 28 } else { 24 };
        self.write(name, safetensors(&changed, &vec![60; values]));
    }

    /// Makes the model one of two shards, with one tensor each, and this list of them.
    fn shard(&self, first: &str, second: &str, index: &str) {
        std::fs::remove_file(self.path("base/model.safetensors")).unwrap();
        for (file, tensor) in [("1", first), ("2", second)] {
            let header =
                format!(r#"{{"{tensor}":{{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}}}"#);
            self.write(
                &format!("base/{file}.safetensors"),
                safetensors(&header, &[0; 2]),
            );
        }
        self.write(INDEX, format!(r#"{{"weight_map":{index}}}"#));
    }

    /// Makes a file of so many bytes, all of them a hole.
    fn hole(&self, name: &str, length: u64) {
        std::fs::File::create(self.path(name))
            .unwrap()
            .set_len(length)
            .unwrap();
    }

    fn merge(&self, format: OutputFormat) -> Result<(), String> {
        let merged = || {
            let base = Checkpoint::open(&self.path("base"))?;
            let adapter = Adapter::open(&self.path("adapter"))?;
            let output = self.path("out/merged");
            let options = MergeOptions { output, format };
            merge(
                &base,
                &adapter,
                &options,
                &mut |_| ControlFlow::Continue(()),
            )
        };
        self.ended(merged().map(drop))
    }

    /// Checks that a failure leaves nothing behind.
    fn ended(&self, result: Result<(), ModelError>) -> Result<(), String> {
        let left = std::fs::read_dir(self.path("out")).unwrap().count();
        assert_eq!(left, usize::from(result.is_ok()));
        let place = self.0.path().display().to_string();
        result.map_err(|error| error.to_string().replace(&place, "."))
    }
}

#[test]
fn what_is_not_damaged_is_merged() {
    for format in [OutputFormat::Base, OutputFormat::F32, OutputFormat::Bf16] {
        Files::new().merge(format).unwrap();
    }
}

const NAN: [u8; 4] = f32::NAN.to_le_bytes();
const INFINITY: [u8; 2] = [0x80, 0x7F];

#[test_case(|f| f.put("base/model.safetensors", 8, &NAN), "`./base/model.safetensors`, tensor `q.weight` at byte 152: a value is infinite or NaN"; "nan in the base")]
#[test_case(|f| f.put("adapter/adapter_model.safetensors", 4, &NAN), "tensor `q.weight`: row 0 becomes infinite or NaN"; "nan in a")]
#[test_case(|f| f.put("adapter/adapter_model.safetensors", 16, &NAN), "tensor `q.weight`: row 2 becomes infinite or NaN"; "nan in b")]
#[test_case(|f| f.put("adapter/adapter_model.safetensors", 22, &INFINITY), "`./adapter/adapter_model.safetensors`, tensor `model.norm.weight` at byte 242: a value is infinite or NaN"; "infinity in a replacement")]
#[test_case(|f| f.change("base/model.safetensors", r#"F32","shape":[3,2]"#, r#"F64","shape":[3,1]"#), "tensor `q.weight`: its shape is [3, 1] in the base and [3, 2] in the adapter"; "another shape")]
#[test_case(|f| f.change("base/model.safetensors", r#"F32","shape":[3,2]"#, r#"I32","shape":[3,2]"#), "tensor `q.weight`: it is I32; F32, BF16 and F16 can be merged"; "integers in the base")]
#[test_case(|f| f.change("adapter/adapter_model.safetensors", "F32", "I32"), "`./adapter/adapter_model.safetensors`: tensor `q.lora_A.weight` is I32; F32, BF16 and F16"; "integers in the adapter")]
#[test_case(|f| f.change("adapter/adapter_model.safetensors", "[0,8]", "[0,12]"), "`./adapter/adapter_model.safetensors`, tensor `q.lora_A.weight` at byte 221: F32 of shape [1, 2] needs 8 bytes"; "overlap in the adapter")]
#[test_case(|f| f.change("base/model.safetensors", "[3,2]", "[9223372036854775808,2]"), "`./base/model.safetensors`, tensor `q.weight` at byte 162: F32 of shape [9223372036854775808, 2] needs more than 2^64 bytes"; "huge shape")]
#[test_case(|f| f.change("adapter/adapter_model.safetensors", "[1,2]", "[1,0,18446744073709551616]"), "`./adapter/adapter_model.safetensors`, byte 8: the header is not valid: "; "size beyond counting")]
#[test_case(|f| f.write("adapter/adapter_config.json", ADAPTER_CONFIG.replace("\"r\":1", "\"r\":1099511627776")), "`./adapter/adapter_model.safetensors`: tensor `q.lora_A.weight` has shape [1, 2], expected rank 1099511627776"; "huge rank")]
#[test_case(|f| f.write("adapter/adapter_config.json", ADAPTER_CONFIG.replace("\"r\":1", "\"r\":1e3")), "`./adapter/adapter_config.json`: invalid type: floating point"; "rank that is no integer")]
#[test_case(|f| f.write("adapter/adapter_config.json", b"{\"peft_type\":\"\xff\"}"), "`./adapter/adapter_config.json`: invalid unicode code point at line 1 column 15"; "configuration that is no text")]
#[test_case(|f| f.write("base/config.json", [b"{\"a\":", &vec![b'['; 100_000][..]].concat()), "`./base/config.json`: recursion limit exceeded at line 1 column 132"; "deep configuration")]
#[test_case(|f| f.write("adapter/adapter_config.json", vec![b'['; 100_000]), "`./adapter/adapter_config.json`: invalid type"; "deep adapter configuration")]
#[test_case(|f| f.write("base/model.safetensors", safetensors(&format!("{{\"__metadata__\":{}", "{\"a\":".repeat(100_000)), &[])), "`./base/model.safetensors`, byte 8: the header is not valid: EOF while parsing a value at line 1 column 500016"; "deep header")]
#[test_case(|f| f.hole("base/config.json", 1 << 31), "`./base/config.json` has 2147483648 bytes, more than the 8388608 such a file may have"; "large configuration")]
#[test_case(|f| f.hole("adapter/adapter_config.json", 1 << 40), "`./adapter/adapter_config.json` has 1099511627776 bytes, more than"; "large adapter configuration")]
#[test_case(|f| f.hole("base/model.safetensors", 1 << 40), "`./base/model.safetensors`, byte 8: the header is not valid: EOF"; "a hole for weights")]
#[test_case(|f| f.hole("adapter/adapter_model.safetensors", 0), "`./adapter/adapter_model.safetensors`, byte 0: the file has 0 bytes"; "no adapter")]
#[test_case(|f| f.shard("a", "b", r#"{"a":"2.safetensors","b":"1.safetensors"}"#), "`./base/model.safetensors.index.json`: shard `1.safetensors` has tensor `a`, which is not listed there"; "shards that have each other's tensors")]
#[test_case(|f| f.shard("a", "a", r#"{"a":"1.safetensors","b":"2.safetensors"}"#), "`./base/model.safetensors.index.json`: shard `2.safetensors` has tensor `a`, which is not listed there"; "a tensor in two shards")]
#[test_case(|f| f.shard("a", "b", r#"{"a":"model.safetensors.index.json"}"#), "`./base/model.safetensors.index.json`, byte 0: the header is said to have"; "an index that lists itself")]
#[test_case(|f| { f.shard("a", "b", r#"{"a":"3.safetensors"}"#); std::fs::create_dir(f.path("base/3.safetensors")).unwrap(); }, "failed to read `./base/3.safetensors`: not a file"; "a directory for a shard")]
#[test_case(|f| f.shard("a", "b", "\"\u{0}\""), "`./base/model.safetensors.index.json`: control character"; "an index that is no json")]
#[test_case(|f| { f.shard("a", "b", "{}"); f.write(INDEX, b"{\"weight_map\":{\"\xfe\":\"1.safetensors\"}}"); }, "`./base/model.safetensors.index.json`: invalid unicode code point at line 1 column"; "an index that is no text")]
#[test_case(|f| { f.shard("a", "b", "{}"); f.hole(INDEX, 1 << 31); }, "`./base/model.safetensors.index.json` has 2147483648 bytes, more than the 100000000"; "a large index")]
fn damage_is_named(damage: impl Fn(&Files), expected: &str) {
    let files = Files::new();
    damage(&files);
    let error = files.merge(OutputFormat::Base).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[cfg(unix)]
#[test_case(|path| rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap(), "not a file"; "pipe")]
#[test_case(|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(), "not a file"; "device")]
#[test_case(|path| std::os::unix::fs::symlink(path.file_name().unwrap(), path).unwrap(), "symbolic links"; "link to itself")]
fn what_has_no_end_is_not_read(make: impl Fn(&Path), expected: &str) {
    for name in [
        "base/config.json",
        "base/model.safetensors",
        INDEX,
        "adapter/adapter_config.json",
    ] {
        let files = Files::new();
        let _ = std::fs::remove_file(files.path(name));
        make(&files.path(name));
        let error = files.merge(OutputFormat::Base).unwrap_err();
        let is_named =
            error.contains(expected) || error.contains("there is no `model.safetensors`");
        assert!(is_named && error.contains("./"), "{name}: {error}");
    }
}

/// Hugging Face's cache is made of links to files elsewhere, so what a link leads to is read; only the
/// index, which came with the model, may not name a file elsewhere.
#[cfg(unix)]
#[test]
fn a_shard_may_be_a_link() {
    let files = Files::new();
    files.shard("a", "b", r#"{"a":"1.safetensors","b":"2.safetensors"}"#);
    std::fs::rename(files.path("base/2.safetensors"), files.path("blob")).unwrap();
    std::os::unix::fs::symlink("../blob", files.path("base/2.safetensors")).unwrap();
    assert_eq!(
        Checkpoint::open(&files.path("base"))
            .unwrap()
            .tensor_names()
            .count(),
        2
    );
}

#[test_case("base/model.safetensors")]
#[test_case("base/config.json")]
#[test_case("adapter/adapter_model.safetensors")]
#[test_case("adapter/adapter_config.json")]
fn every_shortening_is_named(name: &str) {
    let files = Files::new();
    let whole = std::fs::read(files.path(name)).unwrap();
    for length in 0..whole.len() {
        files.write(name, &whole[..length]);
        let error = files.merge(OutputFormat::Base).unwrap_err();
        assert!(error.contains(&format!("`./{name}`")), "{length}: {error}");
    }
}

#[test]
fn every_shortening_of_a_gguf_file_is_named() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/gguf/tensors.gguf");
    let whole = std::fs::read(golden).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.gguf");
    // What pads the last tensor may be missing.
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap();
    for length in 0..=end {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = GgufFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("m.gguf`, byte "), "{length}: {error}");
    }
}

/// What has no values may say any size the other way.
#[test_case("[0,4611686018427387904]")]
#[test_case("[4611686018427387904,0]")]
#[test_case("[0]")]
#[test_case("[0,18446744073709551615,2]")]
fn empty_tensors_are_merged(shape: &str) {
    for format in [OutputFormat::Base, OutputFormat::F32, OutputFormat::Bf16] {
        let files = Files::new();
        let empty =
            format!(r#"}},"e.weight":{{"dtype":"F16","shape":{shape},"data_offsets":[28,28]}}}}"#);
        files.change("base/model.safetensors", "}}", &empty);
        files.merge(format).unwrap();
        let names = Checkpoint::open(&files.path("out/merged")).unwrap();
        assert!(names.tensor_names().any(|name| name == "e.weight"));
    }
}

/// Converts one of the golden checkpoints, damaged.
fn converted(damage: impl Fn(&Path), file_type: FileType) -> Result<(), String> {
    let files = Files::new();
    let checkpoint = Golden::read("llama2").write_checkpoint("llama2", &files.path("base"));
    damage(&checkpoint);
    let result = Checkpoint::open(&checkpoint).and_then(|base| {
        let options = ConvertOptions {
            output: files.path("out/m.gguf"),
            file_type,
            existing: Existing::Keep,
            tokenizer: None,
        };
        convert(&base, None, &options, &mut |_| ControlFlow::Continue(()))
    });
    files.ended(result.map(drop))
}

fn put_nan(checkpoint: &Path) -> (PathBuf, String) {
    let path = checkpoint.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let name = "model.layers.0.mlp.down_proj.weight";
    let tensor = metadata.info(name).unwrap();
    // Infinity in bfloat16, or a NaN in 32 bits.
    let at = 8 + header + tensor.data_offsets.0 + 8;
    bytes[at..at + 4].copy_from_slice(&[0x80, 0x7F, 0x80, 0x7F]);
    std::fs::write(&path, bytes).unwrap();
    (
        path,
        format!("tensor `{name}` at byte {at}: a value is infinite or NaN"),
    )
}

#[test_case(FileType::F32)]
#[test_case(FileType::Bf16)]
#[test_case(FileType::F16)]
fn values_that_are_no_numbers_are_not_converted(file_type: FileType) {
    let expected = std::cell::RefCell::new(String::new());
    let damage = |checkpoint: &Path| *expected.borrow_mut() = put_nan(checkpoint).1;
    let error = converted(damage, file_type).unwrap_err();
    assert!(error.contains("model.safetensors`, "), "{error}");
    assert!(error.contains(&*expected.borrow()), "{error}");
}

fn hole(path: &Path) {
    std::fs::File::create(path)
        .unwrap()
        .set_len(1 << 31)
        .unwrap();
}

#[test_case(|c| hole(&c.join("tokenizer.json")), "tokenizer.json` has 2147483648 bytes, more than the 100000000"; "large tokenizer")]
#[test_case(|c| hole(&c.join("tokenizer.model")), "tokenizer.model` has 2147483648 bytes, more than the 100000000"; "large model of pieces")]
#[test_case(|c| hole(&c.join("tokenizer_config.json")), "tokenizer_config.json` has 2147483648 bytes, more than the 8388608"; "large tokenizer configuration")]
#[test_case(|c| hole(&c.join("generation_config.json")), "generation_config.json` has 2147483648 bytes, more than the 8388608"; "large generation configuration")]
#[test_case(|c| hole(&c.join("chat_template.jinja")), "chat_template.jinja` has 2147483648 bytes, more than the 262144"; "large template")]
#[test_case(|c| hole(&c.join("README.md")), "README.md` has 2147483648 bytes, more than"; "large card")]
#[test_case(|c| std::fs::write(c.join("tokenizer.json"), "[".repeat(100_000)).unwrap(), "tokenizer.json`: "; "deep tokenizer")]
#[test_case(|c| std::fs::write(c.join("tokenizer.json"), format!("{{\"model\":{{}},\"normalizer\":{}", "[".repeat(100_000))).unwrap(), "tokenizer.json`: recursion limit exceeded"; "deep normalizer")]
#[test_case(|c| std::fs::write(c.join("tokenizer.json"), format!("{{\"normalizer\":[{}0]}}", "0,".repeat(2_000_000))).unwrap(), "tokenizer.json`: more than 1000000 values in one"; "large normalizer")]
#[test_case(|c| std::fs::write(c.join("chat_template.jinja"), b"a\xff").unwrap(), "chat_template.jinja`: byte 1 is not UTF-8"; "template that is no text")]
fn damage_is_named_when_converting(damage: impl Fn(&Path), expected: &str) {
    let error = converted(damage, FileType::F32).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_is_not_damaged_is_converted() {
    converted(|_| (), FileType::F32).unwrap();
}
