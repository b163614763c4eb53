mod conclusion;
mod duration;
pub(super) mod hub;
mod listing;
mod memory_size;
mod run;
mod watch;

use clap::{Args, Subcommand};
use shipworthy_backends::jobs::JobId;

use self::hub::HubAccess;
use super::Outcome;
use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::ConfigPath;

/// Run scripts on machines of the Hugging Face Hub, and look after them
///
/// The token comes from `HF_TOKEN` or the file that `hf auth login` writes, the Hub's address from
/// `HF_ENDPOINT`. What was started here is kept in the project's store, so that another process can
/// wait for it.
#[derive(Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Run>),
    /// List the jobs that wait or run
    List {
        /// Those that are over too
        #[arg(long)]
        all: bool,
        /// Whose jobs; your own if left out
        #[arg(long)]
        namespace: Option<String>,
        #[command(flatten)]
        path: ConfigPath,
    },
    /// Show where a job is and what it cost so far
    Inspect {
        #[command(flatten)]
        job: NamedJob,
    },
    /// Print what a job has written
    Logs {
        #[command(flatten)]
        job: NamedJob,
        /// Go on until it is over
        #[arg(short, long)]
        follow: bool,
    },
    /// Stop a job
    Cancel {
        #[command(flatten)]
        job: NamedJob,
    },
    /// Follow a job to its end, look at what it left, and download that
    Wait {
        #[command(flatten)]
        job: NamedJob,
        /// Directory to download the output to, instead of the one said at the start
        #[arg(long, value_name = "DIR")]
        out: Option<std::path::PathBuf>,
    },
    /// List the machines that can be had, with their prices now
    #[command(alias = "flavors")]
    Flavours,
}

/// A job, and where it is written down.
#[derive(Args)]
struct NamedJob {
    /// The job: its id, or NAMESPACE/ID
    #[arg(value_name = "JOB")]
    id: String,
    #[command(flatten)]
    path: ConfigPath,
}

impl NamedJob {
    /// Returns the job's whole name.
    async fn find(&self, access: &HubAccess) -> Result<JobId, Failure> {
        let namespace = if self.id.contains('/') {
            None
        } else {
            Some(access.hub.account().await?)
        };
        JobId::parse(&self.id, namespace.as_deref()).ok_or_else(|| {
            Failure::new(Kind::Usage, format!("`{}` is no job", self.id))
                .hint("a job is ID or NAMESPACE/ID; `shipworthy jobs list --all` names them")
        })
    }
}

impl Jobs {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let access = HubAccess::from_environment()?;
        let work = async {
            match &self.command {
                Command::Run(run) => run.run(printer, &access).await,
                Command::List {
                    all,
                    namespace,
                    path,
                } => listing::list(printer, &access, *all, namespace.as_deref(), path).await,
                Command::Inspect { job } => listing::inspect(printer, &access, job).await,
                Command::Logs { job, follow } => {
                    watch::logs(printer, &access, &job.find(&access).await?, *follow).await
                }
                Command::Cancel { job } => listing::cancel(printer, &access, job).await,
                Command::Wait { job, out } => {
                    let id = job.find(&access).await?;
                    watch::wait(printer, &access, &job.path, &id, out.as_deref()).await
                }
                Command::Flavours => listing::flavours(printer, &access).await,
            }
        };
        super::calling_runtime().block_on(work)
    }
}
