use std::collections::BTreeSet;

use shipworthy_models::Adapter;
use shipworthy_schema::finetune::{FinetuneConfig, TargetModules};

use super::config_file::TuningConfig;
use super::error::TuningError;

/// Takes rank, scale and modules from the adapter that training starts from.
///
/// Errors if the configuration asks for others: it would not get them.
pub(super) fn settle(config: &mut TuningConfig) -> Result<(), TuningError> {
    let Some(path) = &config.opened.init_adapter else {
        return Ok(());
    };
    let adapter = Adapter::open(path).map_err(|source| TuningError::Model {
        place: config.places.value_of("init_adapter"),
        source,
    })?;
    let own = adapter.config();
    let wanted = &config.opened;
    let modules = last_names(&adapter);
    let targets = match &wanted.target_modules {
        TargetModules::AllLinear => modules.clone(),
        TargetModules::Listed(names) => names.iter().map(|name| last(name).to_owned()).collect(),
    };
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let differences = [
        ("lora_r", wanted.lora_r.to_string(), own.rank.to_string()),
        (
            "lora_alpha",
            wanted.lora_alpha.to_string(),
            own.alpha.to_string(),
        ),
        (
            "use_rslora",
            wanted.use_rslora.to_string(),
            own.use_rslora.to_string(),
        ),
        ("target_modules", list(&targets), list(&modules)),
    ];
    for (key, wanted, own) in differences {
        if config.places.has(key) && wanted != own {
            let name = config.written.init_adapter.as_ref();
            let name = name.map_or_else(String::new, |path| path.display().to_string());
            let message = format!("the adapter `{name}` has {own}, not {wanted}; leave this out");
            return Err(config.places.value_of(key).error(message).into());
        }
    }
    let rank = u32::try_from(own.rank).unwrap_or(u32::MAX);
    let (alpha, use_rslora) = (own.alpha, own.use_rslora);
    let take = |config: &mut FinetuneConfig| {
        config.lora_r = rank;
        config.lora_alpha = alpha;
        config.use_rslora = use_rslora;
        config.target_modules = TargetModules::Listed(modules.iter().cloned().collect());
        config.modules_to_save.clone_from(&own.modules_to_save);
    };
    take(&mut config.written);
    take(&mut config.opened);
    Ok(())
}

fn last_names(adapter: &Adapter) -> BTreeSet<String> {
    let names = adapter.module_names();
    names.map(|name| last(name).to_owned()).collect()
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
