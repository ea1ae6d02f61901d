//! The command line itself: help, errors that concern every command.

use crate::support::{rehearsal, stderr, stdout};

#[test]
fn every_command_has_help_with_two_examples() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in
        ["demo", "export", "inspect", "classify", "roots", "cycles", "growth", "sql", "generate", "completions", "man"]
    {
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
