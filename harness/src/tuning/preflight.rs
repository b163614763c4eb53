use std::path::Path;

use shipworthy_backends::trainer::{
    Resume, TrainError, Trainer, TrainingJob, open_trainer, plan_script,
};
use shipworthy_datasets::{
    DatasetOptions, DatasetReport, ExcessLength, MaskPreview, ModelTokenizer, TemplateOptions,
    TokenisedDataset, pack,
};
use shipworthy_models::{Checkpoint, ModelConfig};
use shipworthy_schema::finetune::{ExcessLengthStrategy, FinetuneConfig, Objective, TrainerKind};
use shipworthy_schema::{TokenCounts, TrainingDataReport, TrainingPlan, TrainingWarning};

use super::config_file::TuningConfig;
use super::error::TuningError;
use super::{init_adapter, output_place, preferences, warnings};

/// Everything that is known before the first step: data read, rendered and counted, model looked at.
pub struct Preflight {
    /// The configuration.
    pub config: TuningConfig,
    /// What is to be trained, ready but for the base's digest.
    pub job: TrainingJob,
    /// What the training data comes to.
    pub data: DatasetReport,
    /// What the held-out data comes to.
    pub eval_data: Option<DatasetReport>,
    /// An example with its mask.
    pub preview: MaskPreview,
    /// What training would do and take.
    pub plan: TrainingPlan,
    /// The model's family, as `config.json` calls it.
    pub family: String,
    /// What to know first.
    pub warnings: Vec<TrainingWarning>,
    /// Who trains; `None` if it is done at the Hub.
    pub(super) trainer: Option<Box<dyn Trainer>>,
}

impl Preflight {
    /// Reads and checks everything that the configuration names; nothing is written.
    ///
    /// `resume`: what the command line says of it; else the configuration decides.
    pub fn new(mut config: TuningConfig, resume: Option<Resume>) -> Result<Self, TuningError> {
        let trainer = match config.opened.trainer {
            TrainerKind::HfJobs => None,
            kind => Some(open_trainer(kind).map_err(|error| located(error, &config))?),
        };
        output_place::check(&config)?;
        init_adapter::settle(&mut config)?;
        let opened = &config.opened;
        let model = open_model(&config)?;
        let wrong = |source| TuningError::Model {
            place: config.places.value_of("model"),
            source,
        };
        let sizes = model.hyper_parameters().map_err(wrong)?;
        let tokenizer =
            ModelTokenizer::open(&opened.model, sizes.vocab_size, TemplateOptions::default())
                .map_err(|source| TuningError::Tokenizer {
                    place: config.places.value_of("model"),
                    source,
                })?;
        let read = match opened.objective {
            Objective::Sft => read,
            Objective::Dpo => preferences::read,
        };
        let data = read(&config, "dataset", &opened.dataset, &tokenizer)?;
        let eval_data = match &opened.eval_dataset {
            None => None,
            Some(path) => {
                if same_file(path, &opened.dataset) {
                    let place = config.places.value_of("eval_dataset");
                    return Err(TuningError::SameData { place });
                }
                Some(read(&config, "eval_dataset", path, &tokenizer)?)
            }
        };
        let data_report = report(&data, opened);
        let (eval_examples, eval_report, eval_data) = match eval_data {
            None => (Vec::new(), None, None),
            Some(eval) => {
                let counted = report(&eval, &unpacked(opened));
                (eval.examples, Some(counted), Some(eval.report))
            }
        };
        let mut warnings = warnings::before(
            &config.written.model,
            &data.examples,
            &eval_examples,
            &data_report,
            &data.report.warnings,
        );
        warnings.extend(warnings::beyond_context(&opened.model, &data.examples));
        let resume = resume.unwrap_or_else(|| match &opened.resume_from_checkpoint {
            Some(checkpoint) => Resume::Checkpoint(checkpoint.clone()),
            None => Resume::Anew,
        });
        let family = model.family().name().to_owned();
        let job = TrainingJob {
            config: opened.clone(),
            base_name: config.written.model.display().to_string(),
            base_digest: None,
            data: data.examples,
            data_report,
            eval_data: eval_examples,
            eval_data_report: eval_report,
            resume,
        };
        let plan = match &trainer {
            Some(trainer) => trainer.plan(&job),
            None => plan_script(&job),
        };
        let plan = plan.map_err(|error| located(error, &config))?;
        if let Some(capacity) = plan.capacity_bytes
            && plan.predicted_peak_bytes > capacity
        {
            warnings.push(TrainingWarning::Other {
                what: "More memory is predicted than the device has.".to_owned(),
                mend: "`shipworthy plan training` says which key saves how much.".to_owned(),
            });
        }
        Ok(Self {
            job,
            data: data.report,
            eval_data,
            preview: data.preview,
            plan,
            family,
            warnings,
            trainer,
            config,
        })
    }
}

