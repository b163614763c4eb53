use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shipworthy_harness::config::TracingConfig;
use shipworthy_harness::evaluation::{Done, EvaluationError, Start, evaluate};
use shipworthy_harness::halt::{Halt, HaltReason};
use shipworthy_harness::preparation::{Prepared, Servers};
use shipworthy_harness::progress::RunProgress;
use shipworthy_harness::store::Store;
use shipworthy_harness::telemetry::{Settings, Tracer};
use shipworthy_harness::watching::Watch;
use tokio::runtime::Runtime;

use super::error::{Failure, RESUME};
use super::printer::Printer;
use super::project::environment;
use super::stop_signal::StopSignal;
use super::{interrupted, progress};

/// How long the end of a run waits for a collector that is slow.
const SENDING_PATIENCE: Duration = Duration::from_secs(5);

/// What a run needs of its process: a runtime, and somebody who listens for Ctrl-C.
pub(super) struct RunProcess {
    runtime: Runtime,
    halt: Halt,
    _stop: StopSignal,
}

impl RunProcess {
    /// Listens from now on: the first Ctrl-C ends the run when the calls under way are done.
    pub(super) fn begin() -> Self {
        let halt = Halt::default();
        let asked = halt.clone();
        let stop = StopSignal::listen_and(
            "finishing the calls under way; once more stops at once",
            move || asked.request(HaltReason::Interrupted),
        );
        Self {
            runtime: super::calling_runtime(),
            halt,
            _stop: stop,
        }
    }

    /// Prepares a run, unless somebody interrupts.
    pub(super) fn prepare<T, E>(
        &self,
        preparing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        self.runtime.block_on(async {
            tokio::select! {
                prepared = preparing => prepared.map_err(Failure::from),
                _ = self.halt.requested() => Err(interrupted().hint(RESUME)),
            }
        })
    }

    /// Carries out what was prepared, with a live table where there is a terminal; what fails becomes
    /// a failure by `failed`.
    pub(super) fn carry_out(
        self,
        printer: &Printer,
        mut prepared: Prepared,
        run: Carried<'_>,
        failed: impl FnOnce(EvaluationError) -> Failure,
    ) -> Result<Done, Failure> {
        let (listener, bar) = progress::listener(printer, run.progress, run.watch);
        let servers = Arc::clone(&prepared.servers);
        let tracing = Settings::of(run.tracing, &environment);
        let done = self.runtime.block_on(async {
            let sending = tracing.map(|settings| {
                let (tracer, sending) = Tracer::start(settings, SystemTime::now, &trace_seed());
                prepared.tracer = Some(tracer);
                sending
            });
            let store = Arc::clone(run.store);
            let done = evaluate(prepared, store, run.start, self.halt, listener).await;
            if let Some(sending) = sending {
                match sending.finish(SENDING_PATIENCE).await {
                    0 => {}
                    lost => printer.note(&format!(
                        "warning: {lost} spans did not reach the OTLP collector; the run is not affected"
                    )),
                }
            }
            done.map_err(failed)
        });
        bar.finish_and_clear();
        done.map_err(|failure| with_obituaries(failure, &servers))
    }
}

/// What a run has to do with besides what was prepared.
pub(super) struct Carried<'a> {
    pub(super) store: &'a Arc<Store>,
    pub(super) start: Start,
    pub(super) progress: Arc<Mutex<RunProgress>>,
    /// Who shows the run while it goes on.
    pub(super) watch: Option<Arc<Watch>>,
    pub(super) tracing: &'a TracingConfig,
}

/// Returns what names a trace: no two processes have the same.
fn trace_seed() -> Vec<u8> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut seed = since.unwrap_or_default().as_nanos().to_le_bytes().to_vec();
    seed.extend_from_slice(&std::process::id().to_le_bytes());
    seed
}

/// Adds what servers wrote last that died under way.
fn with_obituaries(failure: Failure, servers: &Servers) -> Failure {
    servers
        .obituaries()
        .into_iter()
        .fold(failure, |failure, died| {
            let hint = format!("server `{}` died; its log is {}", died.server, died.log);
            failure.hint(hint).log(&died.last_lines)
        })
}
