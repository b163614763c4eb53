use std::net::TcpStream;
use std::time::{Duration, Instant};

use test_case::test_case;

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Done, Project};
use crate::support::words::RUBRIC;

/// The variable that makes this program's own test below a server.
const PORT: &str = "SHIPWORTHY_FAKE_SERVER_PORT";

const KEY: &str = "sk-served-0123456789";

/// Serves if a project starts this program for that: as `tuned`, with the key that the environment
/// says. Tells its port, and dies after so many calls as `dies` says, which it removes.
#[test]
fn as_a_server() {
    let Ok(port) = std::env::var(PORT) else {
        return;
    };
    let api_key = std::env::var("VLLM_API_KEY").ok();
    println!("listens with {api_key:?}");
    // Whoever finds the file finds the port in it.
    std::fs::write("port.new", &port).unwrap();
    std::fs::rename("port.new", "port").unwrap();
    if std::path::Path::new("broken").exists() {
        println!("out of memory");
        leave();
    }
    let die_after = std::fs::read_to_string("dies").ok();
    let _ = std::fs::remove_file("dies");
    let server = FakeOpenAi::start_on(
        port.parse().unwrap(),
        Options {
            model: "tuned".into(),
            api_key,
            die_after: die_after.map(|n| n.trim().parse().unwrap()),
            latency: Duration::from_millis(5),
            ..Options::default()
        },
    );
    // Until it is killed, or dies.
    loop {
        std::thread::sleep(Duration::from_millis(20));
        if TcpStream::connect(("127.0.0.1", server.port())).is_err() {
            return;
        }
    }
}

#[expect(clippy::exit, reason = "a server that fails does just this")]
fn leave() -> ! {
    std::process::exit(1)
}

/// A project whose candidate is behind a server that the project starts.
fn project(serve: &str) -> Project {
    let this = std::env::current_exe().unwrap();
    let project = Project::with_config(&format!(
        "project: served\n\
         personas: {{spec: coaching, count: 4, repeats: 2, max_turns: 2}}\n\
         rubric: ./words.yaml\n\
         baseline: base\n\
         models:\n  base: {{scripted: base.jsonl}}\n  tuned: {{server: main}}\n\
         serve:\n  main:\n    \
         command: [sh, -c, '{PORT}={{port}} exec \"$0\" served::as_a_server --exact --nocapture', '{}']\n    \
         api_key_env: SERVED_KEY\n    {serve}\n",
        this.display(),
    ));
    project.write("words.yaml", RUBRIC);
    project.write("base.jsonl", "{\"reply\": \"one two\"}\n");
    project
}

fn evaluate(project: &Project, arguments: &[&str]) -> Done {
    let mut command = project.command(&[&["eval"], arguments].concat());
    Done::of(command.env("SERVED_KEY", KEY))
}

/// Tells whether the server that the project started still listens.
fn listens(project: &Project) -> bool {
    let port: u16 = project.read("port").trim().parse().unwrap();
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn log(project: &Project) -> String {
    project.read(".shipworthy/servers/main.log")
}

#[test]
fn a_server_is_started_for_a_run_and_stopped_after_it() {
    let project = project("");
    let done = evaluate(&project, &["--exit-zero"]);
    assert!([0, 65].contains(&done.code), "{done:?}");
    assert_eq!(project.transcripts().len(), 2 * 4 * 2);
    assert!(!listens(&project), "it was stopped");
    let log = log(&project);
    assert!(log.contains("listens with Some(\"***\")"), "{log}");
    assert!(!log.contains(KEY), "{log}");
    // The port is another one each time, but the plan is the same.
    let again = evaluate(&project, &["--resume", "--exit-zero"]);
    assert!(!again.stderr.contains("nothing to resume"), "{again:?}");
    assert!([0, 65].contains(&again.code), "{again:?}");
}

#[test]
fn a_server_that_dies_under_way_is_started_again() {
    let project = project("");
    project.write("dies", "9");
    let done = evaluate(&project, &["--exit-zero"]);
    assert!([0, 65].contains(&done.code), "{done:?}");
    let log = log(&project);
    assert_eq!(log.matches("shipworthy: starts").count(), 2, "{log}");
    assert!(!listens(&project));
}

#[test]
fn a_server_that_does_not_start_shows_its_last_words() {
    let project = project("ready_timeout_s: 20");
    project.write("broken", "");
    let done = evaluate(&project, &[]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr
            .contains("field `serve.main`: server `main` ended before it was ready"),
        "{done:?}"
    );
    assert!(done.stderr.contains("hint: log: "), "{done:?}");
    assert!(done.stderr.contains("out of memory"), "{done:?}");
    assert!(!done.stderr.contains(KEY), "{done:?}");
}

#[test_case("KILL"; "killed")]
#[test_case("INT"; "interrupted")]
#[test_case("TERM"; "terminated")]
fn a_server_ends_with_its_run(signal: &str) {
    let project = project("");
    // Long enough to be killed under way.
    let config = project.read("shipworthy.yaml");
    project.write("shipworthy.yaml", &config.replace("count: 4", "count: 200"));
    let mut command = project.command(&["eval"]);
    let mut running = command
        .env("SERVED_KEY", KEY)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !project.path("port").exists() || !listens(&project) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = running.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", signal, &pid])
        .status();
    assert!(sent.unwrap().success());
    let status = running.wait().unwrap();
    assert!(!status.success(), "{status}");
    if signal == "INT" {
        assert_eq!(status.code(), Some(130));
    }
    let start = Instant::now();
    while listens(&project) {
        assert!(start.elapsed() < Duration::from_secs(15), "it still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn mistakes_in_serve_are_located() {
    let project = project("");
    let config = project.read("shipworthy.yaml");
    let cases = [
        (
            "{server: main}",
            "{server: mian}",
            "field `models.tuned`: no server is named `mian`; `serve` has main",
        ),
        (
            "    api_key_env: SERVED_KEY",
            "    vllm: x",
            "give one of `llama_server`, `vllm` and `command`",
        ),
    ];
    for (from, to, message) in cases {
        project.write("shipworthy.yaml", &config.replace(from, to));
        let done = evaluate(&project, &[]);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(message), "{done:?}");
    }
    project.write("shipworthy.yaml", &config);
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("`SERVED_KEY`"), "{done:?}");
}
