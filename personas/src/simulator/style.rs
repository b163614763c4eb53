use shipworthy_schema::Persona;

const TYPOS: &[(&str, &str)] = &[
    ("the", "teh"),
    ("really", "realy"),
    ("because", "becuase"),
    ("don't", "dont"),
    ("can't", "cant"),
    ("I'm", "im"),
    ("that", "taht"),
    ("before", "befor"),
    ("always", "allways"),
    ("know", "knwo"),
    ("with", "wiht"),
    ("would", "woud"),
    ("already", "allready"),
];

/// Returns `text` as the persona writes it.
///
/// The typos fall only on words that matter to no fact, and never on the persona's own sentence:
/// it must be found again word by word.
pub(super) fn styled(persona: &Persona, text: &str) -> String {
    if !persona.style.typos {
        return text.to_owned();
    }
    let (before, own) = match text.find(&persona.background) {
        Some(at) if !persona.background.is_empty() => text.split_at(at),
        _ => (text, ""),
    };
    let mut n_typos = 0;
    let mistyped: Vec<String> = before
        .split(' ')
        .enumerate()
        .map(
            |(i, word)| match TYPOS.iter().find(|(right, _)| *right == word) {
                // About one in two, so that the same word is not always wrong.
                Some((_, wrong)) if (i + before.len()) % 2 == 0 && n_typos < 2 => {
                    n_typos += 1;
                    (*wrong).to_owned()
                }
                _ => word.to_owned(),
            },
        )
        .collect();
    format!("{}{own}", mistyped.join(" ")).to_lowercase()
}
