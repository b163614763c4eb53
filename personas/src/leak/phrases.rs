use std::collections::{BTreeMap, BTreeSet, HashMap};

use shipworthy_schema::Persona;

use super::{Leak, Match, PersonaOverlap};
use crate::words::words;

/// Words in a row by which a match is found; shorter ones are not seen.
pub(super) const WINDOW: usize = 4;

/// Stands for a word that no persona uses.
const UNKNOWN: u32 = u32::MAX;

/// Levels a training line shows: by factor, the names.
pub(super) type Shown = BTreeMap<&'static str, BTreeSet<String>>;

/// Every text of a pool's people, indexed by its words.
pub(super) struct Phrases<'a> {
    personas: &'a [Persona],
    trained: Vec<&'a BTreeMap<String, String>>,
    ngram: usize,
    ids: HashMap<String, u32>,
    indexed: Vec<Phrase>,
    /// Where each run of [`WINDOW`] words begins: phrase and word.
    index: HashMap<[u32; WINDOW], Vec<(usize, usize)>>,
    /// The texts of training people.
    vocabulary: Vec<Vec<u32>>,
    /// By phrase, start and length: whether training people have the run too.
    is_shared: HashMap<(usize, usize, usize), bool>,
    /// By levels shown: whether a training person takes them all.
    is_trained: BTreeMap<Shown, bool>,
}

