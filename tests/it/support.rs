//! Running the real binary and reading what it did; shared by both test binaries.

use std::path::Path;
use std::process::{Command, Output};

/// The binary, in a folder of its own, with nothing of the caller's environment that could change its answer.
pub fn rehearsal(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(args)
        .current_dir(folder)
        .env_remove("DATABASE_URL")
        .env_remove("GITHUB_ACTIONS")
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

/// Writes the result of a DuckDB query to a Parquet file in `folder` and returns its path.
pub fn parquet(folder: &Path, name: &str, sql: &str) -> String {
    let path = folder.join(name).display().to_string();
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    connection.execute_batch(&format!("COPY ({sql}) TO '{path}' (FORMAT parquet)")).expect(sql);
    path
}

/// A copy of the demo as a snapshot folder, to be damaged.
pub fn demo_copy(folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("demo-copy");
    std::fs::create_dir(&copy).expect("a new folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    for name in ["manifest.json", "llama_logs.parquet"] {
        std::fs::copy(fixture.join(name), copy.join(name)).expect("the fixture");
    }
    copy
}

/// Runs, expects exit 2 and nothing on stdout, and returns stderr with the folder's path taken out.
pub fn refused(folder: &Path, args: &[&str]) -> String {
    let output = rehearsal(folder, args);
    assert_eq!(output.status.code(), Some(2), "{args:?}\n{}", transcript(&output));
    assert_eq!(stdout(&output), "", "{args:?}");
    stderr(&output).replace(&format!("{}/", folder.display()), "")
}

/// The binary where the file system takes no files beyond so many blocks of 1 KiB, as a full disk would, for every user.
#[cfg(unix)]
pub fn on_a_full_disk(folder: &Path, blocks: u32, args: &[&str]) -> Output {
    // SIGXFSZ ignored, so that the write fails as it does on a full disk instead of killing the process.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Command::new("/bin/bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_rehearsal")])
        .args(args)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .expect("bash runs")
}

/// Sends SIGINT once the folder has more entries than `before`.
#[cfg(unix)]
pub fn interrupt_once_begun(child: &std::process::Child, folder: &Path, before: usize) {
    let begun = std::time::Instant::now();
    let entries = || std::fs::read_dir(folder).expect("a folder").count();
    while entries() == before {
        assert!(begun.elapsed().as_secs() < 60, "nothing was begun");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}
