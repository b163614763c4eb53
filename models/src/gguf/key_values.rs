use std::collections::HashMap;

use super::value::Value;

/// Keys and their values, in the order of the file, no key twice.
#[derive(Clone, Debug, Default)]
pub struct KeyValues {
    entries: Vec<(String, Value)>,
    places: HashMap<String, usize>,
}

impl KeyValues {
    /// Returns none yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key: at the end if it is new, else in its old place, where its old value is returned.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        if let Some(&place) = self.places.get(&key) {
            return Some(std::mem::replace(&mut self.entries[place].1, value));
        }
        self.places.insert(key.clone(), self.entries.len());
        self.entries.push((key, value));
        None
    }

    /// Returns a key's value, if the key is there.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.places.get(key).map(|&place| &self.entries[place].1)
    }

    /// Returns keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialEq for KeyValues {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Into<String>, V: Into<Value>> Extend<(K, V)> for KeyValues {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl IntoIterator for KeyValues {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_first_place() {
        let mut values = KeyValues::new();
        assert_eq!(values.insert("b", 1u32), None);
        assert_eq!(values.insert("a", "x"), None);
        assert_eq!(values.insert("b", 2u32), Some(Value::U32(1)));
        let entries: Vec<_> = values.iter().collect();
        assert_eq!(
            entries,
            [("b", &Value::U32(2)), ("a", &Value::String("x".into()))]
        );
    }
}
