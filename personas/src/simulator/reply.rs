/// What an assistant's reply did.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is seen or not, in any mix"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Says next to nothing, or nothing readable.
    pub(crate) empty: bool,
    /// Says what was said before.
    pub(crate) repeated: bool,
    /// Declines to help.
    pub(crate) refused: bool,
    /// Asks something.
    pub(crate) asked: bool,
    /// Offers something to do.
    pub(crate) advised: bool,
    /// Names or acknowledges a feeling.
    pub(crate) empathic: bool,
}

const REFUSALS: &[&str] = &[
    "i cant help",
    "i cannot help",
    "i am unable",
    "im unable",
    "i am not able to",
    "im not able to",
    "i wont",
    "i cant do that",
    "i cannot do that",
    "i cant assist",
    "i cannot assist",
];

/// Words that offer a concrete step; each stands at the start of one.
const STEPS: &[&str] = &[
    "try",
    "you could",
    "you can",
    "start with",
    "start by",
    "begin with",
    "begin by",
    "set a",
    "set an",
    "set your",
    "set one",
    "put the",
    "put your",
    "put a",
    "write down",
    "write one",
    "pick one",
    "pick a",
    "choose one",
    "choose a",
    "plan one",
    "first step",
    "one small step",
    "small step",
    "one step",
    "this week",
    "tonight",
    "tomorrow",
    "for ten minutes",
    "for five minutes",
    "ten minutes",
    "five minutes",
    "lets",
    "i suggest",
    "how about",
    "what about",
    "i will send",
    "i will refund",
    "i can send",
    "i can refund",
    "i have sent",
    "please restart",
    "please check",
    "click",
    "here is",
];

const FEELINGS: &[&str] = &[
    "sounds hard",
    "sounds tough",
    "sounds tiring",
    "sounds frustrating",
    "sounds difficult",
    "sounds stressful",
    "sounds heavy",
    "sounds like a lot",
    "must be",
    "must feel",
    "i hear you",
    "i can hear",
    "i understand",
    "i see how",
    "that is hard",
    "thats hard",
    "that is tough",
    "thats tough",
    "makes sense",
    "not alone",
    "i am sorry",
    "im sorry",
    "sorry to hear",
    "sorry that",
    "it is okay to",
    "its okay to",
    "it is normal",
    "thank you for telling",
    "thanks for telling",
    "thank you for sharing",
    "thanks for sharing",
    "no wonder",
    "you feel",
    "your feelings",
];

impl Reply {
    /// Reads `text` with its `words`, said after replies of the words `before`.
    pub(crate) fn read(text: &str, words: &[String], before: &[Vec<String>]) -> Self {
        let spoken = format!(" {} ", words.join(" "));
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| holds(&spoken, phrase));
        let empty = is_unreadable(words);
        let refused = says(REFUSALS);
        Self {
            empty,
            repeated: !empty && before.iter().any(|earlier| resembles(words, earlier)),
            refused,
            asked: !empty && text.contains('?'),
            advised: !empty && !refused && words.len() >= 4 && says(STEPS),
            empathic: says(FEELINGS),
        }
    }

    /// Tells whether the reply does anything for the person.
    pub(crate) fn engages(self) -> bool {
        !self.empty
            && !self.repeated
            && !self.refused
            && (self.asked || self.advised || self.empathic)
    }
}

/// Tells whether whole words of `spoken`, each between spaces, are `phrase`.
fn holds(spoken: &str, phrase: &str) -> bool {
    spoken
        .match_indices(phrase)
        .any(|(at, _)| spoken[..at].ends_with(' ') && spoken[at + phrase.len()..].starts_with(' '))
}

/// Fewer than two words, or hardly any different ones.
fn is_unreadable(words: &[String]) -> bool {
    let mut distinct: Vec<&String> = words.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let n_letters = words
        .iter()
        .filter(|w| w.chars().any(char::is_alphabetic))
        .count();
    n_letters < 2 || (words.len() >= 8 && distinct.len() * 4 < words.len())
}

/// At least four in five of a reply's word pairs stood in an earlier one.
fn resembles(reply: &[String], earlier: &[String]) -> bool {
    if reply == earlier {
        return true;
    }
    let known: std::collections::BTreeSet<_> = earlier.windows(2).collect();
    let n_pairs = reply.windows(2).len();
    let n_known = reply.windows(2).filter(|pair| known.contains(pair)).count();
    n_pairs >= 4 && n_known * 5 >= n_pairs * 4
}

/// Returns the questions of a reply: its sentences that end in a question mark.
pub(crate) fn questions(text: &str) -> Vec<&str> {
    text.split_inclusive(['.', '!', '?', '\n'])
        .map(str::trim)
        .filter(|sentence| sentence.ends_with('?'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Reply, questions};
    use crate::words::words;

    #[test]
    fn replies_are_told_apart() {
        let before = [words("What time do you go to bed?")];
        let read = |text| Reply::read(text, &words(text), &before);
        assert!(
            read("").empty && read("..").empty && read("the the the the the the the the the").empty
        );
        assert!(read("What time do you go to bed?").repeated);
        assert!(read("I'm sorry, I can't help with that.").refused);
        assert!(read("When do you usually get up?").asked);
        assert!(read("Put the tablet away tonight and read a book.").advised);
        assert!(read("That sounds hard. You are not alone.").empathic);
        assert!(!read("Life is full of colour and light.").engages());
        assert_eq!(
            questions("Hm. Why so? Fine! And when?"),
            ["Why so?", "And when?"]
        );
    }
}
