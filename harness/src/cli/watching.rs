//! `eval --watch`: a page of the run while it goes on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shipworthy_harness::loopback::Site;
use shipworthy_harness::progress::RunProgress;
use shipworthy_harness::store::Store;
use shipworthy_harness::watching::{End, Watch, WatchPages};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::Failure;
use super::label::token;
use super::printer::Printer;

/// The longest that the command stays for pages that are open to get the report.
const GRACE: Duration = Duration::from_secs(10);

/// A page that is served until the run ended.
pub(super) struct Watching {
    watch: Arc<Watch>,
    /// The report, once it is written.
    pub(super) report: Option<PathBuf>,
    // A runtime of its own: what people look at must not hold up the run.
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Watching {
    /// Serves the page and says where it is.
    pub(super) fn start(
        printer: &Printer,
        progress: &Arc<Mutex<RunProgress>>,
        store: &Arc<Store>,
    ) -> Result<Self, Failure> {
        let began = Instant::now();
        let watch = Watch::new(Arc::clone(progress), Arc::clone(store), move || {
            began.elapsed().as_secs_f64()
        });
        let watch = Arc::new(watch);
        let pages = WatchPages::new(Arc::clone(&watch));
        let runtime = super::runtime();
        let site = runtime.block_on(Site::open(pages, token()?, 0))?;
        printer.note("watch the run at");
        printer.note(&format!("  {}", site.address()));
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(site.serve_until(stopped));
        Ok(Self {
            watch,
            report: None,
            runtime,
            stop,
            serving,
        })
    }

    /// Returns what takes note of events.
    pub(super) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// Tells pages that are open how the run ended, and stops; `said` stands for a report that there is
    /// not.
    pub(super) fn finish(self, said: &str) {
        let said = said.to_owned();
        let end = match self.report.map(std::fs::read_to_string) {
            Some(Ok(page)) => End::Report(page),
            Some(Err(error)) => End::Said(format!("its report cannot be read: {error}")),
            None => End::Said(said),
        };
        self.watch.end(end);
        let until = Instant::now() + GRACE;
        while self.watch.is_awaited() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.stop.send(());
        let _ = self.runtime.block_on(self.serving);
    }
}
