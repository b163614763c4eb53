//! One chat template in training, merge and serving.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shipworthy_models::gguf::{GgufFile, KeyValues};
use shipworthy_models::{ChatInput, ChatTemplate, ChatTemplates, ModelError, SpecialTokens};
use shipworthy_schema::Digest;

use super::error::SanityError;
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};
use super::request::{Form, SanityRequest};

/// What a form's chat template was found to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateFigures {
    /// The digest of its source.
    pub digest: Digest,
    /// Where the template is that it was compared with.
    pub reference: String,
    /// The digest of that one's source.
    pub reference_digest: Digest,
    /// How many conversations were rendered with both.
    pub rendered: usize,
    /// How many of them came out as another text.
    pub different: usize,
}

/// A chat template somewhere.
struct Found {
    place: String,
    digest: Digest,
    /// Each probe conversation as text, or that the template refuses it.
    texts: Vec<Option<String>>,
}

/// Compares the template of every form with the one of training: that of the training run, else of the
/// adapter, else of the tokenizer's directory, else of the base.
pub(super) fn check(request: &SanityRequest) -> Result<Vec<CheckOutcome>, SanityError> {
    let trained = [&request.training_run, &request.adapter, &request.tokenizer];
    let mut reference = None;
    for directory in trained.into_iter().flatten() {
        if reference.is_none() {
            reference = of_directory(directory)?;
        }
    }
    let base = of_form(&request.base_form())?;
    let base_name = request.base_form().name();
    let Some(reference) = reference.as_ref().or(base.as_ref()) else {
        let reason = "neither the base nor what was trained has a chat template";
        return Ok(vec![not_done(&base_name, reason)]);
    };
    let mut outcomes = Vec::new();
    let others = request.forms().into_iter();
    for form in others.filter(|form| form.name() != reference.place) {
        let found = of_form(&form)?;
        // What was trained is served with the template it names, or with the base's.
        let or_base = base.as_ref().filter(|_| matches!(form, Form::Adapter(_)));
        outcomes.push(compare(&form, found.as_ref().or(or_base), reference));
    }
    if reference.place != base_name {
        let mut outcome = compare(&request.base_form(), base.as_ref(), reference);
        // A baseline that is talked with otherwise is no fault of the candidate's.
        if outcome.status == SanityStatus::Failed {
            outcome.status = SanityStatus::Warned;
        }
        outcomes.push(outcome);
    }
    if outcomes.is_empty() {
        let reason = "there is nothing to compare the base's with: name a candidate";
        outcomes.push(not_done(&base_name, reason));
    }
    Ok(outcomes)
}

fn not_done(subject: &str, reason: &str) -> CheckOutcome {
    CheckOutcome::not_done(SanityCheck::Template, subject, reason)
}

fn compare(form: &Form<'_>, found: Option<&Found>, reference: &Found) -> CheckOutcome {
    let outcome = |status, detail: String| {
        CheckOutcome::new(SanityCheck::Template, form.name(), status, detail)
    };
    let Some(found) = found else {
        return outcome(
            SanityStatus::Failed,
            format!("it has no chat template, and `{}` has one", reference.place),
        )
        .mend(
            "copy chat_template.jinja to it, or convert it again from a checkpoint that has one",
        );
    };
    let pairs = || found.texts.iter().zip(&reference.texts);
    let different = pairs().filter(|(one, other)| one != other).count();
    let rendered = pairs().count();
    let is_same = found.digest == reference.digest;
    let figures = Figures::Template(TemplateFigures {
        digest: found.digest.clone(),
        reference: reference.place.clone(),
        reference_digest: reference.digest.clone(),
        rendered,
        different,
    });
    let of = &reference.place;
    let outcome = match (is_same, different) {
        (true, 0) => outcome(
            SanityStatus::Passed,
            format!("the same as `{of}`'s ({})", found.digest.short()),
        ),
        (false, 0) => outcome(
            SanityStatus::Warned,
            format!(
                "another source than `{of}`'s ({}, not {}), though {rendered} conversations come \
                 out the same",
                found.digest.short(),
                reference.digest.short()
            ),
        ),
        (_, different) => outcome(
            SanityStatus::Failed,
            format!(
                "{different} of {rendered} conversations come out as another text than with \
                 `{of}`'s"
            ),
        )
        .mend(
            "serve the model with the template it was trained with: copy it, and merge or convert \
             again",
        ),
    };
    outcome.figures(figures)
}

fn of_form(form: &Form<'_>) -> Result<Option<Found>, SanityError> {
    match form {
        Form::Gguf(path) => of_file(path),
        Form::Adapter(path) | Form::Checkpoint(path) => of_directory(path),
    }
}

