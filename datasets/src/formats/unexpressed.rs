use std::fmt;

use crate::visible_text::excerpt;

/// Something that a row says and a format has no place for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unexpressed {
    /// What the assistant is told beforehand.
    System,
    /// All but the last message of the user and its reply.
    EarlierTurns,
    /// Calls of functions, or their results.
    Calls,
    /// What is said beside a call.
    TextBesideCall,
    /// The functions that may be called.
    Tools,
    /// The reply that is not preferred.
    Rejected,
    /// A field of a message.
    MessageField(String),
    /// A field of the row, whose name means something else in the format.
    Field(String),
    /// The row has one reply, and the format two.
    NoRejected,
    /// The row ends without a reply.
    NoReply,
    /// The row has nothing before the reply.
    NoPrompt,
    /// User and assistant do not take turns.
    Turns,
}

impl Unexpressed {
    /// Tells whether a row makes sense without it.
    pub fn can_be_left_out(&self) -> bool {
        match self {
            Self::System
            | Self::EarlierTurns
            | Self::TextBesideCall
            | Self::Tools
            | Self::Rejected
            | Self::MessageField(_)
            | Self::Field(_) => true,
            Self::Calls | Self::NoRejected | Self::NoReply | Self::NoPrompt | Self::Turns => false,
        }
    }
}

impl fmt::Display for Unexpressed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::System => "the system message",
            Self::EarlierTurns => "turns before the last",
            Self::Calls => "calls of functions and their results",
            Self::TextBesideCall => "what is said beside a call",
            Self::Tools => "`tools`",
            Self::Rejected => "the rejected reply",
            Self::MessageField(name) => {
                return write!(formatter, "the field `{}` of a message", excerpt(name, 30));
            }
            Self::Field(name) => {
                return write!(
                    formatter,
                    "the field `{}`, which means something else there",
                    excerpt(name, 30)
                );
            }
            Self::NoRejected => "one reply alone, without a rejected one",
            Self::NoReply => "a row without a reply at its end",
            Self::NoPrompt => "a row that begins with the reply",
            Self::Turns => "messages in which user and assistant do not take turns",
        };
        formatter.write_str(text)
    }
}

/// Something that is written in full, but not so that the way back is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Alpaca's `input` stands on a line of its own below the `instruction`.
    InputJoined,
    /// All replies are learnt, where it was the completion alone.
    AllReplies,
    /// The last reply alone is learnt, where it was all of them.
    LastReply,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::InputJoined => "`input` is written below `instruction`, as one message",
            Self::AllReplies => "all replies are learnt now, not the completion alone",
            Self::LastReply => {
                "what answers the last user's message is learnt now, not all replies"
            }
        })
    }
}
