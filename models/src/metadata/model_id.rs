//! What a model's name tells of it, by the habits of those who name models.
//!
//! The rules are gguf-py's (`gguf/metadata.py`), so that the same name tells the same.

use std::sync::LazyLock;

use regex::Regex;

/// The parts of a name like `org/Base-7B-Instruct-v0.1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelId {
    /// All of it after the organisation.
    pub(super) name: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) basename: Option<String>,
    pub(super) finetune: Option<String>,
    pub(super) version: Option<String>,
    pub(super) size_label: Option<String>,
}

/// What is known of a model's size, by which a size in its name is told from the length of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Nothing.
    Unknown,
    /// A model has so many parameters.
    Model(u64),
    /// An adapter changes so many parameters; it need not reach all of the model.
    Adapter(u64),
}

/// What a part of a name was found to be; a part may be several.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "it is a set")]
struct Kinds {
    basename: bool,
    size_label: bool,
    finetune: bool,
    version: bool,
    number_type: bool,
}

impl Kinds {
    fn count(self) -> usize {
        let kinds = [
            self.basename,
            self.size_label,
            self.finetune,
            self.version,
            self.number_type,
        ];
        kinds.into_iter().filter(|&is| is).count()
    }
}

struct Patterns {
    version: Regex,
    number_type: Regex,
    size: Regex,
    finetune: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let whole = |pattern: &str| {
        let pattern = format!("(?i)^(?:{pattern})$");
        Regex::new(&pattern).expect("the pattern is written here and right")
    };
    Patterns {
        version: whole(r"(v|iter)?\d+([.]\d+)*"),
        number_type: whole(r"i?q\d(_\w)*|b?fp?(16|32)"),
        size: whole(r"([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl"),
        finetune: whole("chat|instruct|vision|lora"),
    }
});

impl ModelId {
    /// Reads a name.
    pub(super) fn parse(id: &str, extent: Extent) -> Self {
        if id.contains(' ') {
            // A sentence of a person's.
            return Self {
                name: Some(id.to_owned()),
                ..Self::default()
            };
        }
        let (organization, name) = match id.split_once('/') {
            Some((organization, name)) => (Some(organization), name),
            None => (None, id),
        };
        // `.` and `..` are no organisations.
        let organization = organization.filter(|name| !name.starts_with('.'));
        let mut parts: Vec<String> = name
            .split('-')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let kinds = kinds(&mut parts, extent);
        let joined = |is: fn(&Kinds) -> bool| {
            let chosen = parts.iter().zip(&kinds).filter(|(_, kinds)| is(kinds));
            let chosen: Vec<&str> = chosen.map(|(part, _)| part.as_str()).collect();
            (!chosen.is_empty()).then(|| chosen.join("-"))
        };
        let mut sizes: Vec<&str> = Vec::new();
        for (part, kinds) in parts.iter().zip(&kinds) {
            if kinds.size_label && !sizes.contains(&part.as_str()) {
                sizes.push(part);
            }
        }
        let size_label = (!sizes.is_empty()).then(|| sizes.join("-"));
        let finetune = joined(|kinds| kinds.finetune);
        let version = joined(|kinds| kinds.version && !kinds.basename);
        let basename = joined(|kinds| kinds.basename);
        // A name of one part tells nothing for certain.
        let certain = size_label.is_some() || finetune.is_some() || version.is_some();
        Self {
            name: Some(name.to_owned()),
            organization: organization.map(str::to_owned),
            basename: basename.filter(|_| certain),
            finetune,
            version,
            size_label,
        }
    }
}

