use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_backends::hub::{RepositoryId, RepositoryKind, Upload};
use shipworthy_reports::one_line;

use crate::cli::error::{Failure, Kind};
use crate::cli::jobs::hub::HubAccess;
use crate::cli::printer::Printer;
use crate::cli::{Outcome, calling_runtime, exit_code};

/// Upload files to a data set repository of the Hugging Face Hub
///
/// They go in one commit to its `main`. A repository that is not there is made, private unless you say otherwise. What it has
/// already is not sent again, so that an upload that broke off goes on when it is started again.
#[derive(Args)]
pub(crate) struct Push {
    /// The repository
    #[arg(value_name = "NAMESPACE/NAME")]
    repository: String,
    /// Files, or directories whose files keep their paths; hidden ones stay here
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// What the commit is called
    #[arg(long, default_value = "Upload with shipworthy")]
    title: String,
    /// Everybody may read it: make it so, or accept that it is
    #[arg(long)]
    public: bool,
}

impl Push {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let files = self.files()?;
        let access = HubAccess::from_environment()?;
        let repository = RepositoryId::parse(RepositoryKind::Dataset, &self.repository)?;
        let hub = &access.hub;
        let done = calling_runtime().block_on(async {
            if hub.is_public(&repository).await? == Some(true) && !self.public {
                let message =
                    format!("everybody may read `{repository}`, and so what is pushed there");
                return Err(Failure::new(Kind::Usage, message)
                    .hint("say `--public` if that is meant, or name another repository"));
            }
            if hub.create(&repository, !self.public).await? {
                let kind = if self.public { "public" } else { "private" };
                printer.note(&format!("made {repository}, {kind}"));
            }
            Ok(hub.upload(&repository, &files, &self.title).await?)
        })?;
        printer.value(&json!({
            "format": 1,
            "repository": repository.to_string(),
            "commit": done.commit,
            "uploaded": done.files,
            "unchanged": done.unchanged,
            "ignored": done.ignored,
        }));
        let mut text = String::new();
        for (what, paths) in [
            ("uploaded", &done.files),
            ("unchanged", &done.unchanged),
            ("left out by the repository's rules", &done.ignored),
        ] {
            for path in paths {
                let _ = writeln!(text, "{what}: {}", one_line(path));
            }
        }
        let _ = writeln!(text, "{repository} is at {}", one_line(&done.commit));
        printer.text(&text);
        Ok(exit_code::SUCCESS)
    }

    /// Returns the files to upload; errors if there are none, or two of one name.
    fn files(&self) -> Result<Vec<Upload>, Failure> {
        let mut files: BTreeMap<String, Upload> = BTreeMap::new();
        for path in &self.paths {
            if !path.exists() {
                let message = format!("there is no `{}`", path.display());
                return Err(Failure::new(Kind::Usage, message));
            }
            for file in Upload::all_in(path)? {
                let local = file.local.display().to_string();
                if let Some(other) = files.insert(file.path.clone(), file) {
                    let message = format!(
                        "`{}` and `{local}` would both be `{}` there",
                        other.local.display(),
                        other.path
                    );
                    return Err(Failure::new(Kind::Usage, message)
                        .hint("push a directory that has both, or call one otherwise"));
                }
            }
        }
        if files.is_empty() {
            return Err(Failure::new(Kind::Usage, "there is no file to upload")
                .hint("hidden files are left out"));
        }
        Ok(files.into_values().collect())
    }
}
