use std::path::Path;

use serde_json::Value as Json;

use super::model_id::{Extent, ModelId, title};
use super::size_label::size_label;
use super::*;
use crate::adapter::AdapterConfig;
use crate::model_config::ModelConfig;

fn golden() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/metadata/names.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn names_tell_what_gguf_py_reads_in_them() {
    for row in golden()["names"].as_array().unwrap() {
        let name = row[0].as_str().unwrap();
        // An adapter's number is below 0 there.
        let parameters = row[1].as_i64().unwrap();
        let extent = match parameters {
            0 => Extent::Unknown,
            1.. => Extent::Model(parameters.unsigned_abs()),
            _ => Extent::Adapter(parameters.unsigned_abs()),
        };
        let found = ModelId::parse(name, extent);
        let found = [
            found.name,
            found.organization,
            found.basename,
            found.finetune,
            found.version,
            found.size_label,
        ];
        let expected: [Option<String>; 6] = serde_json::from_value(row[2].clone()).unwrap();
        assert_eq!(found, expected, "{name}");
        assert_eq!(title(name), row[3].as_str().unwrap());
    }
}

#[test]
fn labels_of_sizes_are_gguf_pys() {
    for row in golden()["size_labels"].as_array().unwrap() {
        let found = size_label(row[0].as_u64().unwrap());
        assert_eq!(found, row[1].as_str().unwrap());
    }
}

#[test]
fn paths_on_a_machine_are_not_told() {
    for path in [
        "/home/me/models/My-Base",
        "../up/My-Base/",
        "~/My-Base",
        "C:\\me\\My-Base",
        "a/b/My-Base",
    ] {
        let source = Source::of_id(path);
        assert_eq!(source.name.as_deref(), Some("My Base"), "{path}");
        assert_eq!(
            (source.organization, source.repo_url),
            (None, None),
            "{path}"
        );
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new(base_card: &str, adapter_card: &str, base_model: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("Base-1B-Instruct");
        let adapter = place.path().join("my-tuning-v2");
        for (directory, card) in [(&base, base_card), (&adapter, adapter_card)] {
            std::fs::create_dir(directory).unwrap();
            if !card.is_empty() {
                std::fs::write(directory.join("README.md"), card).unwrap();
            }
        }
        let config = r#"{"model_type":"llama","_name_or_path":"org/Base-1B"}"#;
        std::fs::write(base.join("config.json"), config).unwrap();
        let sampling = r#"{"temperature":0.5}"#;
        std::fs::write(base.join("generation_config.json"), sampling).unwrap();
        let config = serde_json::json!({
            "peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"],
            "base_model_name_or_path": base_model,
        });
        std::fs::write(adapter.join("adapter_config.json"), config.to_string()).unwrap();
        Self(place)
    }

    fn merged(&self) -> Lineage {
        let base = self.0.path().join("Base-1B-Instruct");
        let adapter = self.0.path().join("my-tuning-v2");
        let config = ModelConfig::read(&base).unwrap();
        let adapter_config = AdapterConfig::read(&adapter).unwrap();
        Lineage::of_merged(&base, &config, &adapter, &adapter_config, 1_000_000_000).unwrap()
    }
}

const BASE_CARD: &str = "---\nname: The base\nlicense: base-licence\nlicense_link: there\nbase_model: org/older\ndatasets: org/base-data\nlanguage: en\n---\n";

#[test]
fn a_merged_model_is_the_adapters_and_keeps_the_bases_licence() {
    let lineage = Place::new(BASE_CARD, "", "org/Base-1B-Instruct").merged();
    let card = &lineage.card;
    assert_eq!(card.name.as_deref(), Some("My Tuning v2"));
    assert_eq!(card.version.as_deref(), Some("v2"));
    assert_eq!(card.license.as_deref(), Some("base-licence"));
    assert_eq!(card.license_link.as_deref(), Some("there"));
    assert_eq!(card.languages, Some(vec!["en".to_owned()]));
    assert_eq!(card.size_label.as_deref(), Some("1000M"));
    assert_eq!(
        card.base_models,
        Some(vec![Source::of_id("org/Base-1B-Instruct")])
    );
    assert_eq!(card.datasets, Some(vec![Source::of_id("org/base-data")]));
    assert_eq!(
        lineage.sampling.key_values().get("general.sampling.temp"),
        Some(&Value::F32(0.5))
    );
}

