use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Returns for each configuration the keys that are not the same in all of them, with its values;
/// null where it has none.
pub(super) fn differences(all: &[Map<String, Value>]) -> Vec<BTreeMap<String, Value>> {
    let keys = all.iter().flat_map(Map::keys);
    let differing = keys.filter(|key| {
        let mut values = all.iter().map(|keys| keys.get(*key));
        let first = values.next().flatten();
        values.any(|value| value != first)
    });
    let differing: std::collections::BTreeSet<&String> = differing.collect();
    let of = |keys: &Map<String, Value>| {
        let value = |key: &&String| {
            let value = keys.get(*key).cloned().unwrap_or_default();
            ((*key).clone(), value)
        };
        differing.iter().map(value).collect()
    };
    all.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_all_share_is_left_out() {
        let maps = [
            json!({"lora_r": 8, "seed": 1}),
            json!({"lora_r": 16, "seed": 1, "max_steps": 3}),
        ];
        let maps: Vec<Map<String, Value>> =
            maps.map(|map| map.as_object().unwrap().clone()).to_vec();
        let found = differences(&maps);
        assert_eq!(json!(found[0]), json!({"lora_r": 8, "max_steps": null}));
        assert_eq!(json!(found[1]), json!({"lora_r": 16, "max_steps": 3}));
        assert!(differences(&maps[..1])[0].is_empty());
    }
}
