//! Jobs at a Hub that can be told to misbehave.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not in test functions"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use shipworthy_backends::Secret;
use shipworthy_backends::diagnosis::{Fault as Failure, Where};
use shipworthy_backends::hub::{Endpoint, Hub, HubError, Patience, RepositoryId, RepositoryKind};
use shipworthy_backends::jobs::{
    Conclusion, DEFAULT_IMAGE, Expectation, Job, JobSpec, LogPosition, Stage, SubmitError, cheapest,
};
use support::fake_hub::{FakeHub, Fault, Misbehaviour, Options, Step, Token};
use test_case::test_case;

const SECRET: &str = "hf_secretOfTheJob0123";

fn hub_of(server: &FakeHub, token: &Token) -> Hub {
    let patience = Patience {
        tries: 4,
        pause: Duration::from_millis(20),
        longest_wait: Duration::from_secs(2),
        silence: Duration::from_secs(5),
    };
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    Hub::new(endpoint, Some(Secret::new(&token.value)), patience).unwrap()
}

fn spec(script: &str) -> JobSpec {
    JobSpec {
        name: "letters".to_owned(),
        image: DEFAULT_IMAGE.to_owned(),
        script: script.to_owned(),
        arguments: vec!["one two".to_owned(), "$HOME".to_owned()],
        flavour: "l4x1".to_owned(),
        timeout: Duration::from_secs(60),
        environment: BTreeMap::from([("GREETING".to_owned(), "good \"day\"".to_owned())]),
        secrets: BTreeMap::from([("HF_TOKEN".to_owned(), Secret::new(SECRET))]),
    }
}

fn lines(from: usize, to: usize) -> Vec<Step> {
    let line = |number| Step::Log(format!("line {number}"));
    (from..to).map(line).collect()
}

fn push(step: u64) -> Step {
    let title: &'static str = format!("Training in progress, step {step}").leak();
    let files = vec![("adapter_model.safetensors".to_owned(), vec![7; 100])];
    Step::Push("models/ada/tuned", title, files)
}

/// A job that writes 40 lines and pushes at steps 6 and 12, then ends so.
fn training(end: &'static str, message: Option<&'static str>) -> Vec<Step> {
    let mut steps = vec![
        Step::Pause(Duration::from_millis(30)),
        Step::Stage("RUNNING", None),
    ];
    steps.extend(lines(0, 20));
    steps.push(push(6));
    steps.push(Step::Pause(Duration::from_millis(60)));
    steps.extend(lines(20, 40));
    steps.push(push(12));
    steps.push(Step::Stage(end, message));
    steps
}

fn expected() -> Expectation {
    Expectation {
        repository: RepositoryId::parse(RepositoryKind::Model, "ada/tuned").unwrap(),
        since: None,
        files: vec!["adapter_model.safetensors".to_owned()],
        last_step: Some(12),
    }
}

/// Starts a job, follows it, and returns how it ended and what it wrote.
async fn run(hub: &Hub) -> (Job, Vec<String>) {
    let job = hub.submit("ada", &spec("print(1)")).await.unwrap();
    let mut log = Vec::new();
    let ended = hub
        .follow(&job.id, &mut LogPosition::default(), &mut |line| {
            log.push(line.text.clone());
        })
        .await
        .unwrap();
    (ended, log)
}

fn logs(how: Misbehaviour) -> Fault {
    Fault {
        method: "GET",
        path: "/logs",
        after: 0,
        times: 3,
        how,
    }
}

#[test_case(None; "nothing")]
#[test_case(Some(logs(Misbehaviour::CutEvents(7))); "connections that are cut")]
#[test_case(Some(logs(Misbehaviour::EndEvents(25))); "ends that come early")]
#[test_case(Some(logs(Misbehaviour::Hangup)); "no answers")]
#[test_case(Some(logs(Misbehaviour::Status(503, vec![], ""))); "a server that is busy")]
#[test_case(Some(logs(Misbehaviour::Status(429, vec![("Retry-After", "0.05")], ""))); "a limit of requests")]
#[test_case(Some(logs(Misbehaviour::Status(404, vec![], ""))); "a log that is not there yet")]
#[tokio::test]
async fn no_line_is_lost_or_told_twice_by(fault: Option<Fault>) {
    let server = FakeHub::start(Options {
        scripts: vec![training("COMPLETED", None)],
        faults: fault.into_iter().collect(),
        ..Options::default()
    });
    let hub = hub_of(&server, &Token::of_owner());
    let (job, log) = run(&hub).await;
    let all: Vec<String> = (0..40).map(|number| format!("line {number}")).collect();
    assert_eq!(log, all);
    assert_eq!(job.stage, Stage::Completed);
    let proof = hub.prove(&expected()).await.unwrap();
    assert_eq!(proof.last_step, Some(12));
    let conclusion = Conclusion::of(&job, Some(&proof), &log);
    assert_eq!(conclusion, Conclusion::Done { despite: None });
}