/// Finds what each part is, and brings sizes and types into their usual form.
fn kinds(parts: &mut [String], extent: Extent) -> Vec<Kinds> {
    let mut all = vec![Kinds::default(); parts.len()];
    for (idx, (part, kinds)) in parts.iter_mut().zip(&mut all).enumerate() {
        if PATTERNS.version.is_match(part) {
            kinds.version = true;
        } else if PATTERNS.number_type.is_match(part) {
            kinds.number_type = true;
            *part = part.to_uppercase();
        } else if idx > 0 && PATTERNS.size.is_match(part) {
            let (size, is_context) = normal_size(part, extent);
            *part = size;
            kinds.finetune = is_context;
            kinds.size_label = !is_context;
        } else if idx > 0 && PATTERNS.finetune.is_match(part) {
            // That an adapter is a LoRA goes without saying.
            let is_kind = matches!(extent, Extent::Adapter(_)) && part.eq_ignore_ascii_case("lora");
            kinds.number_type = is_kind;
            kinds.finetune = !is_kind;
        }
    }
    // `large` says less than `7B`.
    let mut sizes = parts.iter().zip(&all).filter(|(_, kinds)| kinds.size_label);
    if sizes.any(|(part, _)| part.chars().any(char::is_numeric)) {
        for (part, kinds) in parts.iter().zip(&mut all) {
            kinds.size_label &= !part.chars().all(char::is_alphabetic);
        }
    }
    let mut at_start = true;
    for (part, kinds) in parts.iter().zip(&mut all) {
        let is_word = kinds.count() == 0 && part.starts_with(char::is_alphabetic);
        if at_start && (is_word || kinds.version) {
            kinds.basename = true;
        } else {
            at_start = false;
            kinds.finetune |= kinds.count() == 0;
        }
    }
    // A version at the end of the base's name is the model's.
    for kinds in all.iter_mut().rev() {
        if !kinds.basename || kinds.count() == 1 {
            break;
        }
        kinds.basename = false;
    }
    all
}

/// Returns a size in its usual form, and whether it is rather the length of a context.
fn normal_size(part: &str, extent: Extent) -> (String, bool) {
    let mut chars: Vec<char> = part.replace('_', ".").chars().collect();
    if let [.., unit, last] = chars[..]
        && last.is_numeric()
    {
        // 7b1 is 7.1b.
        chars.truncate(chars.len() - 2);
        chars.extend(['.', last, unit]);
    }
    if let [.., before, last] = &mut chars[..]
        && before.is_numeric()
        && "kmbt".contains(*last)
    {
        last.make_ascii_uppercase();
    }
    let is_context = is_far_from(&chars, extent);
    if is_context && let Some(last) = chars.last_mut() {
        last.make_ascii_lowercase();
    }
    (chars.into_iter().collect(), is_context)
}

/// Tells whether a size differs from a model's number of parameters by more than 7/8 of it, or is less
/// than 1/8 of an adapter's.
fn is_far_from(size: &[char], extent: Extent) -> bool {
    let Some((unit, digits)) = size.split_last() else {
        return false;
    };
    let digits: String = digits.iter().collect();
    let starts_as_number = digits.starts_with(|c: char| c.is_ascii_digit());
    let Some(number) = digits.parse::<f64>().ok().filter(|_| starts_as_number) else {
        // A word, or a number of experts.
        return false;
    };
    let power = match unit {
        'K' => 1,
        'M' => 2,
        'B' => 3,
        'T' => 4,
        _ => return false,
    };
    let said = number * 1000f64.powi(power);
    match extent {
        Extent::Unknown | Extent::Model(0) => false,
        Extent::Model(parameters) => {
            let most = (u128::from(parameters) * 7 / 8) as f64;
            (said - parameters as f64).abs() > most
        }
        Extent::Adapter(parameters) => said < (parameters / 8) as f64,
    }
}

/// Returns a name as people write it: words for dashes, capitals at the start of words that have none.
pub(super) fn title(name: &str) -> String {
    let spaced = name.replace('-', " ");
    let words = spaced.split_whitespace().map(|word| {
        if is_lower(word) && !is_version(word) {
            capitalised(word)
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Tells whether there are small letters and no capitals.
fn is_lower(word: &str) -> bool {
    word.chars().any(char::is_lowercase) && !word.chars().any(char::is_uppercase)
}

/// Tells whether a word begins with a digit, or is `v` and a version.
fn is_version(word: &str) -> bool {
    let numeric = |c: char| c.is_numeric();
    if word.starts_with(numeric) {
        return true;
    }
    let Some(version) = word.strip_prefix('v') else {
        return false;
    };
    let mut numbers = version.split('.');
    numbers.all(|number| !number.is_empty() && number.chars().all(numeric))
}

/// Begins every run of letters with a capital.
fn capitalised(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut in_run = false;
    for c in word.chars() {
        let is_letter = c.is_lowercase() || c.is_uppercase();
        if in_run {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_run = is_letter;
    }
    out
}
