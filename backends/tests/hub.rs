//! Files to and from a Hub that can be told to misbehave.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not in test functions"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use shipworthy_backends::Secret;
use shipworthy_backends::hub::{
    Endpoint, Hub, HubError, Patience, RepositoryId, RepositoryKind, Upload,
};
use support::fake_hub::{FakeHub, Fault, Misbehaviour, Options, Token};
use test_case::test_case;

const TITLE: &str = "Upload letters";

fn hub_of(server: &FakeHub, token: Option<&str>) -> Hub {
    let patience = Patience {
        tries: 3,
        pause: Duration::from_millis(5),
        longest_wait: Duration::from_secs(2),
        silence: Duration::from_secs(5),
    };
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    Hub::new(endpoint, token.map(Secret::new), patience).unwrap()
}

fn owner(server: &FakeHub) -> Hub {
    hub_of(server, Some(&Token::of_owner().value))
}

fn dataset(name: &str) -> RepositoryId {
    RepositoryId::parse(RepositoryKind::Dataset, name).unwrap()
}

fn with_faults(faults: Vec<Fault>) -> FakeHub {
    FakeHub::start(Options {
        faults,
        ..Options::default()
    })
}

fn fault(method: &'static str, path: &'static str, times: usize, how: Misbehaviour) -> Fault {
    Fault {
        method,
        path,
        after: 0,
        times,
        how,
    }
}

fn weights() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Writes a directory with a large file, small ones, one that is ignored and one that is hidden.
fn write_files(directory: &Path) {
    std::fs::create_dir_all(directory.join("deep")).unwrap();
    std::fs::write(directory.join("weights.safetensors"), weights()).unwrap();
    std::fs::write(directory.join("small.bin"), b"one part").unwrap();
    std::fs::write(directory.join("deep/a b.jsonl"), "{\"a\": 1}\n").unwrap();
    std::fs::write(directory.join("empty.bin"), "").unwrap();
    std::fs::write(directory.join("not.ignored"), "x").unwrap();
    std::fs::write(directory.join(".hidden"), "x").unwrap();
}

#[tokio::test]
async fn what_is_uploaded_comes_back() {
    let server = FakeHub::start(Options {
        page: 2,
        ..Options::default()
    });
    let hub = owner(&server);
    let here = tempfile::tempdir().unwrap();
    write_files(here.path());
    let repository = dataset("ada/letters");
    assert_eq!(hub.head(&repository).await.unwrap(), None);
    assert!(hub.create(&repository, true).await.unwrap());
    assert!(!hub.create(&repository, true).await.unwrap());
    let files = Upload::all_in(here.path()).unwrap();
    let done = hub.upload(&repository, &files, TITLE).await.unwrap();
    assert_eq!(
        (done.files.len(), done.ignored),
        (4, vec!["not.ignored".to_owned()])
    );
    assert_eq!(done.large_bytes, 1_200_008);
    assert_eq!(
        server.files("datasets/ada/letters")["weights.safetensors"],
        weights()
    );
    let again = hub.upload(&repository, &files, "again").await.unwrap();
    assert_eq!(again.large_bytes, 0, "what is there is not sent");
    assert_eq!((again.files.len(), again.unchanged.len()), (0, 4));
    assert_eq!(
        again.commit, done.commit,
        "nothing changed, so there is no commit"
    );
    assert_eq!(hub.is_public(&repository).await.unwrap(), Some(false));
    assert_eq!(hub.is_public(&dataset("ada/none")).await.unwrap(), None);

    let listed = hub.files(&repository, "main").await.unwrap();
    let names: Vec<&str> = listed.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        names,
        [
            "deep/a b.jsonl",
            "empty.bin",
            "small.bin",
            "weights.safetensors"
        ]
    );
    let later = Upload {
        local: here.path().join("small.bin"),
        path: "later.bin".to_owned(),
    };
    hub.upload(&repository, &[later], "later").await.unwrap();
    let commits = hub.commits(&repository, Some(&done.commit)).await.unwrap();
    assert_eq!(commits.len(), 1, "{commits:?}");
    let all = hub.commits(&repository, None).await.unwrap();
    assert_eq!(all.len(), 3, "over pages: {all:?}");

    let there = tempfile::tempdir().unwrap();
    let mut told = |_: &_, _| {};
    let got = hub
        .download(&repository, &done.commit, &listed, there.path(), &mut told)
        .await
        .unwrap();
    assert_eq!(got.len(), 4);
    for file in &listed {
        let (one, other) = (here.path().join(&file.path), there.path().join(&file.path));
        assert_eq!(std::fs::read(one).unwrap(), std::fs::read(other).unwrap());
    }
    let again = hub
        .download(&repository, "main", &listed, there.path(), &mut told)
        .await
        .unwrap();
    assert!(again.iter().all(|file| file.fetched == 0), "{again:?}");
    for seen in server.seen() {
        let signed = [" /cdn/", "PUT ", "/lfs/complete/"];
        let is_signed = signed.iter().any(|part| seen.line.contains(part));
        assert_eq!(seen.authorization.is_none(), is_signed, "{}", seen.line);
    }
}

