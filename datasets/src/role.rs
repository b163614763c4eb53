/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    /// Returns the role that chat templates know by this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "system" => Some(Self::System),
            "user" => Some(Self::User),
            "assistant" => Some(Self::Assistant),
            "tool" => Some(Self::Tool),
            _ => None,
        }
    }

    /// Returns the role that some format knows by this name.
    pub(crate) fn of_any_format(name: &str) -> Option<Self> {
        Self::of(name).or(match name {
            "human" | "Human" | "User" | "USER" | "prompter" => Some(Self::User),
            "gpt" | "bot" | "model" | "chatgpt" | "ai" | "AI" | "Assistant" | "ASSISTANT"
            | "function_call" | "tool_call" => Some(Self::Assistant),
            "System" | "SYSTEM" | "developer" => Some(Self::System),
            "function" | "ipython" | "observation" => Some(Self::Tool),
            _ => None,
        })
    }

    /// Returns the name chat templates know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// Returns the name it has in `ShareGPT` data.
    pub(crate) fn sharegpt_name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "human",
            Self::Assistant => "gpt",
            Self::Tool => "observation",
        }
    }
}
