use unicode_segmentation::UnicodeSegmentation as _;

/// Joins lines that were broken to fit a page.
///
/// Where blank lines stand between paragraphs, a single line break is a space; where there is none,
/// each line is a paragraph.
pub(super) fn unwrapped(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let trimmed = &lines[lines.iter().take_while(|line| line.is_empty()).count()..];
    let last = trimmed.iter().rposition(|line| !line.is_empty());
    let trimmed = &trimmed[..last.map_or(0, |last| last + 1)];
    if !trimmed.contains(&"") {
        return trimmed.join("\n");
    }
    let paragraphs = trimmed.split(|line| line.is_empty());
    let paragraphs = paragraphs.filter(|lines| !lines.is_empty());
    let paragraphs: Vec<String> = paragraphs.map(|lines| lines.join(" ")).collect();
    paragraphs.join("\n\n")
}

/// Returns sentences with the space behind them (Unicode Standard Annex 29).
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_sentence_bounds()
}

/// Adds a sentence with its tokens, in parts where it has more than `size`.
pub(super) fn fitting<'a>(
    text: &'a str,
    count: &dyn Fn(&str) -> usize,
    size: usize,
    parts: &mut Vec<(&'a str, usize)>,
) {
    let mut left = vec![text];
    while let Some(text) = left.pop() {
        let tokens = count(text);
        match middle(text).filter(|_| tokens > size) {
            None => parts.push((text, tokens)),
            Some(at) => {
                let (head, tail) = text.split_at(at);
                left.push(tail);
                left.push(head);
            }
        }
    }
}

/// Returns where a text is cut in two: behind the space next to its middle, else at a character.
fn middle(text: &str) -> Option<usize> {
    let half = text.len() / 2;
    let spaces = text
        .char_indices()
        .filter(|(_, c)| c.is_whitespace())
        .map(|(at, c)| at + c.len_utf8())
        .filter(|&at| !text[..at].trim().is_empty() && !text[at..].trim().is_empty());
    spaces.min_by_key(|&at| at.abs_diff(half)).or_else(|| {
        let inside = text.trim_end();
        let characters = inside.char_indices().map(|(at, _)| at).skip(1);
        characters.min_by_key(|&at| at.abs_diff(half))
    })
}
