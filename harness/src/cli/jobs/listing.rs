use serde_json::{Value, json};
use shipworthy_backends::jobs::{Flavour, Job};
use shipworthy_harness::remote_job::RemoteJob;
use shipworthy_harness::store::{Store, StoreError};
use shipworthy_reports::{amount_text, one_line, table};

use super::NamedJob;
use super::conclusion::{cost_usd, took};
use super::hub::HubAccess;
use crate::cli::error::Failure;
use crate::cli::printer::Printer;
use crate::cli::project::{ConfigPath, Project};
use crate::cli::{Outcome, exit_code};

/// Returns the jobs that were started from this project.
fn known(path: &ConfigPath) -> Result<Vec<RemoteJob>, Failure> {
    match Store::open_existing(&Project::of(&path.file()).store()) {
        Ok(store) => Ok(store.jobs()?),
        Err(StoreError::Missing { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Returns a minute's price: the one at the start where that is known, else today's.
fn price(job: &Job, record: Option<&RemoteJob>, flavours: &[Flavour]) -> Option<f64> {
    let then = record.and_then(|record| record.usd_per_minute);
    let now = || {
        let name = job.flavour.as_ref()?;
        let found = flavours.iter().find(|flavour| flavour.name == *name)?;
        found.usd_per_minute
    };
    then.or_else(now)
}

fn value(job: &Job, record: Option<&RemoteJob>, price: Option<f64>) -> Value {
    json!({
        "job": job.id.to_string(),
        "name": job.name,
        "stage": job.stage.name(),
        "message": job.message,
        "flavour": job.flavour,
        "image": job.image,
        "created_at": job.created_at,
        "seconds": job.billed_s(),
        "cost_usd": cost_usd(job, price),
        "conclusion": record.and_then(|record| record.conclusion.as_ref()),
        "output": record.and_then(|record| record.output.as_ref()),
    })
}

/// Lists jobs.
pub(super) async fn list(
    printer: &Printer,
    access: &HubAccess,
    is_all: bool,
    namespace: Option<&str>,
    path: &ConfigPath,
) -> Outcome {
    let namespace = match namespace {
        Some(namespace) => namespace.to_owned(),
        None => access.hub.account().await?,
    };
    let jobs = access.hub.jobs(&namespace, is_all).await?;
    let flavours = access.hub.flavours().await?;
    let records = known(path)?;
    let record = |job: &Job| {
        let id = job.id.to_string();
        records.iter().find(|record| record.id == id)
    };
    let values = jobs.iter().map(|job| {
        let record = record(job);
        value(job, record, price(job, record, &flavours))
    });
    printer.value(&json!({ "format": 1, "jobs": values.collect::<Vec<_>>() }));
    if jobs.is_empty() {
        printer.text(if is_all {
            "no jobs\n"
        } else {
            "no jobs that wait or run; `--all` lists the others\n"
        });
        return Ok(exit_code::SUCCESS);
    }
    let rows: Vec<[String; 6]> = jobs
        .iter()
        .map(|job| {
            let record = record(job);
            let stage = match record.and_then(|record| record.conclusion.as_deref()) {
                Some(conclusion) if conclusion != job.stage.name() => {
                    format!("{} ({conclusion})", job.stage.name())
                }
                _ => job.stage.name().to_owned(),
            };
            [
                job.id.to_string(),
                one_line(job.name.as_deref().unwrap_or("")),
                one_line(&stage),
                one_line(job.flavour.as_deref().unwrap_or("")),
                one_line(job.created_at.as_deref().unwrap_or("")),
                took(job, price(job, record, &flavours)),
            ]
        })
        .collect();
    let heads = ["job", "name", "stage", "flavour", "begun (UTC)", "took"];
    printer.text(&table(heads, &rows, printer.width()));
    Ok(exit_code::SUCCESS)
}

/// Shows a job.
pub(super) async fn inspect(printer: &Printer, access: &HubAccess, named: &NamedJob) -> Outcome {
    let id = named.find(access).await?;
    let job = access.hub.job(&id).await?;
    let flavours = access.hub.flavours().await?;
    let records = known(&named.path)?;
    let name = job.id.to_string();
    let record = records.iter().find(|record| record.id == name);
    let price = price(&job, record, &flavours);
    printer.value(&value(&job, record, price));
    let stage = one_line(job.stage.name());
    let said = job.message.as_deref().map(one_line);
    let said = said.map_or_else(String::new, |said| format!(" ({said})"));
    let flavour = one_line(job.flavour.as_deref().unwrap_or("unknown"));
    printer.text(&format!(
        "{id}: {stage}{said}\n{flavour}: {}\n",
        took(&job, price)
    ));
    if let Some(output) = record.and_then(|record| record.output.as_ref()) {
        let expectation = output.expectation()?;
        let proof = access.hub.prove(&expectation).await?;
        let repository = &output.repository;
        let step = proof
            .last_step
            .map_or_else(String::new, |step| format!(", step {step} pushed"));
        let text = match proof.missing().as_slice() {
            [] => format!("{repository}: all there{step}\n"),
            missing => format!("{repository}{step}: {}\n", one_line(&missing.join("; "))),
        };
        printer.text(&text);
    }
    Ok(exit_code::SUCCESS)
}

/// Stops a job.
pub(super) async fn cancel(printer: &Printer, access: &HubAccess, named: &NamedJob) -> Outcome {
    let id = named.find(access).await?;
    access.hub.cancel(&id).await?;
    printer.value(&json!({ "format": 1, "job": id.to_string(), "stopped": true }));
    printer.text(&format!("{id}: stopped\n"));
    Ok(exit_code::SUCCESS)
}

/// Lists machines and prices.
pub(super) async fn flavours(printer: &Printer, access: &HubAccess) -> Outcome {
    let mut flavours = access.hub.flavours().await?;
    flavours.sort_by(|one, other| {
        let price = |flavour: &Flavour| flavour.usd_per_minute.unwrap_or(f64::INFINITY);
        price(one)
            .total_cmp(&price(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    let value = |flavour: &Flavour| {
        json!({
            "flavour": flavour.name,
            "cpu": flavour.cpu,
            "ram": flavour.ram,
            "card": flavour.card,
            "cards": flavour.cards,
            "card_bytes": flavour.card_bytes,
            "usd_per_hour": flavour.usd_per_minute.map(|usd| usd * 60.0),
        })
    };
    let values: Vec<Value> = flavours.iter().map(value).collect();
    printer.value(&json!({ "format": 1, "flavours": values }));
    let row = |flavour: &Flavour| {
        let card = flavour.card.as_deref().map(one_line);
        let cards = card.map_or_else(String::new, |card| {
            let gigabytes = flavour.card_bytes as f64 / 1e9;
            format!("{} × {card}, {gigabytes:.0} GB each", flavour.cards)
        });
        let hour = flavour.usd_per_minute.map(|usd| amount_text(usd * 60.0));
        [
            one_line(&flavour.name),
            cards,
            one_line(&flavour.cpu),
            one_line(&flavour.ram),
            hour.unwrap_or_else(|| "unknown".to_owned()),
        ]
    };
    let rows: Vec<[String; 5]> = flavours.iter().map(row).collect();
    let heads = ["flavour", "cards", "cpu", "memory", "USD an hour"];
    printer.text(&table(heads, &rows, printer.width()));
    Ok(exit_code::SUCCESS)
}
