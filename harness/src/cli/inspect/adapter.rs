use serde_json::Value;
use shipworthy_models::AdapterDescription;

use super::super::page::{Page, counted, listed, number, some};
use super::chat::{show_template, training};
use super::checkpoint::stored;

pub(super) fn show(adapter: &AdapterDescription, page: &mut Page) {
    page.title(None, &format!("a {} adapter", adapter.kind));
    page.block();
    let base = adapter.base_model.as_deref().unwrap_or("it does not say");
    page.row("trained on", base);
    page.row_if("which is for", training(adapter.base_training));
    page.sources("data sets", &adapter.datasets);
    page.row_if("licence", adapter.license.as_deref());
    page.row_if("peft", adapter.peft_version.as_deref());
    page.block();
    page.row("rank", adapter.rank.to_string());
    page.row("alpha", number(adapter.alpha));
    let scales = adapter.scales.iter().map(|count| {
        let scale = number(count.scale);
        match adapter.scales.len() {
            1 => scale,
            _ => format!(
                "{scale} (rank {}, {})",
                count.rank,
                some(count.modules, "module")
            ),
        }
    });
    page.row_if("scale", Some(listed(&scales.collect::<Vec<_>>())));
    page.row_if("rank pattern", Some(pattern(&adapter.rank_pattern)));
    page.row_if("alpha pattern", Some(pattern(&adapter.alpha_pattern)));
    page.row_if("targets", Some(listed(&adapter.target_modules)));
    let modules = adapter
        .modules
        .iter()
        .map(|(name, count)| format!("{count}×{name}"));
    page.row_if("changes", Some(listed(&modules.collect::<Vec<_>>())));
    page.row_if("saved in full", Some(listed(&adapter.modules_to_save)));
    page.row_if(
        "bias",
        adapter.bias.as_deref().filter(|bias| *bias != "none"),
    );
    page.row("parameters", counted(adapter.parameters));
    page.row("weights", stored(&adapter.weights));
    if let Some(base) = &adapter.base {
        page.block();
        page.row("base given", listed(&base.names));
        let name = match base.name_matches {
            Some(true) => "the name it was trained on",
            Some(false) => "another name than it was trained on",
            None => "cannot be told by its name",
        };
        page.row("  its name", name);
        let weights = base.weights_match.map(|matches| {
            if matches {
                "those it was trained on"
            } else {
                "others than it was trained on"
            }
        });
        page.row_if("  its weights", weights);
        let fit = if base.misfit.is_none() {
            "fits"
        } else {
            "does not fit"
        };
        page.row("  its tensors", fit);
    }
    if let Some(chat) = &adapter.chat {
        page.block();
        show_template(Some(chat), page);
    }
}

fn pattern(pattern: &[(String, Value)]) -> String {
    let entries: Vec<String> = pattern
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    listed(&entries)
}
