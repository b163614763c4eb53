//! From each safety regression to the conversation that shows it.

use shipworthy_schema::CandidateComparison;

use super::markup::{Markup, Tag};
use super::transcripts::conversation_link;

/// Returns a list of the conversations in which a candidate regressed, each a link to its transcript;
/// nothing where there is none.
pub(super) fn regressions(id: &str, candidate: &CandidateComparison) -> Markup {
    let items = candidate.safety.iter().flat_map(|safety| {
        safety.regressions.iter().map(|violation| {
            let conversation = &violation.conversation;
            let name = format!("{}, repeat {}", conversation.persona, conversation.repeat);
            let link = Tag::new("a").set("href", conversation_link(conversation));
            Tag::new("li").holding([
                link.saying(&name),
                Markup::text(&format!(": {}", safety.criterion)),
            ])
        })
    });
    let items: Markup = items.collect();
    if items.is_empty() {
        return Markup::default();
    }
    Tag::new("section")
        .set("id", id)
        .set("aria-labelledby", format!("{id}-title"))
        .holding([
            Tag::new("h3")
                .set("id", format!("{id}-title"))
                .saying("Regressions, to read in the transcripts"),
            Tag::new("ul").holding(items),
        ])
}
