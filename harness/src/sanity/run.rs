use std::ops::ControlFlow;

use super::agreement::{self, Asked};
use super::answers::{Answers, Follower, Unasked, Wanted, ask};
use super::error::SanityError;
use super::examination::Examination;
use super::outcome::{CheckOutcome, SanityCheck, SanityReport};
use super::request::{Form, SanityRequest};
use super::{adapter_effect, capability, perplexity, reply_end, template, training_curves};

/// How far the checks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanityProgress {
    /// What is being done, as a phrase.
    pub what: String,
    /// How much of it is done.
    pub done: u64,
    /// How much there is; 0 where that is not known.
    pub total: u64,
}

/// Makes all checks that the request has something for.
///
/// One model is in memory at a time. `progress` is told what goes on, and ends everything with
/// `Interrupted` if it breaks. Errors where what was asked for cannot be read or does not fit together;
/// what a check finds wrong is an outcome.
pub fn check(
    request: &SanityRequest,
    progress: &mut dyn FnMut(&SanityProgress) -> ControlFlow<()>,
) -> Result<SanityReport, SanityError> {
    request.limits.check()?;
    let mut follower = Follower { tell: progress };
    let mut checks = Vec::new();
    follower.step("reading the records of training", 0, 0)?;
    checks.push(training_curves::check(request)?);
    follower.step("comparing chat templates", 0, 0)?;
    checks.extend(template::check(request)?);
    follower.step("reading data and tasks", 0, 0)?;
    match (request.measured_form(), Examination::new(request)?) {
        (None, _) => checks.extend(not_done("no candidate was named")),
        (_, None) => checks.extend(not_done(
            "there is no tokenizer: name the checkpoint's directory as `tokenizer`",
        )),
        (Some(measured), Some(examination)) => {
            checks.extend(of_models(request, &examination, &measured, &mut follower)?);
        }
    }
    Ok(SanityReport::new(
        request.base.display().to_string(),
        request.measured().map(|path| path.display().to_string()),
        checks,
    ))
}

fn not_done(reason: &'static str) -> impl Iterator<Item = CheckOutcome> {
    let checks = [
        SanityCheck::AdapterEffect,
        SanityCheck::Agreement,
        SanityCheck::ReplyEnd,
        SanityCheck::Perplexity,
        SanityCheck::Capability,
    ];
    let outcome = move |check| CheckOutcome::not_done(check, "", reason);
    checks.into_iter().map(outcome)
}

/// Asks the base and every form, then looks at the answers.
fn of_models(
    request: &SanityRequest,
    examination: &Examination,
    measured: &Form<'_>,
    follower: &mut Follower<'_>,
) -> Result<Vec<CheckOutcome>, SanityError> {
    let tuned = effect_form(request);
    let measures = !examination.held_out.is_empty() || !examination.tasks.is_empty();
    let forms = request.forms();
    let has_file = forms.iter().any(|form| matches!(form, Form::Gguf(_)));
    let of_base = Wanted {
        measures,
        probes: tuned.is_some(),
        replies: false,
    };
    let base = if of_base.measures || of_base.probes {
        ask(
            &request.base_form(),
            request,
            examination,
            of_base,
            follower,
        )?
    } else {
        Ok(Answers::default())
    };
    let mut asked = Vec::new();
    for form in forms {
        let is_file = matches!(form, Form::Gguf(_));
        let wanted = Wanted {
            measures: measures && form == *measured,
            probes: true,
            // What ships is asked; a checkpoint, which is slower at it, only where nothing else is.
            replies: is_file || !has_file && form == *measured,
        };
        asked.push(Asked {
            bits: agreement::bits(&form, request.load_in_4bit)?,
            answers: ask(&form, request, examination, wanted, follower)?,
            form,
        });
    }
    let none = Err(Unasked {
        status: super::SanityStatus::NotDone,
        reason: "it was not asked".to_owned(),
    });
    let answers = |form: &Form<'_>| {
        let found = asked.iter().find(|asked| asked.form == *form);
        found.map_or(&none, |asked| &asked.answers)
    };
    let no_probes = examination.probes.as_ref().err();
    let without_probes = |check, subject: String| {
        no_probes.map(|reason| CheckOutcome::not_done(check, subject, reason))
    };
    let mut checks = Vec::new();
    checks.push(match &tuned {
        None => CheckOutcome::not_done(
            SanityCheck::AdapterEffect,
            measured.name(),
            "neither an adapter nor a merged checkpoint was named with the base's checkpoint",
        ),
        Some(form) => without_probes(SanityCheck::AdapterEffect, form.name())
            .unwrap_or_else(|| adapter_effect::check(&form.name(), &base, answers(form))),
    });
    match without_probes(SanityCheck::Agreement, measured.name()) {
        Some(outcome) => checks.push(outcome),
        None => checks.extend(agreement::check(&asked, &base)),
    }
    for one in &asked {
        let is_file = matches!(one.form, Form::Gguf(_));
        if is_file || !has_file && one.form == *measured {
            let outcome = without_probes(SanityCheck::ReplyEnd, one.form.name());
            let limit = request.limits.reply_tokens;
            checks.push(
                outcome.unwrap_or_else(|| reply_end::check(&one.form.name(), &one.answers, limit)),
            );
        }
    }
    let (name, of_measured) = (measured.name(), answers(measured));
    checks.push(if request.data.is_some() {
        perplexity::check(&name, &base, of_measured, &request.limits)
    } else {
        let reason = "no held-out data was named";
        CheckOutcome::not_done(SanityCheck::Perplexity, &name, reason)
    });
    if examination.tasks.is_empty() {
        let reason = "no task file was named";
        checks.push(CheckOutcome::not_done(
            SanityCheck::Capability,
            &name,
            reason,
        ));
    }
    checks.extend(capability::check(
        request,
        &examination.tasks,
        &base,
        of_measured,
    ));
    Ok(checks)
}

/// Returns the form that should compute something else than the base: the adapter on top of it, else a
/// merged checkpoint, where the base is one too.
fn effect_form(request: &SanityRequest) -> Option<Form<'_>> {
    let base_is_checkpoint = matches!(request.base_form(), Form::Checkpoint(_));
    let mut forms = request.forms().into_iter();
    forms.find(|form| base_is_checkpoint && !matches!(form, Form::Gguf(_)))
}