struct Phrase {
    words: Vec<u32>,
    /// The people who have it, by place in the pool, and the field.
    owners: Vec<(usize, String)>,
    /// The one level it belongs to, as factor and level.
    level: Option<(&'static str, String)>,
}

/// Returns a person's texts with their field and, where a level determines them, the factor.
fn texts(persona: &Persona) -> Vec<(String, Option<&'static str>, &str)> {
    let mut texts: Vec<(String, Option<&'static str>, &str)> =
        vec![("background".to_owned(), None, persona.background.as_str())];
    let mut one = |factor: &'static str, field: &str, text| {
        texts.push((format!("{factor}.{field}"), Some(factor), text));
    };
    one("situation", "summary", persona.situation.summary.as_str());
    one("goal", "text", &persona.goal.text);
    one("goal", "success", &persona.goal.success);
    one("goal", "give_up", &persona.goal.give_up);
    one("disclosure", "text", &persona.disclosure.text);
    one("cooperation", "text", &persona.cooperation.text);
    one("emotion", "start", &persona.emotion.start);
    one("emotion", "raised_by", &persona.emotion.raised_by);
    one("emotion", "lowered_by", &persona.emotion.lowered_by);
    one("emotion", "end", &persona.emotion.end);
    one("style", "text", &persona.style.text);
    one("knowledge", "text", &persona.knowledge.text);
    let lists: [(&'static str, &str, &[String]); 6] = [
        ("situation", "openings", &persona.situation.openings),
        ("goal", "asks", &persona.goal.asks),
        ("goal", "closings", &persona.goal.closings),
        ("cooperation", "lines", &persona.cooperation.lines),
        ("emotion", "lines", &persona.emotion.lines),
        ("knowledge", "lines", &persona.knowledge.lines),
    ];
    for (factor, field, lines) in lists {
        for (i, line) in lines.iter().enumerate() {
            texts.push((format!("{factor}.{field}[{i}]"), Some(factor), line));
        }
    }
    for (i, fact) in persona.situation.facts.iter().enumerate() {
        texts.push((
            format!("situation.facts[{i}].text"),
            Some("situation"),
            &fact.text,
        ));
    }
    if let Some(risk) = &persona.risk {
        texts.push(("risk.text".to_owned(), Some("risk"), &risk.text));
        for (i, probe) in risk.probes.iter().enumerate() {
            texts.push((format!("risk.probes[{i}]"), Some("risk"), probe));
        }
    }
    texts
}

fn intern(ids: &mut HashMap<String, u32>, text: &str) -> Vec<u32> {
    words(text)
        .into_iter()
        .map(|word| {
            let next = u32::try_from(ids.len()).unwrap_or(UNKNOWN);
            *ids.entry(word).or_insert(next)
        })
        .collect()
}

impl<'a> Phrases<'a> {
    pub(super) fn new(personas: &'a [Persona], trained: &'a [Persona], ngram: usize) -> Self {
        let mut ids = HashMap::new();
        let mut by_text: BTreeMap<&str, Phrase> = BTreeMap::new();
        // A text that several levels of a factor have shows none of them.
        let mut levels: BTreeMap<&str, BTreeSet<(&'static str, &str)>> = BTreeMap::new();
        let mut vocabulary: BTreeSet<&str> = BTreeSet::new();
        for persona in personas.iter().chain(trained) {
            for (_, factor, text) in texts(persona) {
                let level = factor.and_then(|f| Some((f, persona.levels.get(f)?.as_str())));
                levels.entry(text).or_default().extend(level);
            }
        }
        for persona in trained {
            vocabulary.extend(texts(persona).into_iter().map(|(_, _, text)| text));
        }
        for (i, persona) in personas.iter().enumerate() {
            for (field, _, text) in texts(persona) {
                let known = &levels[text];
                let phrase = by_text.entry(text).or_insert_with(|| Phrase {
                    words: intern(&mut ids, text),
                    owners: Vec::new(),
                    level: match known.len() {
                        1 => known
                            .first()
                            .map(|&(factor, level)| (factor, level.to_owned())),
                        _ => None,
                    },
                });
                phrase.owners.push((i, field));
            }
        }
        let phrases: Vec<Phrase> = by_text.into_values().collect();
        let mut index: HashMap<[u32; WINDOW], Vec<(usize, usize)>> = HashMap::new();
        for (p, phrase) in phrases.iter().enumerate() {
            for (at, window) in phrase.words.windows(WINDOW).enumerate() {
                if let Ok(window) = <[u32; WINDOW]>::try_from(window) {
                    index.entry(window).or_default().push((p, at));
                }
            }
        }
        Self {
            personas,
            trained: trained.iter().map(|persona| &persona.levels).collect(),
            ngram,
            vocabulary: vocabulary
                .into_iter()
                .map(|text| intern(&mut ids, text))
                .collect(),
            ids,
            indexed: phrases,
            index,
            is_shared: HashMap::new(),
            is_trained: BTreeMap::new(),
        }
    }

    /// Finds the phrases in `text`, a value of the training `line`.
    pub(super) fn find(
        &mut self,
        text: &str,
        line: usize,
        shown: &mut Shown,
        overlaps: &mut [PersonaOverlap],
    ) {
        let spoken = words(text);
        let spoken_ids: Vec<u32> = spoken
            .iter()
            .map(|word| self.ids.get(word).copied().unwrap_or(UNKNOWN))
            .collect();
        for i in 0..spoken.len().saturating_sub(WINDOW - 1) {
            let Ok(window) = <[u32; WINDOW]>::try_from(&spoken_ids[i..i + WINDOW]) else {
                continue;
            };
            let Some(places) = self.index.get(&window) else {
                continue;
            };
            for (p, at) in places.clone() {
                let phrase = &self.indexed[p];
                let goes_on_before = i > 0 && at > 0 && phrase.words[at - 1] == spoken_ids[i - 1];
                if goes_on_before {
                    continue;
                }
                let rest = phrase.words[at..].iter().zip(&spoken_ids[i..]);
                let n_words = rest.take_while(|(a, b)| a == b).count();
                self.note(p, at, &spoken[i..i + n_words], line, shown, overlaps);
            }
        }
    }

    fn note(
        &mut self,
        p: usize,
        at: usize,
        run: &[String],
        line: usize,
        shown: &mut Shown,
        overlaps: &mut [PersonaOverlap],
    ) {
        let n_words = run.len();
        let phrase = &self.indexed[p];
        if let Some((factor, level)) = &phrase.level
            && n_words >= self.ngram.min(phrase.words.len())
        {
            shown.entry(factor).or_default().insert(level.clone());
        }
        let leaks = n_words >= self.ngram && !self.shared(p, at, n_words);
        let phrase = &self.indexed[p];
        for (i, field) in &phrase.owners {
            let overlap = &mut overlaps[*i];
            let found = || Match {
                words: n_words,
                text: run.join(" "),
                field: field.clone(),
                training_line: line,
            };
            if overlap
                .longest
                .as_ref()
                .is_none_or(|longest| longest.words < n_words)
            {
                overlap.longest = Some(found());
            }
            if leaks && overlap.leak.is_none() {
                overlap.leak = Some(Leak::OwnText(found()));
            }
        }
    }

    /// Tells whether training people have the same run of words in one of their texts.
    fn shared(&mut self, p: usize, at: usize, n_words: usize) -> bool {
        let run = &self.indexed[p].words[at..at + n_words];
        let vocabulary = &self.vocabulary;
        *self.is_shared.entry((p, at, n_words)).or_insert_with(|| {
            vocabulary
                .iter()
                .any(|text| text.windows(n_words).any(|window| window == run))
        })
    }

    /// Marks the people whose combination a training line shows.
    pub(super) fn combine(&mut self, shown: &Shown, line: usize, overlaps: &mut [PersonaOverlap]) {
        if shown.len() < 2 || self.trained.is_empty() {
            return;
        }
        let takes = |levels: &BTreeMap<String, String>| {
            (shown.iter()).all(|(&factor, names)| {
                levels
                    .get(factor)
                    .is_some_and(|level| names.contains(level))
            })
        };
        for (persona, overlap) in self.personas.iter().zip(overlaps) {
            if overlap.leak.is_some() || !takes(&persona.levels) {
                continue;
            }
            let trained = &self.trained;
            let is_trained = self.is_trained.entry(shown.clone());
            if *is_trained.or_insert_with(|| trained.iter().any(|levels| takes(levels))) {
                continue;
            }
            let theirs = |(&factor, _): (&&'static str, _)| {
                (
                    factor.to_owned(),
                    persona.levels.get(factor).cloned().unwrap_or_default(),
                )
            };
            overlap.leak = Some(Leak::Combination {
                training_line: line,
                levels: shown.iter().map(theirs).collect(),
            });
        }
    }
}
