//! What a configuration can ask for and TRL cannot do, said before anything is written.

use shipworthy_schema::finetune::{
    Bias, Distributed, FinetuneConfig, Objective, Optim, TargetModules,
};

use crate::trainer::TrainError;

/// The largest seed that `NumPy` takes.
const MAX_SEED: u64 = u32::MAX as u64;

/// Finds the first key that TRL could not follow, or would follow otherwise than the native trainer.
pub(super) fn check(config: &FinetuneConfig) -> Result<(), TrainError> {
    let wrong = |key, detail: &str| {
        Err(TrainError::Setting {
            key,
            detail: detail.to_owned(),
        })
    };
    if config.packing {
        return wrong(
            "packing",
            "TRL packs with FlashAttention alone, and without it examples see one another; leave it out, \
             or train with `trainer: native`",
        );
    }
    if let TargetModules::Listed(names) = &config.target_modules
        && let Some(name) = names
            .iter()
            .find(|name| name.rsplit('.').next() == Some("lm_head"))
    {
        let detail = format!(
            "TRL reads the weights of `{name}` past any adapter, which would never be trained; leave it out, \
             or name it in `modules_to_save`"
        );
        return wrong("target_modules", &detail);
    }
    if config.objective == Objective::Dpo && config.bias != Bias::None {
        return wrong(
            "bias",
            "with `objective: dpo` the model without its adapter is the reference, and trained biases would \
             stay in it; leave it out",
        );
    }
    if config.num_processes > 1
        && config.distributed != Distributed::Ddp
        && config.optim == Optim::Adamw8bit
    {
        let name = config.distributed.name();
        let detail = format!(
            "states in 8 bits cannot be shared out by `distributed: {name}`; write `adamw_torch`"
        );
        return wrong("optim", &detail);
    }
    if config.seed > MAX_SEED {
        let detail = format!(
            "`seed` {} is above {MAX_SEED}, the largest that NumPy takes",
            config.seed
        );
        return wrong("seed", &detail);
    }
    if config.warmup_steps.is_none() && config.warmup_ratio.is_some_and(|ratio| ratio >= 1.0) {
        return wrong(
            "warmup_ratio",
            "transformers takes 1 for one step; write a share below 1, or `warmup_steps`",
        );
    }
    check_checkpoints(config)
}

/// The best of the checkpoints is kept, so each must have been measured.
fn check_checkpoints(config: &FinetuneConfig) -> Result<(), TrainError> {
    if config.eval_dataset.is_none() {
        return Ok(());
    }
    let detail = match (config.eval_steps, config.save_steps) {
        (None, Some(_)) => {
            "with `eval_dataset` TRL keeps the best of its checkpoints, so they must be \
                            measured: give `eval_steps` too"
                .to_owned()
        }
        (Some(eval), Some(save)) if save % eval != 0 => format!(
            "with `eval_dataset` TRL keeps the best of its checkpoints, so `save_steps` {save} must be a \
             multiple of `eval_steps` {eval}"
        ),
        _ => return Ok(()),
    };
    Err(TrainError::Setting {
        key: "save_steps",
        detail,
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const LEAST: &str = "model: m\ndataset: d\noutput_dir: o\ntrainer: trl\n";

    #[test_case("packing: true", "packing"; "packing")]
    #[test_case("target_modules: [q_proj, model.lm_head]", "target_modules"; "head")]
    #[test_case("objective: dpo\nbias: all", "bias"; "biases of a reference")]
    #[test_case("num_processes: 2\ndistributed: fsdp\noptim: adamw_8bit", "optim"; "shared 8 bits")]
    #[test_case("seed: 4294967296", "seed"; "seed")]
    #[test_case("warmup_ratio: 1", "warmup_ratio"; "all warm-up")]
    #[test_case("eval_dataset: e\nsave_steps: 5", "save_steps"; "checkpoints that are not measured")]
    #[test_case("eval_dataset: e\nsave_steps: 5\neval_steps: 2", "save_steps"; "some not measured")]
    fn what_cannot_be_done_is_said(more: &str, expected: &str) {
        let (config, _) = FinetuneConfig::parse(&format!("{LEAST}{more}\n"), "f").unwrap();
        let Err(TrainError::Setting { key, detail }) = check(&config) else {
            panic!("{more}");
        };
        assert_eq!(key, expected, "{detail}");
    }

    #[test_case("")]
    #[test_case(
        "eval_dataset: e\neval_steps: 2\nsave_steps: 4\nnum_processes: 2\noptim: adamw_8bit"
    )]
    #[test_case("modules_to_save: [lm_head]\nbias: all")]
    fn the_rest_can(more: &str) {
        let (config, _) = FinetuneConfig::parse(&format!("{LEAST}{more}\n"), "f").unwrap();
        check(&config).unwrap();
    }
}
