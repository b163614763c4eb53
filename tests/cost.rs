use serde_json::{Value, json};

use crate::support::fake_openai::{Answer, FakeOpenAi, Options};
use crate::support::project::{Done, Project};
use crate::support::words::RUBRIC;

/// A server with both models, somebody who plays people, and a judge.
fn options() -> Options {
    Options {
        model: "base".into(),
        other_models: ["tuned", "player", "judge"].map(str::to_owned).to_vec(),
        ..Options::default()
    }
}

/// A project whose models, simulator and judge are at `server`; the judge has no price.
fn project(server: &FakeOpenAi, config: &str) -> Project {
    let url = server.url();
    let entry = |model: &str, more: &str| format!("{{url: \"{url}\", model: {model}{more}}}");
    let price = ", price: {prompt: 1000, cached: 250, completion: 4000}";
    let project = Project::with_config(&format!(
        "project: cost\n\
         personas: {{spec: coaching, count: 4, repeats: 1, max_turns: 2}}\n\
         rubric: ./words.yaml\n\
         baseline: base\n\
         models:\n  base: {}\n  tuned: {}\n\
         simulator: {}\n\
         judge: {}\n\
         {config}",
        entry("base", price),
        entry("tuned", ", price: {prompt: 2, completion: 2}"),
        entry("player", ", price: {prompt: 0, completion: 0}"),
        entry("judge", ""),
    ));
    let judged = "      - {id: kind, text: The assistant is kind.}\n";
    project.write("words.yaml", &(RUBRIC.to_owned() + judged));
    project
}

fn cost(project: &Project) -> Value {
    let decision: Value = serde_json::from_str(&project.artefact("decision.json")).unwrap();
    decision["cost"].clone()
}

fn evaluated(project: &Project, arguments: &[&str]) -> Done {
    let done = project.run(arguments);
    assert!([0, 65].contains(&done.code), "{done:?}");
    done
}

/// Returns what a part of the cost says of `name`.
fn sums<'a>(cost: &'a Value, name: &str) -> &'a Value {
    let parts = cost["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["model"] == name);
    &part.unwrap_or_else(|| panic!("{cost}"))["sums"]
}

#[test]
fn a_report_has_calls_tokens_and_money_by_role_and_model() {
    let server = FakeOpenAi::start(options());
    let project = project(&server, "currency: EUR\n");
    let done = evaluated(&project, &["eval", "--exit-zero"]);
    let cost = cost(&project);
    assert_eq!(cost["currency"], "EUR");
    for name in ["base", "tuned", "simulator", "judge"] {
        let asked = if name == "simulator" { "player" } else { name };
        let requests = server.requests();
        let asked = requests.iter().filter(|r| r.body["model"] == asked);
        assert_eq!(sums(&cost, name)["calls"], asked.count(), "{name}: {cost}");
    }
    let base = sums(&cost, "base");
    let sum = |field: &str| base[field]["sum"].as_f64().unwrap();
    let (read, cached, written) = (
        sum("prompt_tokens"),
        sum("cached_tokens"),
        sum("completion_tokens"),
    );
    assert!(read > cached && cached > 0.0 && written > 0.0, "{cost}");
    let money = ((read - cached) * 1000.0 + cached * 250.0 + written * 4000.0) / 1e6;
    assert!(
        (base["money"].as_f64().unwrap() - money).abs() < 1e-9,
        "{cost}"
    );
    assert_eq!(
        sums(&cost, "tuned")["cached_tokens"],
        Value::Null,
        "no price of their own"
    );
    assert_eq!(sums(&cost, "simulator")["money"], json!(0.0));
    assert_eq!(
        sums(&cost, "judge")["money"],
        Value::Null,
        "no price is not free"
    );
    assert_eq!(cost["judging"]["unpriced_calls"], cost["judging"]["calls"]);
    assert_eq!(cost["conversations"]["unpriced_calls"], 0);

    let report = project.artefact("evaluation_report.md");
    let row = report
        .lines()
        .find(|line| line.starts_with("| model base |"));
    assert!(
        row.unwrap().ends_with(&format!("| {} |", text(money))),
        "{report}"
    );
    assert!(report.contains("| unknown |"), "{report}");
    assert!(
        done.stdout.contains("Cost of") && done.stdout.contains("EUR"),
        "{done:?}"
    );
    assert!(done.stderr.contains("time    model base "), "{done:?}");

    // Other prices change what a finished run cost, and nothing else.
    let before = project.artefact("scores.csv");
    let config = project
        .read("shipworthy.yaml")
        .replace("prompt: 1000", "prompt: 2000");
    project.write("shipworthy.yaml", &config);
    let calls = server.calls();
    evaluated(&project, &["eval", "--resume", "--exit-zero"]);
    assert_eq!(server.calls(), calls);
    let dearer = self::cost(&project);
    assert!(sums(&dearer, "base")["money"].as_f64() > base["money"].as_f64());
    assert_eq!(project.artefact("scores.csv"), before);
}

/// Returns an amount as reports do.
fn text(money: f64) -> String {
    if money < 1.0 {
        format!("{money:.4}")
    } else {
        format!("{money:.2}")
    }
}

