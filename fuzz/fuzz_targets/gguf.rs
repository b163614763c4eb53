//! GGUF: the whole file is the input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shipworthy_fuzz::Files;
use shipworthy_models::GgufDescription;
use shipworthy_models::gguf::GgufFile;

thread_local!(static FILES: Files = Files::new());

fuzz_target!(|data: &[u8]| {
    let path = FILES.with(|files| files.write("m.gguf", data));
    let Ok(file) = GgufFile::open(&path) else {
        return;
    };
    for tensor in file.tensors() {
        assert_eq!(file.data(tensor).len() as u64, tensor.bytes());
        assert_eq!(
            file.tensor(tensor.name()).map(|found| found.offset()),
            Some(tensor.offset())
        );
    }
    let description = GgufDescription::of(&file);
    assert_eq!(description.bytes, data.len() as u64);
    let json = serde_json::to_string(&description).expect("a description is JSON");
    assert!(!json.is_empty());
});
