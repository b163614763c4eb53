use serde_json::Value;

use crate::fault::Problem;
use crate::role::Role;

/// Finds roles where they cannot be, and a conversation that nobody answers.
pub(crate) fn check(roles: &[Role], messages: &[Value], found: &mut Vec<(String, Problem)>) {
    let mut previous = None;
    for (index, &role) in roles.iter().enumerate() {
        let has_calls = index
            .checked_sub(1)
            .is_some_and(|before| messages[before].get("tool_calls").is_some());
        if let Some((previous, mend)) = misplaced(role, previous, has_calls) {
            let problem = Problem::OutOfOrder {
                role: role.name(),
                previous,
                mend,
            };
            found.push((format!("messages[{index}].role"), problem));
        }
        previous = Some(role);
    }
    if !roles.contains(&Role::Assistant) {
        found.push(("messages".to_owned(), Problem::NoAssistant));
    } else if let Some(last) = roles.last().filter(|&&role| role != Role::Assistant) {
        let problem = Problem::NoReply { role: last.name() };
        found.push((format!("messages[{}].role", roles.len() - 1), problem));
    }
}

/// Tells what is before a role that cannot stand there, and how to mend it.
fn misplaced(
    role: Role,
    previous: Option<Role>,
    has_calls: bool,
) -> Option<(&'static str, &'static str)> {
    use Role::{Assistant, System, Tool, User};
    let beginning = "the beginning";
    let begin = "a conversation begins with a user's message, after at most one system message";
    match (previous, role) {
        (Some(_), System) => Some((
            "another message",
            "there is one system message at most, and it is the first",
        )),
        (None, Assistant | Tool) => Some((beginning, begin)),
        (Some(System), Assistant | Tool) => Some(("the system message", begin)),
        (Some(User), User) => Some((
            "a user's message",
            "join the two, or add the reply between them",
        )),
        (Some(Tool), User) => Some((
            "a tool's result",
            "add what the assistant makes of the result",
        )),
        (Some(Assistant), Assistant) => Some((
            "the assistant's message",
            "join the two, or add what is said between them",
        )),
        (Some(User), Tool) => Some((
            "a user's message",
            "a tool answers an assistant's message with `tool_calls`",
        )),
        (Some(Assistant), Tool) if !has_calls => Some((
            "an assistant's message without `tool_calls`",
            "a tool answers a call; add the call",
        )),
        _ => None,
    }
}