#[tokio::test]
async fn a_job_that_fails_after_its_last_push_is_done() {
    let server = FakeHub::start(Options {
        scripts: vec![training("ERROR", Some("Job failed with exit code: 1"))],
        ..Options::default()
    });
    let hub = hub_of(&server, &Token::of_owner());
    let (job, log) = run(&hub).await;
    let proof = hub.prove(&expected()).await.unwrap();
    let Conclusion::Done {
        despite: Some(said),
    } = Conclusion::of(&job, Some(&proof), &log)
    else {
        panic!("{proof:?}");
    };
    assert_eq!(said, "error: Job failed with exit code: 1");
}

#[tokio::test]
async fn what_was_there_before_proves_nothing() {
    let oom = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.";
    let steps = vec![
        Step::Stage("RUNNING", None),
        Step::Log(oom.to_owned()),
        Step::Log("\u{1b}]0;title\u{7}".to_owned()),
        Step::Stage("ERROR", Some("Job failed with exit code: 1")),
    ];
    let server = FakeHub::start(Options {
        scripts: vec![steps],
        ..Options::default()
    });
    let old = [("adapter_model.safetensors", [7; 100].as_slice())];
    server.push("models/ada/tuned", "Training in progress, step 12", &old);
    let hub = hub_of(&server, &Token::of_owner());
    let mut expected = expected();
    expected.since = hub.head(&expected.repository).await.unwrap();
    let (job, log) = run(&hub).await;
    let proof = hub.prove(&expected).await.unwrap();
    assert_eq!(proof.missing().len(), 2, "{proof:?}");
    let Conclusion::Failed { diagnosis, .. } = Conclusion::of(&job, Some(&proof), &log) else {
        panic!("{proof:?}");
    };
    let diagnosis = diagnosis.unwrap();
    assert_eq!(
        (diagnosis.fault, diagnosis.line.as_str()),
        (Failure::CardMemory, oom)
    );
    assert!(diagnosis.fault.mend(Where::Job).contains("--memory"));
}

#[tokio::test]
async fn a_script_runs_as_it_was_written() {
    // Stands for uv, and tells what it was given.
    let programs = tempfile::tempdir().unwrap();
    let uv = programs.path().join("uv");
    let told = "#!/bin/sh\necho \"$1 $# $(basename \"$2\")\"\ncat \"$2\"\nshift 2\nprintf '<%s>\\n' \"$@\" \"$GREETING\"\n\
                echo \"${#HF_TOKEN} ${SHIPWORTHY_SCRIPT-unset} ${WANDB-unset}\"\nexit 3\n";
    std::fs::write(&uv, told).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&uv, executable).unwrap();
    let server = FakeHub::start(Options {
        programs: Some(programs.path().to_owned()),
        ..Options::default()
    });
    let hub = hub_of(&server, &Token::of_owner());
    let script = "print('ünïcode \\'\"$x `date`')\n    # the end\n";
    let job = hub.submit("ada", &spec(script)).await.unwrap();
    let mut log = Vec::new();
    let mut told = |line: &shipworthy_backends::jobs::LogLine| log.push(line.text.clone());
    let ended = hub
        .follow(&job.id, &mut LogPosition::default(), &mut told)
        .await
        .unwrap();
    let mut expected = vec!["run 4 train.py"];
    expected.extend(script.lines());
    expected.extend(["<one two>", "<$HOME>", "<good \"day\">"]);
    let secret = format!("{} unset unset", SECRET.len());
    expected.push(&secret);
    assert_eq!(log, expected);
    assert_eq!(ended.stage, Stage::Error);
    assert_eq!(
        ended.message.as_deref(),
        Some("Job failed with exit code: 3")
    );
    let seen = server.seen();
    let posted = seen.iter().filter(|seen| seen.line == "POST /api/jobs/ada");
    let posted: Vec<_> = posted.collect();
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0].body["timeoutSeconds"], 60);
    assert_eq!(server.secrets(&job.id.id)["HF_TOKEN"], SECRET);
}

