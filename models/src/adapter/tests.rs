use test_case::test_case;

use super::*;

const CONFIG: &str = r#"{"peft_type":"LORA","r":2,"lora_alpha":4}"#;

/// Opens an adapter of F32 tensors with these shapes.
fn opened(config: &str, tensors: &[(&str, &[usize])]) -> Result<Adapter, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(config::FILE), config).unwrap();
    let mut end = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let start = end;
            end += 4 * shape.iter().product::<usize>();
            format!(
                r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
            )
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; end]);
    std::fs::write(directory.path().join(WEIGHTS), bytes).unwrap();
    let place = directory.path().display().to_string();
    Adapter::open(directory.path()).map_err(|error| error.to_string().replace(&place, "."))
}

const Q: [(&str, &[usize]); 2] = [
    ("base_model.model.q.lora_A.weight", &[2, 3]),
    ("base_model.model.q.lora_B.weight", &[5, 2]),
];

#[test]
fn a_right_adapter_is_read() {
    let adapter = opened(CONFIG, &Q).unwrap();
    assert_eq!(adapter.module_names().collect::<Vec<_>>(), ["q"]);
    let lora = &adapter.modules()["q"];
    assert_eq!((lora.rank, lora.scale), (2, 2.0));
}

#[test_case(r#"{"peft_type":"IA3","r":2,"lora_alpha":4}"#, "PEFT type `IA3` is not supported"; "another method")]
#[test_case(r#"{"r":2,"lora_alpha":4}"#, "PEFT type `(not given)`"; "no method")]
#[test_case(r#"{"peft_type":"LORA","lora_alpha":4}"#, "missing field `r`"; "no rank")]
#[test_case(r#"{"peft_type":"LORA","r":-1,"lora_alpha":4}"#, "invalid value: integer `-1`"; "negative rank")]
#[test_case(r#"{"peft_type":"LORA","r":0,"lora_alpha":4}"#, "module `q`: rank 0 and alpha 4 give no scale"; "rank 0")]
#[test_case(r#"{"peft_type":"LORA","r":4,"lora_alpha":4}"#, "tensor `base_model.model.q.lora_A.weight` has shape [2, 3], expected rank 4"; "another rank")]
#[test_case(r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"use_dora":true}"#, "module `q`: `use_dora` is true"; "no magnitudes")]
#[test_case(r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"init_lora_weights":"pissa"}"#, r#"`init_lora_weights`: "pissa" is not supported"#; "a changed base")]
#[test_case(r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"layer_replication":[[0,1]]}"#, "`layer_replication`: [[0,1]] is not supported"; "replicated layers")]
#[test_case(r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"rank_pattern":{"(":1}}"#, "pattern `(`: regex parse error"; "no pattern")]
#[test_case(r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"alpha_pattern":{"q":"x"}}"#, "invalid type: string \"x\", expected f64"; "no number")]
fn a_wrong_configuration_is_named(config: &str, expected: &str) {
    let error = opened(config, &Q).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test_case(&[], "there is no tensor to merge"; "empty")]
#[test_case(&Q[..1], "module `q` has no `lora_B`"; "half")]
#[test_case(&[Q[0], ("base_model.model.q.lora_B.weight", &[5, 3])], "has shape [5, 3], expected outputs × rank 2"; "ranks differ")]
#[test_case(&[Q[0], ("base_model.model.q.lora_B.weight", &[10])], "has shape [10], expected (outputs, rank)"; "flat")]
#[test_case(&[Q[0], Q[1], ("q.lora_B.weight", &[5, 2])], "tensor `q.lora_B.weight` is there twice"; "twice")]
#[test_case(&[Q[0], Q[1], ("q.lora_magnitude_vector", &[5])], "`use_dora` is false"; "magnitudes unasked for")]
#[test_case(&[Q[0], Q[1], ("e.token_adapter.trainable_tokens_delta", &[5])], "of no known kind"; "another method's tensor")]
#[test_case(&[Q[0], Q[1], ("q.lora_a", &[5])], "tensor `q.lora_a` is of no known kind"; "another program's tensor")]
fn wrong_tensors_are_named(tensors: &[(&str, &[usize])], expected: &str) {
    let error = opened(CONFIG, tensors).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn patterns_match_the_end_of_a_name_and_the_first_counts() {
    let config = r#"{"peft_type":"LORA","r":2,"lora_alpha":4,
        "rank_pattern":{"a\\.q":8,"q":4}, "alpha_pattern":{"q|k":1.5}}"#;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(config::FILE), config).unwrap();
    let config = AdapterConfig::read(directory.path()).unwrap();
    let ranks = ["l.a.q", "a.q", "l.b.q", "bq", "q"].map(|name| config.rank_of(name));
    assert_eq!(ranks, [8, 8, 4, 2, 4]);
    let scales = ["b.k", "b.v", "bk"].map(|name| config.scale_of(name).unwrap());
    assert_eq!(scales, [0.75, 2.0, 2.0]);
}