#[test]
fn tokens_that_a_server_does_not_count_are_unknown() {
    let silent = json!({
        "choices": [{"message": {"role": "assistant", "content": "zero one"}, "finish_reason": "stop"}],
    });
    let server = FakeOpenAi::start(Options {
        script: vec![Answer::Json(silent)],
        ..options()
    });
    let project = project(&server, "");
    evaluated(&project, &["eval", "--exit-zero"]);
    let cost = cost(&project);
    let uncounted = cost["conversations"]["prompt_tokens"]["uncounted"].as_u64();
    assert_eq!(uncounted, Some(1), "{cost}");
    assert_eq!(cost["conversations"]["unpriced_calls"], 1);
    assert!(project.artefact("evaluation_report.md").contains("≥ "));
}

/// A project that runs to its end in so many calls.
fn calls_of_a_whole_run() -> (usize, [String; 2]) {
    let server = FakeOpenAi::start(options());
    let project = project(&server, "");
    evaluated(&project, &["eval", "--exit-zero"]);
    (server.calls(), artefacts(&project))
}

fn artefacts(project: &Project) -> [String; 2] {
    // The rest of decision.json has the plan's digest, and that the servers' ports.
    [
        cost(project).to_string(),
        project.artefact("transcripts.jsonl"),
    ]
}

/// Runs into `budget`, raises it, and goes on to the end; returns what was said and asked before.
fn resumed(budget: &str, field: &str) -> (Done, usize) {
    let (whole, expected) = calls_of_a_whole_run();
    let server = FakeOpenAi::start(options());
    let project = project(&server, &format!("budget: {{{budget}}}\n"));
    // The judge needs a price where money is watched.
    let config = project.read("shipworthy.yaml");
    let priced = config.replace(
        "model: judge",
        "model: judge, price: {prompt: 0, completion: 0}",
    );
    project.write("shipworthy.yaml", &priced);
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(done.stderr.contains(field), "{done:?}");
    assert!(done.stderr.contains("shipworthy eval --resume"), "{done:?}");
    let asked = server.calls();
    assert!(0 < asked && asked < whole, "{asked} of {whole}");
    // Nothing changed: nothing more is asked, but for a call that takes less than the one refused.
    let again = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(again.code, 69, "{again:?}");
    assert!(server.calls() < asked + 8 && server.calls() < whole);
    project.write("shipworthy.yaml", &config);
    let config = project
        .read("shipworthy.yaml")
        .replace("budget: {", "# budget: {");
    project.write("shipworthy.yaml", &config);
    evaluated(&project, &["eval", "--resume", "--exit-zero"]);
    assert_eq!(server.calls(), whole, "no reply is paid twice");
    assert_eq!(server.repeats(), Vec::<String>::new());
    assert!(
        artefacts(&project) == expected,
        "a budget changes nothing else"
    );
    (done, asked)
}

#[test]
fn a_budget_of_calls_is_never_exceeded_and_a_raised_one_goes_on() {
    let (done, asked) = resumed("calls: 11", "`budget.calls`, 11,");
    assert_eq!(asked, 11, "{done:?}");
    assert!(done.stderr.contains("11 were answered"), "{done:?}");
}

#[test]
fn a_budget_of_tokens_or_money_is_never_exceeded() {
    let (done, _) = resumed("tokens: 9000", "`budget.tokens`, 9000,");
    let spent: u64 = between(&done.stderr, "next call: ", " are spent")
        .parse()
        .unwrap();
    assert!((1..=9000).contains(&spent), "{done:?}");
    let (done, _) = resumed("money: 2", "`budget.money`, 2 USD,");
    let spent: f64 = between(&done.stderr, "next call: ", " are spent")
        .parse()
        .unwrap();
    assert!(spent > 0.0 && spent <= 2.0, "{done:?}");
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

#[test]
fn money_is_watched_only_where_prices_are_known() {
    let server = FakeOpenAi::start(options());
    let done = project(&server, "budget: {money: 1}\n").run(&["eval"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr.contains("give judge `judge` a `price: "),
        "{done:?}"
    );
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_dry_run_bounds_what_a_run_takes_without_a_call() {
    let mut server = FakeOpenAi::start(options());
    let project = project(&server, "");
    let first = project.run(&["eval", "--dry-run", "--json"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(!project.store().exists());
    assert_eq!((server.calls(), server.preflight().len()), (0, 0));
    let first = first.json();
    assert_eq!(first["expected"], Value::Null);
    evaluated(&project, &["eval", "--exit-zero"]);
    let cost = cost(&project);
    // Needs no server.
    server.stop();
    let second = project.run(&["eval", "--dry-run", "--json"]).json();
    assert_eq!(second["most"], first["most"]);
    for part in second["parts"].as_array().unwrap() {
        let sums = sums(&cost, part["model"].as_str().unwrap());
        for (bound, taken) in [
            ("calls", &sums["calls"]),
            ("prompt_tokens", &sums["prompt_tokens"]["sum"]),
            ("completion_tokens", &sums["completion_tokens"]["sum"]),
        ] {
            let taken = taken.as_f64().unwrap();
            assert!(
                part["most"][bound].as_f64().unwrap() >= taken,
                "{bound}: {part}"
            );
            let expected = part["expected"][bound].as_f64().unwrap();
            assert!(
                (expected - taken).abs() < 1e-6 * taken,
                "{bound}: {part}, {taken}"
            );
        }
    }
    // The judge has no price, so nobody knows what all of it costs.
    assert_eq!(second["most"]["money"], Value::Null);
    let base = &second["parts"][0];
    assert!(base["most"]["money"].as_f64() >= base["expected"]["money"].as_f64());
    let text = project.run(&["eval", "--dry-run"]).stdout;
    assert!(
        text.contains("At most") && text.contains("judge judge"),
        "{text}"
    );
}
