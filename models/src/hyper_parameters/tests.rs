use test_case::test_case;

use super::*;
use crate::model_config::ModelConfig;

const LLAMA: &str = r#""model_type":"llama","vocab_size":96,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":3,"num_attention_heads":4,"max_position_embeddings":64"#;
const QWEN: &str = r#""model_type":"qwen2","vocab_size":96,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64"#;
const GEMMA: &str = r#""model_type":"gemma3","text_config":{"num_hidden_layers":7"#;

fn read(text: &str) -> Result<HyperParameters, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), text).unwrap();
    let place = directory.path().display().to_string();
    let config = ModelConfig::read(directory.path()).unwrap();
    let read = config.hyper_parameters();
    read.map_err(|error| error.to_string().replace(&place, "."))
}

fn llama(more: &str) -> Result<HyperParameters, String> {
    // Of a key that is there twice, the last counts.
    read(&format!("{{{LLAMA}{more}}}"))
}

#[test]
fn what_is_not_said_is_taken_for_granted() {
    let model = llama("").unwrap();
    assert_eq!((model.head_dim, model.num_key_value_heads), (8, 4));
    assert_eq!((model.rms_norm_eps, model.rope.theta), (1e-6, 10_000.0));
    assert_eq!(model.rope.scaling, RopeScaling::None);
    assert_eq!(
        (model.qkv_bias, model.mlp_bias, model.sliding_window),
        (false, false, None)
    );
    assert_eq!(model.layer_types, [LayerType::Full; 3]);
    let model = read(&format!("{{{GEMMA}}}}}")).unwrap();
    assert_eq!((model.head_dim, model.vocab_size), (256, 262_208));
    assert_eq!((model.rope.theta, model.rope.local_theta), (1e6, Some(1e4)));
    assert_eq!(model.sliding_window, Some(4096));
    assert_eq!(
        model.layer_types[4..],
        [LayerType::Sliding, LayerType::Full, LayerType::Sliding]
    );
    assert!(model.tie_word_embeddings);
    assert_eq!(model.activation, Activation::GeluTanh);
}

