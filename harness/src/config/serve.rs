use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use shipworthy_backends::Secret;
use shipworthy_backends::server::ServerSpec;
use thiserror::Error;

use super::Count;

/// A model server that is started for a run and stopped after it: exactly one of `llama_server`,
/// `vllm` and `command`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "ServeFields")]
#[schemars(with = "ServeFields")]
pub struct ServeConfig {
    command: Vec<String>,
    api_key_env: Option<String>,
    ready_timeout: Duration,
    restarts: u32,
}

/// The fields as written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ServeFields {
    /// A GGUF file for llama.cpp's `llama-server`.
    llama_server: Option<String>,
    /// A directory or repository for `vllm serve`.
    vllm: Option<String>,
    /// Any program with its arguments; `{port}` in them becomes the port it must listen on.
    command: Option<Vec<String>>,
    /// The program, where it is not `llama-server` or `vllm` on the search path.
    program: Option<String>,
    /// Further arguments.
    args: Vec<String>,
    /// Environment variable that holds the API key the server is to want.
    api_key_env: Option<String>,
    /// Seconds until it must answer, 600 if left out.
    ready_timeout_s: Option<Count>,
    /// How often it is started again after it died, 3 if left out.
    restarts: Option<u32>,
}

/// Says why an entry is no server.
#[derive(Debug, Error, PartialEq)]
pub enum ServeError {
    /// None or several of the programs are given.
    #[error("give one of `llama_server`, `vllm` and `command`")]
    Program,
    /// The command is empty.
    #[error("`command` names no program")]
    Empty,
    /// A field goes with another kind of server.
    #[error("`{field}` goes with `llama_server` and `vllm` only; write it into `command`")]
    Misplaced {
        /// The field.
        field: &'static str,
    },
    /// Nothing tells the program where to listen.
    #[error("`command` must hold `{{port}}`, which becomes the port to listen on")]
    Port,
    /// What is chosen here is among the arguments.
    #[error("`{argument}` is chosen by shipworthy; leave it out")]
    Chosen {
        /// The argument.
        argument: String,
    },
    /// A key is among the arguments.
    #[error(
        "`{argument}` would write the key into files and lists of processes; name the variable \
         that holds it with `api_key_env`"
    )]
    Key {
        /// The argument.
        argument: String,
    },
}

/// Options whose value is chosen here.
const CHOSEN: [&str; 2] = ["--port", "--host"];

impl TryFrom<ServeFields> for ServeConfig {
    type Error = ServeError;

    fn try_from(fields: ServeFields) -> Result<Self, ServeError> {
        let listening = ["--host", "127.0.0.1", "--port", "{port}"];
        let program = |usual: &str| fields.program.clone().unwrap_or(usual.to_owned());
        let (mut command, is_ours) = match (&fields.llama_server, &fields.vllm, &fields.command) {
            (Some(model), None, None) => {
                let head = [&program("llama-server"), "--model", model];
                (head.map(str::to_owned).to_vec(), true)
            }
            (None, Some(model), None) => {
                let head = [&program("vllm"), "serve", model];
                (head.map(str::to_owned).to_vec(), true)
            }
            (None, None, Some(command)) => {
                let misplaced = [
                    ("program", fields.program.is_some()),
                    ("args", !fields.args.is_empty()),
                ];
                if let Some((field, _)) = misplaced.into_iter().find(|(_, given)| *given) {
                    return Err(ServeError::Misplaced { field });
                }
                (command.clone(), false)
            }
            _ => return Err(ServeError::Program),
        };
        let option = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
        let written = command.iter().chain(&fields.args);
        if let Some(key) = written.map(|a| option(a)).find(|a| a == "--api-key") {
            return Err(ServeError::Key { argument: key });
        }
        if is_ours {
            let chosen = fields.args.iter().map(|a| option(a));
            let mut chosen = chosen.filter(|option| CHOSEN.contains(&option.as_str()));
            if let Some(argument) = chosen.next() {
                return Err(ServeError::Chosen { argument });
            }
            command.extend(listening.map(str::to_owned));
            command.extend(fields.args);
        } else if command.is_empty() {
            return Err(ServeError::Empty);
        } else if !command.iter().any(|argument| argument.contains("{port}")) {
            return Err(ServeError::Port);
        }
        let seconds = fields.ready_timeout_s.map_or(600, Count::get);
        Ok(Self {
            command,
            api_key_env: fields.api_key_env,
            ready_timeout: Duration::from_secs(seconds.into()),
            restarts: fields.restarts.unwrap_or(3),
        })
    }
}

