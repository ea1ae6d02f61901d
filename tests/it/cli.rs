//! The command line itself: help, errors that concern every command.

use crate::support::{rehearsal, stderr, stdout};

#[test]
fn every_command_has_help_with_two_examples() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [
        "demo",
        "export",
        "inspect",
        "classify",
        "roots",
        "cycles",
        "growth",
        "dry-run",
        "sql",
        "generate",
        "completions",
        "man",
    ] {
        let output = rehearsal(folder.path(), &[command, "--help"]);
        assert!(output.status.success(), "{command}");
        let text = stdout(&output);
        let examples = text.split("Examples:").nth(1).unwrap_or_default();
        assert!(examples.matches("rehearsal ").count() >= 2, "{command}: {text}");
    }
}

#[test]
fn an_unknown_snapshot_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["inspect", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).starts_with("error: nowhere doesn't exist\nhint: "), "{}", stderr(&output));
}

#[test]
fn completions_and_the_man_page_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let output = rehearsal(folder.path(), &["completions", shell]);
        assert!(output.status.success() && stdout(&output).contains("rehearsal"), "{shell}");
    }
    let output = rehearsal(folder.path(), &["man"]);
    assert!(output.status.success() && stdout(&output).contains(".TH rehearsal"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let binary = env!("CARGO_BIN_EXE_rehearsal");
    for command in ["classify demo --format json", "inspect demo", "man", "completions bash"] {
        let script = format!("{{ {binary} {command}; echo \"code $?\" >&2; }} | true");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
        assert_eq!(stderr(&output), "code 0\n", "{command}");
    }
}

#[test]
fn an_answer_can_go_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["classify", "demo", "--format", "json", "--output", "deep/answer.json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    let text = std::fs::read_to_string(folder.path().join("deep/answer.json")).expect("the file");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["report"], "classify");
    assert_eq!(answer["schema_version"], 1);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("deep")).expect("the folder").collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn the_answer_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["classify", "roots", "cycles", "growth"] {
        let one = rehearsal(folder.path(), &[command, "demo", "--format", "json", "--threads", "1"]);
        let four = rehearsal(folder.path(), &[command, "demo", "--format", "json", "--threads", "4"]);
        assert_eq!(stdout(&one), stdout(&four), "{command}");
        assert!(!stdout(&one).is_empty(), "{command}: {}", stderr(&one));
    }
}
