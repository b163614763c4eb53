use std::collections::VecDeque;

use shipworthy_backends::hub::{Hub, HubFile, RepositoryId, RepositoryKind};
use shipworthy_backends::jobs::{Conclusion, Job, JobId, LogLine, LogPosition, Proof};

use super::error::RemoteJobError;
use super::record::RemoteJob;
use crate::store::Store;

/// Lines of a log that are kept to find out why a job failed.
const KEPT: usize = 400;

/// What happens while a job is brought to its end.
#[derive(Debug)]
pub enum FinishEvent<'a> {
    /// It wrote a line.
    Line(&'a LogLine),
    /// So many bytes of a file are here.
    Download {
        /// The file.
        file: &'a HubFile,
        /// The bytes.
        bytes: u64,
    },
}

/// What a job has come to.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the Hub says of it.
    pub job: Job,
    /// What follows from that and from what it left.
    pub conclusion: Conclusion,
    /// Files of the output that are here now.
    pub files: usize,
}

/// Follows a job to its end, looks at what it left, downloads that if it is all there, and writes down what
/// it came to where the job was started from here.
pub async fn finish(
    hub: &Hub,
    store: &Store,
    record: &mut RemoteJob,
    id: &JobId,
    told: &mut dyn FnMut(FinishEvent<'_>),
) -> Result<Finished, RemoteJobError> {
    let mut tail: VecDeque<String> = VecDeque::new();
    let mut position = LogPosition::default();
    let mut line = |line: &LogLine| {
        told(FinishEvent::Line(line));
        if tail.len() == KEPT {
            tail.pop_front();
        }
        tail.push_back(line.text.clone());
    };
    let job = hub.follow(id, &mut position, &mut line).await?;
    let proof = match &record.output {
        None => None,
        Some(output) => Some(hub.prove(&output.expectation()?).await?),
    };
    let tail: Vec<String> = tail.into();
    let conclusion = Conclusion::of(&job, proof.as_ref(), &tail);
    let files = match (&conclusion, &proof) {
        (Conclusion::Done { .. }, Some(proof)) => fetch(hub, record, proof, told).await?,
        _ => 0,
    };
    record.conclusion = Some(conclusion.name().to_owned());
    record.cost_usd = record.cost_of(&job);
    if record.is_from_here() {
        store.put_job(record).await?;
    }
    Ok(Finished {
        job,
        conclusion,
        files,
    })
}

/// Downloads what a job left, but for checkpoints; returns how many files are here.
async fn fetch(
    hub: &Hub,
    record: &RemoteJob,
    proof: &Proof,
    told: &mut dyn FnMut(FinishEvent<'_>),
) -> Result<usize, RemoteJobError> {
    let (Some(directory), Some(output), Some(commit)) =
        (&record.directory, &record.output, &proof.commit)
    else {
        return Ok(0);
    };
    let repository = RepositoryId::parse(RepositoryKind::Model, &output.repository)?;
    let mut files = hub.files(&repository, commit).await?;
    files.retain(is_output);
    let mut told = |file: &HubFile, bytes| told(FinishEvent::Download { file, bytes });
    let got = hub
        .download(&repository, commit, &files, directory, &mut told)
        .await?;
    Ok(got.len())
}

/// Tells whether a file is of the trained model rather than of the way there.
fn is_output(file: &HubFile) -> bool {
    let first = file.path.split('/').next().unwrap_or_default();
    !(first.starts_with("checkpoint-")
        || first == "last-checkpoint"
        || file.path == ".gitattributes")
}
