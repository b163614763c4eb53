use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde_json::json;
use shipworthy_backends::hub::{HubFile, RepositoryId, RepositoryKind};
use shipworthy_reports::one_line;

use crate::cli::error::{Failure, Kind};
use crate::cli::jobs::hub::HubAccess;
use crate::cli::printer::Printer;
use crate::cli::{Outcome, calling_runtime, exit_code};

/// Download files of a data set repository of the Hugging Face Hub
///
/// What is here already stays, what broke off goes on, and each file is held against the digest that the Hub tells.
#[derive(Args)]
pub(crate) struct Pull {
    /// The repository
    #[arg(value_name = "NAMESPACE/NAME")]
    repository: String,
    /// The files, by their paths there; all if left out
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// A branch, tag or commit
    #[arg(long, default_value = "main")]
    revision: String,
    /// The directory to write into
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Replace files here that are other ones
    #[arg(long)]
    overwrite: bool,
}

impl Pull {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let access = HubAccess::from_environment()?;
        let repository = RepositoryId::parse(RepositoryKind::Dataset, &self.repository)?;
        let hub = &access.hub;
        calling_runtime().block_on(async {
            let revision = &self.revision;
            let commit = hub.commit_at(&repository, revision).await?.ok_or_else(|| {
                let message =
                    format!("the Hub has no data set `{repository}` with a revision `{revision}`");
                Failure::new(Kind::Usage, message).hint(
                    "look at the names; what is private is only found with a token that may see it",
                )
            })?;
            let files = self.wanted(hub.files(&repository, &commit).await?)?;
            self.look_at_own(&files)?;
            let mut last = None;
            let mut told = |file: &HubFile, bytes: u64| {
                let quarter = (bytes * 4).checked_div(file.size).unwrap_or(4);
                if printer.progress() && last != Some((file.path.clone(), quarter)) {
                    let whole = HumanBytes(file.size);
                    let path = one_line(&file.path);
                    printer.note(&format!("{path}: {} of {whole}", HumanBytes(bytes)));
                    last = Some((file.path.clone(), quarter));
                }
            };
            let done = hub
                .download(&repository, &commit, &files, &self.out, &mut told)
                .await?;
            let mut text = String::new();
            let mut values = Vec::new();
            for (file, done) in files.iter().zip(&done) {
                let said = match done.fetched {
                    0 if done.size > 0 => "was here".to_owned(),
                    fetched if fetched == done.size => HumanBytes(fetched).to_string(),
                    fetched => format!(
                        "the last {} of {}",
                        HumanBytes(fetched),
                        HumanBytes(done.size)
                    ),
                };
                let _ = writeln!(text, "{}: {said}", one_line(&file.path));
                values.push(
                    json!({ "path": file.path, "bytes": done.size, "fetched": done.fetched }),
                );
            }
            let _ = writeln!(
                text,
                "{repository} at {} is in {}",
                one_line(&commit),
                self.out.display()
            );
            printer.value(&json!({
                "format": 1,
                "repository": repository.to_string(),
                "commit": commit,
                "directory": self.out,
                "files": values,
            }));
            printer.text(&text);
            Ok(exit_code::SUCCESS)
        })
    }

    /// Returns the files that are asked for.
    fn wanted(&self, mut files: Vec<HubFile>) -> Result<Vec<HubFile>, Failure> {
        let missing = self.files.iter().find(|path| {
            let mut paths = files.iter().map(|file| &file.path);
            !paths.any(|other| other == *path)
        });
        if let Some(path) = missing {
            let message = format!("`{}` has no file `{path}`", self.repository);
            return Err(Failure::new(Kind::Usage, message)
                .hint("`shipworthy data pull` without a file's name downloads all"));
        }
        files.retain(|file| match self.files.as_slice() {
            [] => file.path != ".gitattributes",
            named => named.contains(&file.path),
        });
        Ok(files)
    }

    /// Errors if another file of the same name would be lost.
    fn look_at_own(&self, files: &[HubFile]) -> Result<(), Failure> {
        if self.overwrite {
            return Ok(());
        }
        for file in files {
            let local = file.local_in(&self.out)?;
            if local.exists() && !file.is_same_as(&local)? {
                let message = format!("`{}` is here and is another one", local.display());
                return Err(Failure::new(Kind::Usage, message).hint(
                    "replace it with `--overwrite`, or name another directory with `--out`",
                ));
            }
        }
        Ok(())
    }
}