#[tokio::test]
async fn jobs_are_listed_stopped_and_read_so_far() {
    let mut endless = vec![Step::Stage("RUNNING", None)];
    endless.extend(lines(0, 3));
    endless.push(Step::Pause(Duration::from_secs(20)));
    let odd = vec![
        Step::Stage("PAUSED", None),
        Step::Pause(Duration::from_secs(20)),
    ];
    let server = FakeHub::start(Options {
        scripts: vec![endless, training("COMPLETED", None), odd],
        ..Options::default()
    });
    let hub = hub_of(&server, &Token::of_owner());
    let long = hub.submit("ada", &spec("")).await.unwrap();
    let (short, _) = run(&hub).await;
    let ids = |jobs: Vec<Job>| -> Vec<String> { jobs.into_iter().map(|job| job.id.id).collect() };
    assert_eq!(
        ids(hub.jobs("ada", false).await.unwrap()),
        std::slice::from_ref(&long.id.id)
    );
    let all = hub.jobs("ada", true).await.unwrap();
    assert_eq!(ids(all), [short.id.id.clone(), long.id.id.clone()]);
    let mut log = Vec::new();
    hub.log_so_far(&long.id, &mut |line| log.push(line.text.clone()))
        .await
        .unwrap();
    assert_eq!(log, ["line 0", "line 1", "line 2"]);
    hub.cancel(&long.id).await.unwrap();
    let (job, again) = (
        hub.job(&long.id).await.unwrap(),
        hub.job(&short.id).await.unwrap(),
    );
    assert_eq!(
        (job.stage.clone(), again.stage),
        (Stage::Canceled, Stage::Completed)
    );
    assert_eq!(Conclusion::of(&job, None, &[]), Conclusion::Cancelled);
    let odd = hub.submit("ada", &spec("")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let odd = hub.job(&odd.id).await.unwrap();
    assert_eq!(odd.stage, Stage::Other("PAUSED".to_owned()));
}

#[tokio::test]
async fn a_machine_is_chosen_by_todays_prices() {
    let server = FakeHub::start(Options::default());
    let flavours = hub_of(&server, &Token::of_owner())
        .flavours()
        .await
        .unwrap();
    let chosen = cheapest(&flavours, 20_000_000_000).unwrap();
    assert_eq!(chosen.name, "l4x1");
    let cost = chosen.cost_usd(3601).unwrap();
    assert!((cost - 61.0 * 0.013_333).abs() < 1e-9, "{cost}");
}

#[tokio::test]
async fn a_token_that_may_not_start_jobs_is_told_so() {
    let reader = Token {
        may_run_jobs: false,
        ..Token::of_owner()
    };
    let echo = Misbehaviour::Status(
        402,
        vec![],
        "{\"error\": \"no credit for hf_secretOfTheJob0123\"}",
    );
    let server = FakeHub::start(Options {
        tokens: vec![reader.clone()],
        faults: vec![Fault {
            method: "POST",
            path: "/api/jobs/",
            after: 1,
            times: 1,
            how: echo,
        }],
        ..Options::default()
    });
    let hub = hub_of(&server, &reader);
    let Err(SubmitError::Hub(error)) = hub.submit("ada", &spec("")).await else {
        panic!("it was started");
    };
    assert!(
        error.mend().unwrap().contains("starting and managing jobs"),
        "{error}"
    );
    let Err(SubmitError::Hub(error)) = hub.submit("ada", &spec("")).await else {
        panic!("it was started");
    };
    let said = format!("{error} {error:?}");
    assert!(said.contains("402") && !said.contains(SECRET), "{said}");
    assert!(error.mend().unwrap().contains("credits"), "{error}");
}

#[tokio::test]
async fn a_job_is_started_once() {
    let server = FakeHub::start(Options {
        scripts: vec![training("COMPLETED", None)],
        faults: vec![Fault {
            method: "POST",
            path: "/api/jobs/",
            after: 0,
            times: 1,
            how: Misbehaviour::LostAnswer,
        }],
        ..Options::default()
    });
    let hub = hub_of(&server, &Token::of_owner());
    let Err(SubmitError::Hub(HubError::Unreachable { .. })) = hub.submit("ada", &spec("")).await
    else {
        panic!("the answer was lost");
    };
    assert_eq!(hub.jobs("ada", true).await.unwrap().len(), 1);
}
