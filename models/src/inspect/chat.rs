//! What a chat template does, found by rendering short conversations with it.

use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::finding::Finding;
use crate::chat_template::{
    ChatInput, ChatTemplate, ChatTemplateError, ChatTemplates, LocalTime, SpecialTokens,
};
use crate::error::ModelError;

const QUESTION: &str = "Where does the river rise?";
const ANSWER: &str = "In the mountains.";
const NEXT_QUESTION: &str = "Where does it end?";
const NEXT_ANSWER: &str = "In the sea.";
const SYSTEM: &str = "You answer with one sentence.";
const TOOL: &str = "measure_the_river";

/// What a checkpoint's or file's chat template is and does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatDescription {
    /// The names of all templates, `default` first.
    pub names: Vec<String>,
    /// Which of them the rest is about.
    pub name: String,
    /// Bytes of its source.
    pub bytes: u64,
    /// Whether generation blocks mark what the assistant wrote; none if it cannot be read.
    pub generation_markers: Option<bool>,
    /// What rendering showed; none if it could not be rendered.
    pub features: Option<ChatFeatures>,
    /// Why it could not be read or rendered.
    pub error: Option<String>,
}

/// What a chat template was seen to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatFeatures {
    /// What becomes of a system message.
    pub system: SystemRole,
    /// Whether tools given to it reach the text.
    pub tools: bool,
    /// Whether it writes the beginning of an answer when asked for one.
    pub generation_prompt: bool,
    /// What it writes after an assistant's answer, as it stands.
    pub after_answer: String,
    /// What it writes after the last answer of a conversation.
    pub after_last_answer: String,
    /// How the text begins, up to the first message.
    pub beginning: String,
}

/// What becomes of a system message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// It is written.
    Written,
    /// It is left out without a word.
    LeftOut,
    /// The template refuses the conversation.
    Refused,
}

/// What is known of the tokens that a conversation is written with.
#[derive(Clone, Debug, Default)]
pub(super) struct ChatTokens {
    /// Texts of the tokens at which generation stops.
    pub(super) ends: Vec<String>,
    /// Texts of all control tokens.
    pub(super) control: Vec<String>,
    /// The text of the BOS, where the tokenizer puts one before every text.
    pub(super) added_bos: Option<String>,
    /// What names the tokens at which generation stops, to mend it there.
    pub(super) ends_are_named_in: &'static str,
}

impl ChatDescription {
    /// Looks at the template that is taken if nothing else is said, else at the first; none if there is
    /// no template.
    pub(super) fn of(templates: &ChatTemplates, tokens: &SpecialTokens) -> Option<Self> {
        let names: Vec<String> = templates.names().into_iter().map(str::to_owned).collect();
        let name = names.first()?.clone();
        let source = templates
            .default
            .as_ref()
            .or_else(|| templates.named.values().next())?;
        let mut description = Self {
            names,
            bytes: source.len() as u64,
            generation_markers: None,
            features: None,
            error: None,
            name,
        };
        let seen = templates
            .template(Some(&description.name), false)
            .and_then(|template| {
                description.generation_markers = Some(template.marks_generation());
                let tool_template = templates.template(None, true).ok();
                ChatFeatures::of(&template, tool_template.as_ref(), tokens)
            });
        match seen {
            Ok(features) => description.features = Some(features),
            Err(error) => description.error = Some(error.to_string()),
        }
        Some(description)
    }

