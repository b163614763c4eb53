//! Processes that are started, watched and stopped.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not in test functions"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use shipworthy_backends::Secret;
use shipworthy_backends::server::{Server, ServerError, ServerSpec};

/// The variable that makes this program's own test below a server.
const AS_A_SERVER: &str = "SHIPWORTHY_TEST_SERVER_PORT";

/// Serves if another test starts this program for that: `/health` answers 503 the first time, `/die`
/// ends it.
#[test]
fn as_a_server() {
    let Ok(port) = std::env::var(AS_A_SERVER) else {
        return;
    };
    println!("key {}", std::env::var("THE_KEY").unwrap());
    if Path::new("fails").exists() {
        println!("the model is damaged");
        leave();
    }
    let started = std::fs::read_to_string("started").unwrap_or_default();
    std::fs::write("started", started + "x").unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let mut status = "503 -";
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request).unwrap();
        if request.contains("/die") {
            leave();
        }
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        status = "200 -";
    }
}

#[expect(clippy::exit, reason = "a server that dies does just this")]
fn leave() -> ! {
    std::process::exit(3)
}

fn spec(directory: &Path) -> ServerSpec {
    let this = std::env::current_exe().unwrap();
    let script = format!("{AS_A_SERVER}={{port}} exec \"$0\" as_a_server --exact --nocapture");
    ServerSpec {
        name: "main".to_owned(),
        command: vec![
            "sh".to_owned(),
            "-c".to_owned(),
            script,
            this.display().to_string(),
        ],
        directory: directory.to_owned(),
        environment: vec![("THE_KEY".to_owned(), Secret::new("sk-hush"))],
        log: directory.join("main.log"),
        ready: Duration::from_secs(30),
        restarts: 1,
        secrets: vec![Secret::new("sk-hush")],
    }
}

async fn get(server: &Server, path: &str) -> Result<u16, reqwest::Error> {
    let url = server.url().replace("/v1", path);
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client.get(url).send().await?.status().as_u16())
}

/// Waits until `is_so`; fails after ten seconds.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_is_waited_for_started_again_and_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(spec(directory.path())).unwrap();
    server.ready().await.unwrap();
    assert_eq!(get(&server, "/health").await.unwrap(), 200);

    assert!(get(&server, "/die").await.is_err());
    let answers = async || get(&server, "/health").await.is_ok();
    until("it comes back on its port", answers).await;
    assert!(server.obituary().is_none());
    let started = std::fs::read_to_string(directory.path().join("started")).unwrap();
    assert_eq!(started, "xx");

    assert!(get(&server, "/die").await.is_err());
    let died = async || server.obituary().is_some();
    until("it may come back once only", died).await;
    let (log, last_lines) = server.obituary().unwrap();
    let text = last_lines.join("\n");
    assert!(text.contains("ended with exit code 3"), "{text}");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("key ***") && !log.contains("hush"), "{log}");

    let server = Server::start(spec(directory.path())).unwrap();
    server.ready().await.unwrap();
    let url = server.url();
    let start = Instant::now();
    drop(server);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "it ends when told"
    );
    let address = url.replace("http://", "").replace("/v1", "");
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn a_server_that_never_serves_shows_its_last_words() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("fails"), "").unwrap();
    let server = Server::start(spec(directory.path())).unwrap();
    let error = server.ready().await.unwrap_err();
    assert!(matches!(error, ServerError::Ended { .. }), "{error}");
    let last = error.last_lines().join("\n");
    assert!(last.contains("the model is damaged"), "{last}");
    assert!(!last.contains("hush"), "{last}");
    assert!(!directory.path().join("started").exists());

    let nowhere = ServerSpec {
        command: vec!["no-such-program-anywhere".to_owned()],
        ..spec(directory.path())
    };
    let error = Server::start(nowhere).unwrap().ready().await.unwrap_err();
    let last = error.last_lines().join("\n");
    assert!(last.contains("not found"), "{last}");
}

#[tokio::test]
async fn a_server_that_is_never_ready_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let sleeps = ServerSpec {
        command: ["sh", "-c", "trap '' TERM; echo $$; sleep 60"]
            .map(str::to_owned)
            .to_vec(),
        ready: Duration::from_millis(300),
        ..spec(directory.path())
    };
    let server = Server::start(sleeps).unwrap();
    let error = server.ready().await.unwrap_err();
    assert!(matches!(error, ServerError::NotReady { .. }), "{error}");
    assert!(server.obituary().is_none(), "it still runs");
    // It does not listen to being asked to end, so it is killed a while later.
    drop(server);
}
