use std::time::Duration;

use shipworthy_backends::hub::Hub;
use shipworthy_backends::jobs::Flavour;
use shipworthy_backends::trainer::TrainError;
use shipworthy_models::ModelConfig;
use shipworthy_schema::finetune::{DeviceChoice, HfJobs};

use super::base_check;
use crate::remote_job::RemoteJobError;
use crate::tuning::error::TuningError;
use crate::tuning::hardware::{self, FLAVOURS};
use crate::tuning::preflight::Preflight;

/// Hours before the first step: packages are installed and the model is downloaded, some minutes of each.
const START_HOURS: f64 = 0.25;

/// How many times the estimate a job may take where nobody says, and what it may take besides.
const PATIENCE: f64 = 3.0;
const SPARE_HOURS: f64 = 0.5;

/// Time limits that follow from estimates are rounded up to this.
const ROUND_S: f64 = 600.0;

/// The machine that a training is given, and what it may take there.
#[derive(Clone, Debug, PartialEq)]
pub struct Rental {
    /// The machine, with its price of now.
    pub flavour: Flavour,
    /// Estimated hours, the start among them; `None` if nobody knows the machine's speed.
    pub hours: Option<f64>,
    /// Estimated price of these in US dollars.
    pub usd: Option<f64>,
    /// After which the Hub stops the job.
    pub timeout: Duration,
    /// The most it can cost in US dollars; `None` if the Hub does not tell the price.
    pub most_usd: Option<f64>,
    /// In whose name it runs.
    pub namespace: String,
    /// The commit of the base that is trained.
    pub revision: String,
}

impl Rental {
    /// Asks the Hub for machines and prices, and chooses by them and the forecast of memory.
    ///
    /// Nothing is made or paid for. Errors if no machine suffices, if it might cost more than is allowed, and if the base at the
    /// Hub is another than the one here.
    pub async fn find(hub: &Hub, preflight: &Preflight) -> Result<Self, TuningError> {
        let remote = |error| TuningError::Remote(RemoteJobError::Hub(error));
        let config = &preflight.config;
        let wrong = |detail: String| TuningError::Setting {
            place: config.places.value_of("hf_jobs"),
            source: TrainError::Setting {
                key: "hf_jobs",
                detail,
            },
        };
        let job = config.opened.hf_jobs.as_ref();
        let job = job.ok_or_else(|| wrong("there is no such section".to_owned()))?;
        let flavours = hub.flavours().await.map_err(remote)?;
        let (flavour, hours) = choose(&flavours, preflight, job).map_err(|detail| {
            wrong(format!(
                "{detail}; `shipworthy jobs flavours` lists what there is"
            ))
        })?;
        let timeout = match (job.timeout, hours) {
            (Some(limit), _) => limit.duration(),
            (None, Some(hours)) => limit(hours),
            (None, None) => {
                return Err(wrong(format!(
                    "nobody knows how long it takes on `{}`: give a `timeout`",
                    flavour.name
                )));
            }
        };
        let most_usd = flavour.cost_usd(timeout.as_secs());
        if let Some(allowed) = job.max_cost_usd
            && most_usd.is_none_or(|most| most > allowed)
        {
            let most = most_usd.map_or_else(
                || "nobody knows how much".to_owned(),
                |most| format!("{most:.2} USD"),
            );
            return Err(wrong(format!(
                "{} min on `{}` may cost {most}, and `max_cost_usd` is {allowed}; allow more, or give it less `timeout`",
                timeout.as_secs().div_ceil(60),
                flavour.name
            )));
        }
        let namespace = match &job.namespace {
            Some(namespace) => namespace.clone(),
            None => hub.account().await.map_err(remote)?,
        };
        Ok(Self {
            usd: hours.and_then(|hours| cost(flavour, hours)),
            flavour: flavour.clone(),
            hours,
            timeout,
            most_usd,
            namespace,
            revision: base_check::settle(hub, config, job).await?,
        })
    }
}

/// Returns the machine that was named, or the one on which the run is cheapest, with the hours that it takes there.
fn choose<'a>(
    flavours: &'a [Flavour],
    preflight: &Preflight,
    job: &HfJobs,
) -> Result<(&'a Flavour, Option<f64>), String> {
    let config = &preflight.config.opened;
    let processes = u64::from(config.num_processes);
    let peak = preflight.plan.predicted_peak_bytes;
    let model = ModelConfig::read(&config.model).map_err(|error| error.to_string())?;
    let sizes = model
        .hyper_parameters()
        .map_err(|error| error.to_string())?;
    let known = |flavour: &Flavour| FLAVOURS.iter().find(|known| known.name == flavour.name);
    let tokens = preflight.plan.data.tokens.total as f64 * preflight.plan.epochs;
    let hours = |known: &hardware::Flavour| {
        START_HOURS + known.hours(config, model.family(), &sizes, tokens)
    };
    if let Some(name) = &job.flavour {
        let named = flavours.iter().find(|flavour| flavour.name == *name);
        let named = named.ok_or_else(|| format!("the Hub has no flavour `{name}`"))?;
        let has_card = config.device != DeviceChoice::Cpu;
        if has_card && named.cards < processes {
            return Err(format!(
                "`{name}` has {} cards, and `num_processes` is {processes}",
                named.cards
            ));
        }
        return Ok((named, known(named).filter(|_| has_card).map(hours)));
    }
    if config.device == DeviceChoice::Cpu {
        return Err("name a `flavour`: with `device: cpu` none is chosen".to_owned());
    }
    let fitting = flavours.iter().filter_map(|flavour| {
        let known = known(flavour)?;
        let fits = flavour.cards == processes && known.fits(peak);
        let hours = hours(known);
        let usd = cost(flavour, hours).filter(|_| fits)?;
        Some((flavour, hours, usd))
    });
    let cheapest = fitting.min_by(|(one, _, cost), (other, _, other_cost)| {
        cost.total_cmp(other_cost)
            .then_with(|| one.name.cmp(&other.name))
    });
    cheapest
        .map(|(flavour, hours, _)| (flavour, Some(hours)))
        .ok_or_else(|| {
            format!(
                "no machine of the Hub has {processes} of the cards that {:.1} GB are forecast for, at a price",
                peak as f64 / 1e9
            )
        })
}

fn cost(flavour: &Flavour, hours: f64) -> Option<f64> {
    Some(hours * 60.0 * flavour.usd_per_minute?)
}

fn limit(hours: f64) -> Duration {
    let seconds = (hours * PATIENCE + SPARE_HOURS) * 3600.0;
    let seconds = (seconds / ROUND_S).ceil() * ROUND_S;
    // The Hub takes none that are longer.
    Duration::from_secs_f64(seconds.clamp(ROUND_S, 30.0 * 86_400.0))
}
