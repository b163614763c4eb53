//! How long calls took: told where times may be, and in no artefact.

use serde_json::{Value, json};
use shipworthy_harness::store::RoleUsage;
use shipworthy_reports::one_line;
use shipworthy_schema::CallRole;

/// Returns one line for people, e.g. `time  model base 1.5 s a call, 31 % of the prompt cached`.
pub(super) fn line(usage: &[RoleUsage]) -> Option<String> {
    let of = |usage: &RoleUsage| {
        let seconds = usage.seconds / usage.calls.max(1) as f64;
        let cached = match cached_share(usage) {
            Some(share) if share >= 0.005 => {
                format!(", {:.0} % of the prompts cached", 100.0 * share)
            }
            _ => String::new(),
        };
        format!("{} {seconds:.2} s a call{cached}", who(usage))
    };
    let parts: Vec<String> = usage.iter().map(of).collect();
    (!parts.is_empty()).then(|| format!("time    {}", parts.join("; ")))
}

/// Returns the same for programs.
pub(super) fn value(usage: &[RoleUsage]) -> Value {
    let of = |usage: &RoleUsage| {
        json!({
            "role": usage.role,
            "model": usage.model,
            "calls": usage.calls,
            "seconds": usage.seconds,
            "cached_tokens": usage.cached_tokens,
        })
    };
    usage.iter().map(of).collect()
}

fn who(usage: &RoleUsage) -> String {
    let name = usage.model.as_ref().map(|model| one_line(model.as_str()));
    match (usage.role, name) {
        (CallRole::Simulator, _) => "simulator".to_owned(),
        (CallRole::Model, Some(name)) => format!("model {name}"),
        (CallRole::Model, None) => "models".to_owned(),
        (CallRole::Judge, Some(name)) => format!("judge {name}"),
        (CallRole::Judge, None) => "judges".to_owned(),
    }
}

/// Returns the share of prompts that came from a cache; `None` unless all calls tell.
fn cached_share(usage: &RoleUsage) -> Option<f64> {
    let (cached, prompt) = (usage.cached_tokens, usage.prompt_tokens);
    if cached.uncounted > 0 || prompt.uncounted > 0 {
        return None;
    }
    match prompt.sum? {
        0 => None,
        prompt => Some(cached.sum? as f64 / prompt as f64),
    }
}
