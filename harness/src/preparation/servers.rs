use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use shipworthy_backends::server::{Server, ServerError};
use shipworthy_backends::{Connections, Secret};
use shipworthy_schema::yaml::Place;

use super::PreparationError;
use crate::config::{Config, EntryError, ModelEntry, Served, Surroundings};

/// Where servers' logs go, beside the store.
const LOGS: &str = ".shipworthy/servers";

/// The servers of a configuration that entries name, running until this is dropped.
#[derive(Default)]
pub struct Servers {
    running: BTreeMap<String, Server>,
    served: BTreeMap<String, Served>,
}

impl Servers {
    /// Starts every server that an entry of `config` names, all at once, and waits until each of
    /// them has its model loaded.
    ///
    /// `only`: the one entry that is of interest, if not all are.
    pub async fn start(
        config: &Config,
        file: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
        only: Option<&ModelEntry>,
    ) -> Result<Self, PreparationError> {
        let shown = file.display().to_string();
        let directory = super::directory_of(file);
        let entries = config.entries();
        let wanted: BTreeSet<&str> = match only {
            Some(entry) => entry.server().into_iter().collect(),
            None => entries.iter().filter_map(|(e, _)| e.server()).collect(),
        };
        let secrets = secrets(config, environment);
        let mut servers = Self::default();
        let mut places = BTreeMap::new();
        for (name, serve) in &config.serve {
            let name = name.as_str();
            if !wanted.contains(name) {
                continue;
            }
            let place = || Place::of(&shown, format!("serve.{name}"), serve);
            let key = serve.value.api_key_env().map(|variable| {
                let key = environment(variable).filter(|key| !key.is_empty());
                let name = variable.to_owned();
                let unset = || PreparationError::Entry {
                    place: place(),
                    source: EntryError::KeyNotSet { name },
                };
                key.map(Secret::new).ok_or_else(unset)
            });
            let api_key = key.transpose()?;
            let logs = directory.join(LOGS);
            let spec =
                (serve.value).spec(name, directory, &logs, api_key.as_ref(), secrets.clone());
            let failed = |source| PreparationError::Server {
                place: place(),
                source,
            };
            let server = Server::start(spec).map_err(failed)?;
            let url = server.url();
            servers
                .served
                .insert(name.to_owned(), Served { url, api_key });
            servers.running.insert(name.to_owned(), server);
            places.insert(name.to_owned(), place());
        }
        let ready = servers.running.iter().map(async |(name, server)| {
            let ready: Result<(), ServerError> = server.ready().await;
            ready.map_err(|source| (name.clone(), source))
        });
        if let Err((name, source)) = futures::future::try_join_all(ready).await {
            let place = places.remove(&name).expect("every server has a place");
            return Err(PreparationError::Server { place, source });
        }
        Ok(servers)
    }

    /// Returns what is around the entries of `config`.
    pub fn surroundings<'a>(
        &'a self,
        config: &'a Config,
        directory: &'a Path,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Surroundings<'a> {
        Surroundings {
            directory,
            environment,
            servers: &self.served,
            entries: config.entries(),
            connections: Connections::default(),
        }
    }

    /// Returns, for each server that died for good, its name, its log and the last lines of it.
    pub fn obituaries(&self) -> Vec<Obituary> {
        let died = self.running.iter().filter_map(|(name, server)| {
            let (log, last_lines) = server.obituary()?;
            Some(Obituary {
                server: name.clone(),
                log: log.display().to_string(),
                last_lines,
            })
        });
        died.collect()
    }
}

/// What a server left that died for good.
#[derive(Clone, Debug)]
pub struct Obituary {
    /// The server.
    pub server: String,
    /// Its log.
    pub log: String,
    /// The log's last lines.
    pub last_lines: Vec<String>,
}

/// Returns every key that the configuration names: none may show in a log.
fn secrets(config: &Config, environment: &dyn Fn(&str) -> Option<String>) -> Vec<Secret> {
    let of_entries = config.entries();
    let of_entries = of_entries
        .iter()
        .filter_map(|(entry, _)| entry.api_key_env());
    let of_servers = config.serve.values();
    let of_servers = of_servers.filter_map(|serve| serve.value.api_key_env());
    of_entries
        .chain(of_servers)
        .filter_map(environment)
        .filter(|key| !key.is_empty())
        .map(Secret::new)
        .collect()
}
