//! The design, policed: which crate may know which, how long a file may be, what is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every edge between our crates; an edge that is not here needs a reason in `docs/decisions` and
/// a line here.
const EDGES: [(&str, &[&str]); 10] = [
    ("schema", &[]),
    ("stats", &[]),
    ("models", &[]),
    ("personas", &["schema"]),
    ("rubrics", &["schema"]),
    ("reports", &["schema"]),
    ("datasets", &["models"]),
    ("native", &["datasets", "models"]),
    ("backends", &["datasets", "models", "native", "schema"]),
    (
        "harness",
        &[
            "backends", "datasets", "models", "personas", "reports", "rubrics", "schema", "stats",
        ],
    ),
];

/// Lines a source file may have at most; tests and tables apart.
const CEILING: usize = 600;
/// Lines nine of ten source files stay within.
const NINE_OF_TEN: usize = 400;
/// Lines half of the source files stay within.
const HALF: usize = 150;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn crates_know_only_what_the_design_says() {
    let mut found = BTreeMap::new();
    for package in packages() {
        let name = package["name"]
            .as_str()
            .unwrap()
            .trim_start_matches("shipworthy-")
            .to_owned();
        let dependencies = package["dependencies"].as_array().unwrap();
        let ours: BTreeSet<String> = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str()?.strip_prefix("shipworthy-"))
            .map(str::to_owned)
            .collect();
        found.insert(name, ours);
    }
    let planned: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(name, edges)| {
            (
                (*name).to_owned(),
                edges.iter().map(|edge| (*edge).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(found, planned);
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let text = std::fs::read_to_string(manifest).unwrap();
        let inside = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let mut section = "";
        for line in inside {
            if line.starts_with('[') {
                section = line;
            }
            let is_dependency = section.contains("dependencies") && line.contains('=');
            assert!(
                !is_dependency || line.contains("workspace = true"),
                "{manifest}: `{line}` does not take its version from the workspace"
            );
        }
    }
}

/// Returns the folder of a crate: its name, but for what belongs to another crate.
fn folder(name: &str) -> &str {
    match name {
        "native" => "backends/native",
        name => name,
    }
}

/// Returns the Rust sources of the crates, relative to the root, tests apart.
fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    for (name, _) in EDGES {
        let mut directories = vec![root().join(folder(name)).join("src")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    sources.push((path.strip_prefix(root()).unwrap().to_owned(), text));
                }
            }
        }
    }
    sources.sort();
    sources
}

#[test]
fn files_stay_short() {
    let mut lengths: Vec<(usize, PathBuf)> = sources()
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .collect();
    lengths.sort();
    let (longest, path) = lengths.last().unwrap();
    assert!(
        *longest <= CEILING,
        "{} has {longest} lines: one concept per file",
        path.display()
    );
    let at = |share: usize| lengths[(lengths.len() - 1) * share / 100].0;
    assert!(
        at(90) <= NINE_OF_TEN,
        "nine of ten files have up to {} lines",
        at(90)
    );
    assert!(
        at(50) <= HALF,
        "half of the files have up to {} lines",
        at(50)
    );
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    for (path, _) in sources() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let drawers = ["util", "utils", "common", "helper", "helpers", "misc"];
        assert!(
            !drawers.contains(&stem),
            "{}: name the concept",
            path.display()
        );
    }
}

/// Rules 1 and 4 of the design: what must not be found below the binary.
#[test]
fn libraries_neither_print_nor_read_the_environment_nor_exit() {
    let words = [
        "println!",
        "eprintln!",
        "print!(",
        "std::env::",
        "process::exit",
        "clap::",
    ];
    for (path, text) in sources() {
        let is_binary =
            path.starts_with("harness/src/cli") || path == Path::new("harness/src/main.rs");
        if is_binary {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            for word in words {
                assert!(
                    !line.contains(word),
                    "{}: `{}`",
                    path.display(),
                    line.trim()
                );
            }
        }
    }
}

#[test]
fn pure_crates_are_synchronous() {
    for (path, text) in sources() {
        let pure = [
            "schema", "stats", "models", "datasets", "native", "personas", "rubrics", "reports",
        ];
        if pure.iter().any(|name| path.starts_with(folder(name))) {
            assert!(
                !text.contains("async fn"),
                "{} is to call nobody",
                path.display()
            );
        }
    }
}

#[test]
fn every_test_file_is_listed() {
    let main = std::fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|extension| extension == "rs");
        if is_module && name != "main" {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/main.rs does not list {name}"
            );
        }
    }
}