#[test_case(Misbehaviour::Cut(400_000), true; "a connection that ends")]
#[test_case(Misbehaviour::Status(503, vec![], "busy"), true; "a server that is busy")]
#[test_case(Misbehaviour::Status(429, vec![("RateLimit", "\"resolvers\";r=0;t=1")], ""), true; "a limit of requests")]
#[test_case(Misbehaviour::Hangup, true; "no answer")]
#[test_case(Misbehaviour::Corrupt, false; "other bytes")]
#[tokio::test]
async fn downloads_survive(how: Misbehaviour, is_good: bool) {
    let server = with_faults(vec![fault("GET", "/cdn/", 2, how.clone())]);
    let weights = weights();
    server.push(
        "datasets/ada/letters",
        "weights",
        &[("w.safetensors", &weights)],
    );
    let hub = owner(&server);
    let there = tempfile::tempdir().unwrap();
    let repository = dataset("ada/letters");
    let listed = hub.files(&repository, "main").await.unwrap();
    let got = hub
        .download(&repository, "main", &listed, there.path(), &mut |_, _| {})
        .await;
    let target = there.path().join("w.safetensors");
    if is_good {
        assert_eq!(got.unwrap()[0].fetched, 1_200_000, "no byte came twice");
        assert_eq!(std::fs::read(target).unwrap(), weights);
    } else {
        let error = got.unwrap_err();
        assert!(
            matches!(
                error,
                HubError::Damaged {
                    name: "SHA-256",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!target.exists());
    }
    if let Misbehaviour::Cut(_) = how {
        let ranges: Vec<_> = server
            .seen()
            .into_iter()
            .filter_map(|seen| seen.range)
            .collect();
        assert!(ranges.contains(&"bytes=400000-".to_owned()), "{ranges:?}");
    }
    let left = std::fs::read_dir(there.path()).unwrap().count();
    assert_eq!(left, usize::from(is_good), "no part is left");
}

#[tokio::test]
async fn another_process_goes_on_where_one_ended() {
    let cuts = vec![
        fault("GET", "/cdn/", 4, Misbehaviour::Cut(100_000)),
        // Three tries, each of three requests.
        fault("GET", "/cdn/", 9, Misbehaviour::Hangup),
    ];
    let server = with_faults(cuts);
    let weights = weights();
    server.push(
        "datasets/ada/letters",
        "weights",
        &[("w.safetensors", &weights)],
    );
    let hub = owner(&server);
    let there = tempfile::tempdir().unwrap();
    let repository = dataset("ada/letters");
    let listed = hub.files(&repository, "main").await.unwrap();
    let mut told = |_: &_, _| {};
    let first = hub
        .download(&repository, "main", &listed, there.path(), &mut told)
        .await
        .unwrap_err();
    assert!(matches!(first, HubError::Unreachable { .. }), "{first}");
    assert!(first.mend().is_some());
    let second = owner(&server)
        .download(&repository, "main", &listed, there.path(), &mut told)
        .await
        .unwrap();
    assert_eq!(second[0].fetched, 800_000, "400,000 bytes were here");
    assert_eq!(
        std::fs::read(there.path().join("w.safetensors")).unwrap(),
        weights
    );
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_is_read_from_the_start() {
    let faults = vec![
        fault("GET", "/cdn/", 1, Misbehaviour::Cut(100_000)),
        Fault {
            after: 1,
            ..fault("GET", "/cdn/", 1, Misbehaviour::WholeBody)
        },
    ];
    let server = with_faults(faults);
    server.push(
        "datasets/ada/letters",
        "weights",
        &[("w.safetensors", &weights())],
    );
    let hub = owner(&server);
    let there = tempfile::tempdir().unwrap();
    let repository = dataset("ada/letters");
    let listed = hub.files(&repository, "main").await.unwrap();
    hub.download(&repository, "main", &listed, there.path(), &mut |_, _| {})
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(there.path().join("w.safetensors")).unwrap(),
        weights()
    );
}

#[test_case("POST", "/commit/", Misbehaviour::LostAnswer; "a commit whose answer is lost")]
#[test_case("POST", "/commit/", Misbehaviour::Hangup; "a commit that never came")]
#[test_case("POST", "/commit/", Misbehaviour::Status(504, vec![], ""); "a gateway that gave up")]
#[test_case("POST", "/preupload/", Misbehaviour::Status(429, vec![("Retry-After", "0.1")], ""); "a limit of requests")]
#[test_case("PUT", "/lfs/part/", Misbehaviour::Hangup; "a part that was lost")]
#[test_case("POST", "/lfs/complete/", Misbehaviour::LostAnswer; "an end whose answer is lost")]
#[tokio::test]
async fn uploads_make_one_commit(method: &'static str, path: &'static str, how: Misbehaviour) {
    let server = with_faults(vec![fault(method, path, 1, how)]);
    let hub = owner(&server);
    let here = tempfile::tempdir().unwrap();
    write_files(here.path());
    let repository = dataset("ada/letters");
    hub.create(&repository, true).await.unwrap();
    let files = Upload::all_in(here.path()).unwrap();
    let done = hub.upload(&repository, &files, TITLE).await.unwrap();
    assert_eq!(hub.head(&repository).await.unwrap(), Some(done.commit));
    let titles = server.titles("datasets/ada/letters");
    assert_eq!(titles, [TITLE, "initial commit"]);
}

#[tokio::test]
async fn a_token_without_the_right_is_told_so() {
    let reader = Token {
        value: "hf_readerTokenAbcdefgh".to_owned(),
        may_write: false,
        may_run_jobs: false,
        ..Token::of_owner()
    };
    let server = FakeHub::start(Options {
        tokens: vec![Token::of_owner(), reader.clone()],
        ..Options::default()
    });
    let repository = dataset("ada/letters");
    owner(&server).create(&repository, true).await.unwrap();
    let here = tempfile::tempdir().unwrap();
    write_files(here.path());
    let files = Upload::all_in(here.path()).unwrap();
    let hub = hub_of(&server, Some(&reader.value));
    let refused = hub.upload(&repository, &files, TITLE).await.unwrap_err();
    let said = format!("{refused}");
    assert!(
        said.contains("403") && said.contains("write token"),
        "{said}"
    );
    assert!(refused.mend().unwrap().contains("permission"));

    let nobody = hub_of(&server, None);
    let none = nobody.upload(&repository, &files, TITLE).await.unwrap_err();
    assert!(matches!(none, HubError::NoToken { .. }), "{none}");
    let wrong = hub_of(&server, Some("hf_wrong"))
        .account()
        .await
        .unwrap_err();
    assert!(wrong.mend().unwrap().contains("not valid"), "{wrong}");
    let strange = hub.create(&dataset("eve/letters"), true).await.unwrap_err();
    assert!(strange.to_string().contains("403"), "{strange}");
}

#[tokio::test]
async fn a_limit_that_lasts_is_an_error_at_once() {
    let limit = Misbehaviour::Status(429, vec![("RateLimit", "\"api\";r=0;t=300")], "");
    let server = with_faults(vec![fault("GET", "/whoami-v2", 9, limit)]);
    let error = owner(&server).account().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to ask whose token it is: the Hub limits the rate of requests, for 300 s more"
    );
    assert_eq!(server.count("whoami"), 1);
}