#[test]
fn the_adapters_card_goes_first() {
    let adapter =
        "---\nname: Mine\nlicense: mine\nbase_model: x/y\ndatasets: [x/data]\nlanguage: de\n---\n";
    let card = Place::new(BASE_CARD, adapter, "org/Base").merged().card;
    assert_eq!(card.name.as_deref(), Some("Mine"));
    assert_eq!(card.license.as_deref(), Some("mine"));
    // The link is to another licence's text.
    assert_eq!(card.license_link, None);
    assert_eq!(card.base_models, Some(vec![Source::of_id("x/y")]));
    assert_eq!(card.datasets, Some(vec![Source::of_id("x/data")]));
    assert_eq!(card.languages, Some(vec!["de".to_owned()]));
}

#[test]
fn an_adapter_trained_on_a_path_comes_from_what_the_base_is_called() {
    let card = Place::new("", "", "/home/me/base").merged().card;
    assert_eq!(card.base_models, Some(vec![Source::of_id("org/Base-1B")]));
}

#[test]
fn sampling_of_another_type_is_an_error_with_its_field() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("generation_config.json");
    for (text, expected) in [
        (
            r#"{"top_k":1.5}"#,
            "field `top_k`: expected a whole number below 2^31, found 1.5",
        ),
        (
            r#"{"top_k":4294967296}"#,
            "field `top_k`: expected a whole number",
        ),
        (
            r#"{"temperature":"hot"}"#,
            "field `temperature`: expected a number, found \"hot\"",
        ),
        (
            r#"{"top_p":1e300}"#,
            "field `top_p`: expected a number below 3.4e38",
        ),
        ("{", "EOF while parsing"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Sampling::read(place.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let empty = Sampling::read(&place.path().join("nowhere")).unwrap();
    assert!(empty.key_values().is_empty());
}

#[test]
fn the_name_of_a_directory_is_found_however_it_is_written() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("Some-7B");
    std::fs::create_dir_all(directory.join("inner")).unwrap();
    std::fs::write(directory.join("config.json"), r#"{"model_type":"llama"}"#).unwrap();
    for path in [
        directory.clone(),
        directory.join("."),
        directory.join("inner/.."),
    ] {
        let config = ModelConfig::read(&path).unwrap();
        let lineage = Lineage::of_checkpoint(&path, &config, 0).unwrap();
        assert_eq!(lineage.card.name.as_deref(), Some("Some 7B"), "{path:?}");
        assert_eq!(lineage.card.size_label.as_deref(), Some("7B"));
    }
}

#[test]
fn an_adapter_says_that_it_is_one_and_what_it_is_for() {
    let place = Place::new("", "", "/home/me/My-Base-7B");
    let adapter = place.0.path().join("my-tuning-v2");
    let config = AdapterConfig::read(&adapter).unwrap();
    let lineage = Lineage::of_adapter(&adapter, &config, 1000).unwrap();
    let values = adapter_metadata(Family::Mistral, &lineage, 16.0);
    let expected: [(&str, Value); 10] = [
        ("general.architecture", "llama".into()),
        ("general.type", "adapter".into()),
        ("adapter.type", "lora".into()),
        ("general.name", "My Tuning v2".into()),
        ("general.version", "v2".into()),
        ("general.basename", "my-tuning".into()),
        ("general.base_model.count", 1u32.into()),
        ("general.base_model.0.name", "My Base 7B".into()),
        ("adapter.lora.alpha", 16f32.into()),
        ("general.quantization_version", 2u32.into()),
    ];
    let found: Vec<(&str, Value)> = values
        .iter()
        .map(|(key, value)| (key, value.clone()))
        .collect();
    assert_eq!(found, expected);
}
