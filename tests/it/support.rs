//! Running the real binary and reading what it did.

use std::path::Path;
use std::process::{Command, Output};

/// The binary, in a folder of its own, with nothing of the caller's environment that could change its answer.
pub fn rehearsal(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(args)
        .current_dir(folder)
        .env_remove("DATABASE_URL")
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary runs")
}

/// Standard output, which must be UTF-8.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8 on stdout")
}

/// Standard error, which must be UTF-8.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8 on stderr")
}

/// Everything observable of a run in one text: exit code, stdout, stderr.
pub fn transcript(output: &Output) -> String {
    format!(
        "exit: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().map_or("signal".to_owned(), |c| c.to_string()),
        stdout(output),
        stderr(output)
    )
}

/// Runs and parses `--format json`; the run must end with `code`.
pub fn json(folder: &Path, args: &[&str], code: i32) -> serde_json::Value {
    let mut args = args.to_vec();
    args.extend(["--format", "json"]);
    let output = rehearsal(folder, &args);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{}", transcript(&output));
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}
