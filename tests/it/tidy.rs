//! The repository's own rules, as tests: so that one command says whether the tree is sound.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no {ending} under {folder}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a readable file")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").display().to_string()
}

/// The part of a source file before its tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

#[test]
fn every_module_says_what_it_is() {
    for path in ["src", "tests", "benches"].iter().flat_map(|folder| files(folder, ".rs")) {
        assert!(read(&path).starts_with("//! "), "{} has no module documentation", shown(&path));
    }
}

/// Dependencies point one way: analyses know nothing of the command line, renderers nothing of analyses.
#[test]
fn dependencies_point_one_way() {
    let layers: &[(&str, &[&str])] = &[
        (
            "src/render",
            &["cli", "commands", "snapshot", "classify", "roots", "cycles", "growth", "sql", "export", "generate"],
        ),
        (
            "src/snapshot",
            &["cli", "commands", "render", "classify", "roots", "cycles", "growth", "sql", "export", "generate"],
        ),
        ("src/migration", &["cli", "commands", "config", "snapshot", "catalog", "translate", "dry_run"]),
        ("src/translate", &["cli", "commands", "config", "dry_run", "migration"]),
        ("src/dry_run", &["cli", "commands", "config"]),
        ("src/classify", &["cli", "commands", "config"]),
        ("src/roots", &["cli", "commands", "config"]),
        ("src/cycles", &["cli", "commands", "config", "roots"]),
        ("src/growth", &["cli", "commands", "config"]),
        ("src/sql", &["cli", "commands", "config"]),
        ("src/export", &["cli", "commands", "config"]),
        ("src/generate", &["cli", "commands", "config"]),
    ];
    for (folder, forbidden) in layers {
        for path in files(folder, ".rs") {
            let text = read(&path);
            for module in *forbidden {
                let used = text.contains(&format!("crate::{module}::")) || text.contains(&format!("crate::{module};"));
                assert!(!used, "{} uses crate::{module}", shown(&path));
            }
        }
    }
}

#[test]
fn only_the_terminal_module_prints() {
    for path in files("src", ".rs") {
        let text = read(&path);
        for printing in ["println!", "print!(", "eprint"] {
            assert!(!product(&text).contains(printing), "{} prints with {printing}", shown(&path));
        }
    }
}

#[test]
fn every_query_is_registered_and_every_registration_is_a_file() {
    let on_disk: BTreeSet<String> = files("queries", ".sql")
        .iter()
        .map(|p| {
            p.strip_prefix(root().join("queries")).expect("below queries").with_extension("").display().to_string()
        })
        .collect();
    let registered: BTreeSet<String> = rehearsal::query::ALL.iter().map(|q| q.path.to_owned()).collect();
    assert_eq!(on_disk, registered);
}

/// Two versions of arrow in one binary would be two incompatible sets of types.
#[test]
fn arrow_and_parquet_are_the_engines_own() {
    let lock = read(&root().join("Cargo.lock"));
    for name in ["arrow", "arrow-schema", "parquet", "duckdb"] {
        let entries = lock.matches(&format!("name = \"{name}\"\n")).count();
        assert_eq!(entries, 1, "{entries} versions of {name}");
    }
}

#[test]
fn findings_are_registered_in_order_and_documented() {
    let ids: Vec<&str> = rehearsal::report::FINDING_IDS.iter().map(|(id, _)| *id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    let readme = read(&root().join("README.md"));
    for id in ids {
        assert!(readme.contains(&format!("`{id}`")), "README.md doesn't list the finding {id}");
    }
}

/// A snapshot file that no test names any more is a test that was lost.
#[test]
fn no_snapshot_is_stale() {
    let sources: String = files("tests", ".rs").iter().map(|p| read(p)).collect();
    let Ok(entries) = fs::read_dir(root().join("tests/it/snapshots")) else { return };
    for entry in entries {
        let name = entry.expect("a readable entry").file_name().to_string_lossy().into_owned();
        let stem = name.trim_end_matches(".snap").rsplit("__").next().unwrap_or_default().to_owned();
        assert!(sources.contains(&format!("\"{stem}\"")), "tests/it/snapshots/{name}: no test asserts it");
    }
}

#[test]
fn continuous_integration_runs_the_readmes_test_command() {
    let readme = read(&root().join("README.md"));
    let ci = read(&root().join(".ci/run"));
    assert!(readme.lines().any(|l| l == ".ci/setup .ci/test"), "README.md doesn't name the test command");
    assert!(ci.lines().any(|l| l == "exec .ci/setup .ci/test"), ".ci/run doesn't run the README's test command");
}

#[test]
fn no_path_of_a_machine_is_in_the_tree() {
    for path in ["src", "tests", "queries", "benches"].iter().flat_map(|f| {
        [".rs", ".sql"].iter().flat_map(move |e| {
            if *f == "queries" && *e == ".rs" || *f != "queries" && *e == ".sql" { vec![] } else { files(f, e) }
        })
    }) {
        let text = read(&path);
        for prefix in [concat!("/ro", "ot/"), concat!("/ho", "me/")] {
            assert!(!text.contains(prefix), "{} names {prefix}", shown(&path));
        }
    }
}