/// Puts an error of the trainer where the key stands that it is about.
pub(super) fn located(error: TrainError, config: &TuningConfig) -> TuningError {
    match error {
        TrainError::Setting { key, .. } => TuningError::Setting {
            place: config.places.value_of(key),
            source: error,
        },
        error => TuningError::Train(error),
    }
}

/// Reads what is known of the model before its weights are; where it is trained elsewhere these need not be here.
pub(super) fn open_model(config: &TuningConfig) -> Result<ModelConfig, TuningError> {
    let place = || config.places.value_of("model");
    let model = &config.opened.model;
    if !model.is_dir() {
        return Err(TuningError::NoDirectory {
            place: place(),
            model: config.written.model.display().to_string(),
        });
    }
    let read = match config.opened.trainer {
        TrainerKind::HfJobs => ModelConfig::read(model),
        _ => Checkpoint::open(model).and_then(|checkpoint| {
            checkpoint.check_shapes()?;
            Ok(checkpoint.config().clone())
        }),
    };
    read.map_err(|source| TuningError::Model {
        place: place(),
        source,
    })
}

/// Reads a file of conversations.
pub(super) fn read(
    config: &TuningConfig,
    key: &str,
    path: &Path,
    tokenizer: &ModelTokenizer,
) -> Result<TokenisedDataset, TuningError> {
    let options = DatasetOptions {
        max_length: config.opened.max_length as usize,
        excess_length: match config.opened.excess_length_strategy {
            ExcessLengthStrategy::Raise => ExcessLength::Raise,
            ExcessLengthStrategy::Truncate => ExcessLength::Truncate,
            ExcessLengthStrategy::Drop => ExcessLength::Drop,
        },
    };
    TokenisedDataset::read(path, tokenizer, &options).map_err(|source| TuningError::Data {
        place: config.places.value_of(key),
        source,
    })
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn unpacked(config: &FinetuneConfig) -> FinetuneConfig {
    FinetuneConfig {
        packing: false,
        ..config.clone()
    }
}

fn report(data: &TokenisedDataset, config: &FinetuneConfig) -> TrainingDataReport {
    let DatasetReport {
        tokens,
        dropped,
        truncated,
        unlabelled,
        ..
    } = &data.report;
    let packed_rows = config.packing.then(|| {
        let lengths: Vec<usize> = data.examples.iter().map(|one| one.tokens.len()).collect();
        pack(&lengths, config.max_length as usize).len() as u64
    });
    TrainingDataReport {
        examples: data.examples.len() as u64,
        tokens: TokenCounts {
            total: tokens.total as u64,
            p50: tokens.p50 as u64,
            p95: tokens.p95 as u64,
            max: tokens.max as u64,
        },
        labelled_tokens: data.report.labelled as u64,
        examples_lost: (dropped.examples + unlabelled.examples) as u64,
        examples_truncated: truncated.examples as u64,
        tokens_lost: (dropped.tokens + truncated.tokens + unlabelled.tokens) as u64,
        packed_rows,
    }
}
