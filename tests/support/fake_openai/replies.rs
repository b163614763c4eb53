use serde_json::Value;

use super::pick::Pick;
use super::schema_filler;

const HEARD: [&str; 6] = [
    "It sounds like this has been weighing on you for a while.",
    "I hear how much effort you are already putting in.",
    "That makes sense, given everything you describe.",
    "Thank you for telling me so openly.",
    "You have noticed something important there.",
    "That must be tiring.",
];
const ASKED: [&str; 6] = [
    "What would a good first step look like for you?",
    "When did you last feel that it went well?",
    "What have you already tried?",
    "What matters most to you in this?",
    "Who could support you with it?",
    "How will you notice that it gets better?",
];
const ADVISED: [&str; 5] = [
    "You could begin with ten minutes each morning.",
    "Try writing down the three tasks that count.",
    "Perhaps talk to one person you trust this week.",
    "Pick the smallest part and leave the rest for later.",
    "Plan one evening without any screen.",
];
const USER: [&str; 6] = [
    "I keep putting it off and then I feel bad about it.",
    "Honestly, I have not tried that yet.",
    "My week is full, so it would have to be short.",
    "I am not sure it would work for me.",
    "That could help, but how would I begin?",
    "My manager expects an answer by Friday.",
];

/// Returns the built-in reply to `body`, whose digest is `sha256`: JSON where a schema asks for
/// it, a person's turn where the system prompt tells of the stop marker, else a coach's turn.
pub(super) fn built_in(body: &Value, sha256: &str) -> String {
    let mut pick = Pick::from(sha256);
    if let Some(format) = body.get("response_format") {
        let schema = format
            .pointer("/json_schema/schema")
            .or(format.get("schema"));
        return schema.map_or("{}".to_owned(), |schema| {
            schema_filler::fill(schema, &mut pick).to_string()
        });
    }
    let messages = body.get("messages").and_then(Value::as_array);
    let n_messages = messages.map_or(0, Vec::len);
    let is_user = messages.into_iter().flatten().any(|message| {
        message["role"] == "system"
            && message["content"]
                .as_str()
                .is_some_and(|text| text.contains("###STOP###"))
    });
    if !is_user {
        return format!(
            "{} {} {}",
            pick.one(&HEARD),
            pick.one(&ADVISED),
            pick.one(&ASKED)
        );
    }
    // A person who has said a few things may be content.
    if n_messages >= 6 && pick.below(3) == 0 {
        return "Thank you, that gives me something to try. ###STOP###".to_owned();
    }
    format!("{} {}", pick.one(&USER), pick.one(&USER))
}