#[test]
fn windows_are_where_they_are_used() {
    let read = |more: &str| read(&format!("{{{QWEN}{more}}}")).unwrap();
    let model = read("");
    assert_eq!((model.qkv_bias, model.output_bias), (true, false));
    assert_eq!(
        (model.sliding_window, model.layer_types),
        (None, vec![LayerType::Full; 3])
    );
    let model = read(r#","use_sliding_window":true,"sliding_window":9,"max_window_layers":1"#);
    assert_eq!(model.sliding_window, Some(9));
    assert_eq!(
        model.layer_types,
        [LayerType::Full, LayerType::Sliding, LayerType::Sliding]
    );
    let listed = r#","layer_types":["sliding_attention","full_attention","full_attention"]"#;
    let model = read(&format!(r#","use_sliding_window":true{listed}"#));
    assert_eq!(
        model.layer_types,
        [LayerType::Sliding, LayerType::Full, LayerType::Full]
    );
}

#[test]
fn either_form_of_rope_is_read() {
    let theta = |more: &str| llama(more).unwrap().rope;
    assert_eq!(theta(r#","rope_theta":5"#).theta, 5.0);
    assert_eq!(
        theta(r#","rope_parameters":{"rope_theta":7},"rope_theta":5"#).theta,
        7.0
    );
    assert_eq!(
        theta(r#","rope_parameters":{"full_attention":{"rope_theta":8}}"#).theta,
        8.0
    );
    let linear = RopeScaling::Linear { factor: 2.0 };
    let older = r#","rope_scaling":{"type":"linear","factor":2},"rope_theta":5"#;
    assert_eq!((theta(older).theta, theta(older).scaling), (5.0, linear));
    let llama3 = r#","rope_scaling":{"rope_type":"llama3","factor":8}"#;
    let RopeScaling::Llama3(scaling) = theta(llama3).scaling else {
        panic!()
    };
    // The context is the model's where no other is given.
    assert_eq!(scaling.original_max_position_embeddings, 64);
    assert_eq!(theta(llama3).llama3_factors(8).unwrap().len(), 4);
    assert_eq!(theta("").llama3_factors(8), None);
}

#[test_case(r#","hidden_size":null"#, "field `hidden_size`: it is missing"; "missing")]
#[test_case(r#","hidden_size":"32""#, "field `hidden_size`: expected a whole number, found \"32\""; "text")]
#[test_case(r#","num_attention_heads":0"#, "field `num_attention_heads`: expected a whole number of 1 to 2147483647, found 0"; "no heads")]
#[test_case(r#","num_attention_heads":-4"#, "found -4"; "negative")]
#[test_case(r#","num_attention_heads":4.0"#, "found 4.0"; "a fraction")]
#[test_case(r#","vocab_size":4294967296"#, "field `vocab_size`: expected a whole number of 1 to 2147483647, found 4294967296"; "large")]
#[test_case(r#","num_hidden_layers":10001"#, "field `num_hidden_layers`: expected a whole number of 1 to 10000"; "layers")]
#[test_case(r#","num_attention_heads":5"#, "field `hidden_size`: expected a multiple of `num_attention_heads`, which is 5, found 32"; "heads do not divide")]
#[test_case(r#","num_key_value_heads":3"#, "field `num_key_value_heads`: expected a divisor of `num_attention_heads`, which is 4, found 3"; "key heads do not divide")]
#[test_case(r#","head_dim":7"#, "field `head_dim`: expected an even number, found 7"; "odd head")]
#[test_case(r#","rms_norm_eps":0"#, "field `rms_norm_eps`: expected a number above 0, found 0"; "no epsilon")]
#[test_case(r#","rope_theta":-1"#, "field `rope_theta`: expected a number above 0"; "theta")]
#[test_case(r#","rope_scaling":[]"#, "field `rope_scaling`: expected an object, found a list"; "scaling is a list")]
#[test_case(r#","rope_scaling":{"type":"linear"}"#, "field `rope_scaling.factor`: it is missing"; "no factor")]
#[test_case(r#","rope_scaling":{"type":"longrope"}"#, "field `rope_scaling.type`: `longrope` is not supported; supported are default, linear, llama3, yarn"; "another scaling")]
#[test_case(r#","rope_parameters":{"rope_type":"llama3","factor":2,"low_freq_factor":4,"high_freq_factor":4}"#, "field `rope_parameters.high_freq_factor`: expected a number above `low_freq_factor`, which is 4, found 4"; "frequencies")]
#[test_case(r#","hidden_act":"relu""#, "field `hidden_act`: `relu` is not supported"; "activation")]
fn what_cannot_be_is_an_error_with_its_field(more: &str, expected: &str) {
    let error = llama(more).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert!(error.starts_with("`./config.json`, field `"), "{error}");
}

#[test_case(r#","head_dim":"x""#, "field `text_config.head_dim`: expected a whole number"; "inner field")]
#[test_case(r#","layer_types":[]"#, "field `text_config.layer_types`: expected 7 layers"; "layers listed")]
#[test_case(r#","layer_types":["a",0,0,0,0,0,0]"#, "`a` is not supported; supported are full_attention, sliding_attention"; "layer type")]
#[test_case(r#","attn_logit_softcapping":50"#, "field `text_config.attn_logit_softcapping`: `50` is not supported"; "softcapping")]
#[test_case(r#","sliding_window_pattern":0"#, "field `text_config.sliding_window_pattern`: expected a whole number of 1 to"; "pattern")]
fn inner_fields_are_called_so(more: &str, expected: &str) {
    let error = read(&format!("{{{GEMMA}{more}}}}}")).unwrap_err();
    assert!(error.contains(expected), "{error}");
}
