use super::Message;
use super::messages::role;
use crate::role::Role;

/// Returns where the completion of a conversation begins: behind the user's last message.
///
/// Without a user it begins behind the system message.
pub(super) fn completion_at(messages: &[Message]) -> usize {
    let last = messages
        .iter()
        .rposition(|message| role(message) == Some(Role::User));
    let system = || {
        messages
            .iter()
            .take_while(|message| role(message) == Some(Role::System))
            .count()
    };
    last.map_or_else(system, |last| last + 1)
}

/// Tells whether the assistant speaks in any of these.
pub(super) fn has_reply(messages: &[Message]) -> bool {
    messages
        .iter()
        .any(|message| role(message) == Some(Role::Assistant))
}