    /// Looks at the templates in a directory.
    pub(super) fn read(
        directory: &Path,
        tokens: &SpecialTokens,
    ) -> Result<Option<Self>, ModelError> {
        match ChatTemplates::read(directory) {
            Ok(templates) => Ok(Self::of(&templates, tokens)),
            // Too large, or no text.
            Err(error @ ChatTemplateError::Template { .. }) => Ok(Some(Self {
                names: vec!["default".to_owned()],
                name: "default".to_owned(),
                bytes: 0,
                generation_markers: None,
                features: None,
                error: Some(error.to_string()),
            })),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what is doubtful about it.
    pub(super) fn findings(&self, tokens: &ChatTokens, findings: &mut Vec<Finding>) {
        if let Some(error) = &self.error {
            findings.push(Finding::warning(
                "template-error",
                format!("the chat template cannot render a plain conversation: {error}"),
                "training and serving both render conversations with it",
                "mend it there, or take the template of the model it was tuned from",
            ));
        }
        let Some(features) = &self.features else {
            return;
        };
        features.end_of_turn(tokens, findings);
        if let Some(bos) = tokens.added_bos.as_ref().filter(|bos| !bos.is_empty())
            && features.beginning.trim_start().starts_with(bos.as_str())
        {
            findings.push(Finding::note(
                "bos-twice",
                format!(
                    "BOS may be doubled: the template writes `{bos}` and the tokenizer adds it"
                ),
                "a text that begins with two is not what the model was trained on",
                "tokenize rendered conversations with `add_special_tokens=False`",
            ));
        }
        if !features.generation_prompt {
            findings.push(Finding::note(
                "no-generation-prompt",
                "the template ignores `add_generation_prompt`",
                "the model has to begin the assistant's turn itself, or continues the user's",
                "let it write the beginning of the assistant's turn where that is asked for",
            ));
        }
        if self.generation_markers == Some(false) {
            findings.push(Finding::note(
                "no-generation-markers",
                "the template does not mark what the assistant wrote",
                "training with assistant-only loss needs to know; serving does not",
                "for such training, put `{% generation %}` around the assistant's text",
            ));
        }
    }
}

/// Returns that there is no template.
pub(super) fn no_template() -> Finding {
    Finding::warning(
        "no-template",
        "there is no chat template",
        "base models mostly have none; chats would be written in a format the model never saw",
        "take chat_template.jinja from the model that it was tuned from, or tune with a template",
    )
}

impl ChatFeatures {
    fn of(
        template: &ChatTemplate,
        tool_template: Option<&ChatTemplate>,
        tokens: &SpecialTokens,
    ) -> Result<Self, ChatTemplateError> {
        let input = |messages| ChatInput {
            messages,
            special_tokens: Some(tokens),
            // What it says does not matter here, and the same files are to give the same result.
            now: LocalTime::new(2026, 1, 1, 0, 0, 0),
            ..ChatInput::default()
        };
        let say = |role: &str, content: &str| json!({ "role": role, "content": content });
        let dialogue = [
            say("user", QUESTION),
            say("assistant", ANSWER),
            say("user", NEXT_QUESTION),
            say("assistant", NEXT_ANSWER),
        ];
        let rendered = template.render(&input(&dialogue))?.into_text();
        let between = |range: Option<Range<usize>>| {
            let text = range.and_then(|range| rendered.get(range));
            text.unwrap_or_default().to_owned()
        };
        let start = |text: &str| rendered.find(text);
        let end = |text: &str| rendered.rfind(text).map(|at| at + text.len());
        let after_answer = end(ANSWER).zip(start(NEXT_QUESTION));
        let after_last_answer = end(NEXT_ANSWER).map(|from| from..rendered.len());

        let question = &dialogue[..1];
        let open = template.render(&input(question))?.into_text();
        let prompt = ChatInput {
            add_generation_prompt: true,
            ..input(question)
        };
        let prompted = template.render(&prompt)?.into_text();

        let with_system = [say("system", SYSTEM), say("user", QUESTION)];
        let system = match template.render(&input(&with_system)) {
            Ok(text) if text.text().contains(SYSTEM) => SystemRole::Written,
            Ok(_) => SystemRole::LeftOut,
            Err(_) => SystemRole::Refused,
        };
        let tools = [tool()];
        let with_tools = ChatInput {
            tools: Some(&tools),
            ..input(question)
        };
        let tools = tool_template.unwrap_or(template).render(&with_tools);
        Ok(Self {
            system,
            tools: tools.is_ok_and(|text| text.text().contains(TOOL)),
            generation_prompt: prompted != open,
            after_answer: between(after_answer.map(|(from, to)| from..to)),
            after_last_answer: between(after_last_answer),
            beginning: between(start(QUESTION).map(|to| 0..to)),
        })
    }

    /// Looks for a token at which generation stops after every answer.
    fn end_of_turn(&self, tokens: &ChatTokens, findings: &mut Vec<Finding>) {
        if tokens.ends.is_empty() {
            findings.push(Finding::warning(
                "no-eos",
                "no EOS token is named",
                "generation has nothing to stop at",
                format!("name it in {}", tokens.ends_are_named_in),
            ));
            return;
        }
        let ends = |text: &str| tokens.ends.iter().any(|end| text.contains(end.as_str()));
        let (first, last) = (ends(&self.after_answer), ends(&self.after_last_answer));
        if first && last {
            return;
        }
        let stops = tokens.ends.join("`, `");
        let why = "tuned on this, the model does not learn to stop; served with it, it may go on past \
                   its answer";
        let other = tokens.control.iter().filter(|token| !token.is_empty());
        let other = other
            .filter_map(|token| Some((self.after_last_answer.find(token.as_str())?, token)))
            .min();
        let (what, mend) = match other {
            Some((_, other)) => (
                format!(
                    "the assistant's turn ends with `{other}`, and generation stops at `{stops}`"
                ),
                format!("name `{other}` as an EOS in {}", tokens.ends_are_named_in),
            ),
            None if first => (
                format!("the template writes no EOS (`{stops}`) after the last answer"),
                "let it write the EOS after every answer, the last one too".to_owned(),
            ),
            None if last => (
                format!("the template writes an EOS (`{stops}`) after the last answer only"),
                "let it write the EOS after every answer".to_owned(),
            ),
            None => (
                format!("the template writes no EOS (`{stops}`) after an answer"),
                "let it write the EOS after every answer".to_owned(),
            ),
        };
        // An answer that ends a conversation has to end; one in its middle ends at the user's turn.
        findings.push(Finding::warning("eos-not-in-template", what, why, mend));
    }
}

fn tool() -> Value {
    json!({
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Measures a river.",
            "parameters": {
                "type": "object",
                "properties": { "name": { "type": "string", "description": "The river." } },
                "required": ["name"],
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    fn described(source: &str) -> ChatDescription {
        let templates = ChatTemplates {
            default: Some(source.to_owned()),
            ..ChatTemplates::default()
        };
        let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
        ChatDescription::of(&templates, &tokens.into_iter().collect()).unwrap()
    }

    fn codes(source: &str, ends: &[&str], added_bos: Option<&str>) -> Vec<&'static str> {
        let tokens = ChatTokens {
            ends: ends.iter().map(|&end| end.to_owned()).collect(),
            control: vec!["<|im_start|>".to_owned(), "<|im_end|>".to_owned()],
            added_bos: added_bos.map(str::to_owned),
            ends_are_named_in: "generation_config.json",
        };
        let mut findings = Vec::new();
        described(source).findings(&tokens, &mut findings);
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_a_template_does_is_seen() {
        let features = described(CHATML).features.unwrap();
        let expected = ChatFeatures {
            system: SystemRole::Written,
            tools: false,
            generation_prompt: true,
            after_answer: "<|im_end|>\n<|im_start|>user\n".to_owned(),
            after_last_answer: "<|im_end|>\n".to_owned(),
            beginning: "<|im_start|>user\n".to_owned(),
        };
        assert_eq!(features, expected);
    }

    #[test_case("{{ messages[0].content }}{{ tools | tojson }}", SystemRole::Written, true; "tools")]
    #[test_case("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}", SystemRole::LeftOut, false; "left out")]
    #[test_case("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}{% endfor %}", SystemRole::Refused, false; "refused")]
    fn system_and_tools_are_seen(source: &str, system: SystemRole, tools: bool) {
        let features = described(source).features.unwrap();
        assert_eq!((features.system, features.tools), (system, tools));
    }

    #[test_case(CHATML, &["<|im_end|>"], None, &["no-generation-markers"]; "nothing but markers")]
    #[test_case(CHATML, &["<|endoftext|>"], None, &["eos-not-in-template", "no-generation-markers"]; "another end")]
    #[test_case(CHATML, &[], None, &["no-eos", "no-generation-markers"]; "no end")]
    #[test_case("{{ bos_token }}{% for m in messages %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}{% if add_generation_prompt %}:{% endif %}", &["</s>"], Some("<s>"), &["bos-twice"]; "two BOS")]
    #[test_case("{{ bos_token }}{% for m in messages %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}{% if add_generation_prompt %}:{% endif %}", &["</s>"], None, &[]; "all is well")]
    #[test_case("{% for m in messages %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}", &["</s>"], None, &["no-generation-prompt"]; "no prompt")]
    #[test_case("{{ raise_exception('never') }}", &["</s>"], None, &["template-error"]; "it refuses")]
    #[test_case("{% if %}", &["</s>"], None, &["template-error"]; "no Jinja")]
    fn templates_are_judged(source: &str, ends: &[&str], bos: Option<&str>, expected: &[&str]) {
        let found = codes(source, ends, bos);
        assert_eq!(found, expected);
    }

    #[test_case("{% for m in messages %}{{ m.content }}{% if not loop.last %}</s>{% endif %}{% endfor %}", "no EOS (`</s>`) after the last answer"; "last")]
    #[test_case("{% for m in messages %}{{ m.content }}{% if loop.last %}</s>{% endif %}{% endfor %}", "after the last answer only"; "first")]
    #[test_case("{% for m in messages %}{{ m.content }}{% endfor %}", "writes no EOS (`</s>`) after an answer"; "none")]
    #[test_case(CHATML, "ends with `<|im_end|>`, and generation stops at `</s>`"; "another")]
    fn a_turn_without_an_end_is_told(source: &str, expected: &str) {
        let tokens = ChatTokens {
            ends: vec!["</s>".to_owned()],
            control: vec!["<|im_end|>".to_owned()],
            ..ChatTokens::default()
        };
        let mut findings = Vec::new();
        described(source).findings(&tokens, &mut findings);
        assert!(findings[0].what.contains(expected), "{findings:?}");
    }

    #[test]
    fn without_a_default_the_first_is_looked_at() {
        let mut templates = ChatTemplates::default();
        assert_eq!(
            ChatDescription::of(&templates, &SpecialTokens::default()),
            None
        );
        templates.named.insert("rag".to_owned(), CHATML.to_owned());
        let found = ChatDescription::of(&templates, &SpecialTokens::default()).unwrap();
        assert_eq!((found.name.as_str(), found.error), ("rag", None));
    }
}