fn of_directory(directory: &Path) -> Result<Option<Found>, SanityError> {
    let templates = ChatTemplates::read(directory).map_err(ModelError::from)?;
    let Some(source) = templates
        .default
        .or_else(|| templates.named.into_values().next())
    else {
        return Ok(None);
    };
    let tokens = SpecialTokens::read(directory).map_err(ModelError::from)?;
    let name = directory.display().to_string();
    Ok(Some(Found::new(name, &source, |token| {
        tokens.get(token).map(str::to_owned)
    })))
}

fn of_file(path: &Path) -> Result<Option<Found>, SanityError> {
    let file = GgufFile::open(path)?;
    let values = file.key_values();
    let source = values
        .get("tokenizer.chat_template")
        .and_then(|value| value.as_str());
    let name = path.display().to_string();
    Ok(source.map(|source| Found::new(name, source, |token| special_token(values, token))))
}

/// Returns the text of a file's `bos_token` or `eos_token`.
fn special_token(values: &KeyValues, name: &str) -> Option<String> {
    let role = name.strip_suffix("_token")?;
    let id = values
        .get(&format!("tokenizer.ggml.{role}_token_id"))?
        .as_u64()?;
    let tokens = values.get("tokenizer.ggml.tokens")?.as_strings()?;
    Some(tokens.get(usize::try_from(id).ok()?)?.to_owned())
}

impl Found {
    fn new(place: String, source: &str, token: impl Fn(&str) -> Option<String>) -> Self {
        let names = ["bos_token", "eos_token"];
        let tokens = names
            .into_iter()
            .filter_map(|name| Some((name, token(name)?)));
        let variables = tokens.map(|(name, text)| (name.to_owned(), Value::from(text)));
        let variables: Map<String, Value> = variables.collect();
        let template = ChatTemplate::new(&place, source).ok();
        let render = |messages: &[Value]| {
            let chat = template.as_ref()?.render(&ChatInput {
                messages,
                add_generation_prompt: true,
                variables: Some(&variables),
                ..ChatInput::default()
            });
            Some(chat.ok()?.into_text())
        };
        Self {
            digest: Digest::of(source.as_bytes()),
            texts: probes().iter().map(|messages| render(messages)).collect(),
            place,
        }
    }
}

/// Conversations that templates are told apart by: one turn, several, with and without a system message,
/// with blanks that some strip.
fn probes() -> Vec<Vec<Value>> {
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let system = message("system", "You answer with one sentence.");
    let question = message("user", " Where does the river rise?\n");
    let turns = [
        question.clone(),
        message("assistant", "In the mountains. "),
        message("user", "And where does it end?"),
    ];
    vec![
        vec![question.clone()],
        vec![system.clone(), question],
        turns.to_vec(),
        [vec![system], turns.to_vec()].concat(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>{% endfor %}";

    fn request(base: &str, merged: Option<&str>) -> (tempfile::TempDir, SanityRequest) {
        let place = tempfile::tempdir().unwrap();
        let mut request = SanityRequest {
            base: place.path().join("base"),
            candidate: Some(place.path().join("merged")),
            ..SanityRequest::default()
        };
        for (name, template) in [("base", Some(base)), ("merged", merged)] {
            std::fs::create_dir(place.path().join(name)).unwrap();
            if let Some(template) = template {
                let path = place.path().join(name).join("chat_template.jinja");
                std::fs::write(path, template).unwrap();
            }
        }
        request.tokenizer = None;
        (place, request)
    }

    fn status(base: &str, merged: Option<&str>) -> SanityStatus {
        let (_place, request) = request(base, merged);
        let outcomes = check(&request).unwrap();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes[0].status
    }

    #[test]
    fn templates_are_compared_by_source_and_by_text() {
        assert_eq!(status(PLAIN, Some(PLAIN)), SanityStatus::Passed);
        let other_source = PLAIN.replace("m.role", "m['role']");
        assert_eq!(status(PLAIN, Some(&other_source)), SanityStatus::Warned);
        let other_text = PLAIN.replace(" | trim", "");
        assert_eq!(status(PLAIN, Some(&other_text)), SanityStatus::Failed);
        assert_eq!(status(PLAIN, None), SanityStatus::Failed);
    }

    #[test]
    fn what_was_trained_is_the_measure_and_a_base_that_differs_is_a_warning() {
        let (place, mut request) = request(PLAIN, Some("{{ messages[0].content }}"));
        let adapter = place.path().join("adapter");
        std::fs::create_dir(&adapter).unwrap();
        let template = "{{ messages[0].content }}";
        std::fs::write(adapter.join("chat_template.jinja"), template).unwrap();
        request.adapter = Some(adapter);
        let statuses: Vec<_> = check(&request)
            .unwrap()
            .iter()
            .map(|one| one.status)
            .collect();
        assert_eq!(statuses, [SanityStatus::Passed, SanityStatus::Warned]);
    }

    #[test]
    fn nothing_to_compare_is_told() {
        let (_place, mut request) = request(PLAIN, None);
        request.candidate = None;
        assert_eq!(check(&request).unwrap()[0].status, SanityStatus::NotDone);
    }
}