impl ServeConfig {
    /// Returns the variable that holds the server's key.
    pub fn api_key_env(&self) -> Option<&str> {
        self.api_key_env.as_deref()
    }

    /// Returns how to start the server called `name`: relative paths are relative to `directory`,
    /// and what it writes goes into `logs`.
    pub fn spec(
        &self,
        name: &str,
        directory: &Path,
        logs: &Path,
        api_key: Option<&Secret>,
        secrets: Vec<Secret>,
    ) -> ServerSpec {
        // The names that llama-server and vLLM read; a command of the user's may read either.
        let names = ["LLAMA_API_KEY", "VLLM_API_KEY"];
        let environment = api_key.map(|key| names.map(|name| (name.to_owned(), key.clone())));
        ServerSpec {
            name: name.to_owned(),
            command: self.command.clone(),
            directory: PathBuf::from(directory),
            environment: environment.into_iter().flatten().collect(),
            log: logs.join(format!("{name}.log")),
            ready: self.ready_timeout,
            restarts: self.restarts,
            secrets,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use shipworthy_backends::Secret;
    use test_case::test_case;

    use super::ServeConfig;

    fn read(yaml: &str) -> Result<ServeConfig, String> {
        shipworthy_schema::yaml::read(yaml, "s.yaml").map_err(|error| error.to_string())
    }

    #[test_case("llama_server: m.gguf\nargs: [-np, '4']"
        => "llama-server --model m.gguf --host 127.0.0.1 --port {port} -np 4"; "llama server")]
    #[test_case("vllm: m\nprogram: venv/bin/vllm"
        => "venv/bin/vllm serve m --host 127.0.0.1 --port {port}"; "vllm")]
    #[test_case("command: [python3, serve.py, '--listen={port}']"
        => "python3 serve.py --listen={port}"; "any command")]
    fn a_server_has_a_command(yaml: &str) -> String {
        read(yaml).unwrap().command.join(" ")
    }

    #[test_case("args: [x]", "give one of"; "no program")]
    #[test_case("{vllm: m, command: [x, '{port}']}", "give one of"; "two programs")]
    #[test_case("command: []", "names no program"; "an empty command")]
    #[test_case("command: [x]", "must hold `{port}`"; "no port")]
    #[test_case("{command: [x, '{port}'], args: [y]}", "`args` goes with"; "arguments of a command")]
    #[test_case("{vllm: m, args: [--port=1]}", "`--port` is chosen by"; "a port")]
    #[test_case("{vllm: m, args: [--api-key, sk-hush]}", "`api_key_env`"; "a key")]
    #[test_case("{command: [x, '{port}', --api-key=sk-hush]}", "`api_key_env`"; "a key in a command")]
    fn mistakes_are_refused(yaml: &str, message: &str) {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn a_key_goes_by_the_environment() {
        let serve = read("{vllm: m, api_key_env: KEY}").unwrap();
        let key = Secret::new("sk-hush");
        let (here, logs) = (Path::new("p"), Path::new("p/logs"));
        let spec = serve.spec("main", here, logs, Some(&key), vec![key.clone()]);
        assert_eq!(spec.environment[1], ("VLLM_API_KEY".to_owned(), key));
        assert_eq!(spec.log, logs.join("main.log"));
        assert!(!format!("{spec:?}").contains("hush"));
    }
}
