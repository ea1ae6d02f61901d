//! Input that isn't what it should be: exit 2, the object named, a way out, nothing on stdout.

use std::fs;

use crate::support::{demo_copy, json, parquet, refused};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn check(refusal: &str, parts: &[&str]) {
    assert!(refusal.starts_with("error: "), "{refusal}");
    for part in parts {
        assert!(refusal.contains(part), "{part:?} isn't in:\n{refusal}");
    }
}

#[test]
fn a_folder_that_is_no_snapshot() {
    let folder = folder();
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    check(&refused(folder.path(), &["classify", "empty"]), &["empty isn't a snapshot", "manifest.json", "hint: "]);
}

#[test]
fn a_manifest_of_something_else() {
    let folder = folder();
    fs::create_dir(folder.path().join("odd")).expect("a folder");
    fs::write(folder.path().join("odd/manifest.json"), "{\"name\": \"a web app\"}").expect("a file");
    check(&refused(folder.path(), &["roots", "odd"]), &["odd/manifest.json isn't a snapshot manifest"]);
}

#[test]
fn a_snapshot_of_a_newer_layout() {
    let folder = folder();
    fs::create_dir(folder.path().join("new")).expect("a folder");
    fs::write(folder.path().join("new/manifest.json"), "{\"format_version\": 99}").expect("a file");
    check(&refused(folder.path(), &["roots", "new"]), &["layout 99", "use a newer version"]);
}

/// Told before any server is asked.
#[test]
fn a_condition_that_is_none() {
    let folder = folder();
    let refused = |condition: &str| {
        let url = "host=/nowhere user=me dbname=d";
        refused(folder.path(), &["export", "--url", url, "--table", "t", "--out", "snap", "--where", condition])
    };
    check(&refused("id >"), &["--where id >: ", "syntax error", "hint: write one condition"]);
    check(&refused("t: id > 1; DROP TABLE t"), &["--where id > 1; DROP TABLE t: it isn't one condition"]);
    check(&refused("note = 'a: b'"), &["no server answers at /nowhere"]);
}

#[test]
fn a_file_that_is_no_parquet() {
    let folder = folder();
    fs::write(folder.path().join("logs.parquet"), "id,job_id\n1,2\n").expect("a file");
    check(&refused(folder.path(), &["roots", "logs.parquet"]), &["logs.parquet", "isn't a Parquet file"]);
}

#[test]
fn a_file_of_zero_bytes() {
    let folder = folder();
    fs::write(folder.path().join("logs.parquet"), "").expect("a file");
    check(&refused(folder.path(), &["roots", "logs.parquet"]), &["logs.parquet is empty (0 bytes)"]);
}

#[test]
fn a_truncated_bare_file() {
    let folder = folder();
    let path = parquet(folder.path(), "logs.parquet", "SELECT range AS id FROM range(100000)");
    let whole = fs::read(&path).expect("the file");
    fs::write(&path, &whole[..whole.len() / 2]).expect("a shorter file");
    check(&refused(folder.path(), &["roots", "logs.parquet"]), &["logs.parquet", "cut short"]);
}

#[test]
fn a_truncated_file_of_a_snapshot() {
    let folder = folder();
    let copy = demo_copy(folder.path());
    let path = copy.join("llama_logs.parquet");
    let whole = fs::read(&path).expect("the file");
    fs::write(&path, &whole[..whole.len() - 1000]).expect("a shorter file");
    check(&refused(folder.path(), &["inspect", "demo-copy"]), &["isn't the file that was exported", "cut short"]);
}

#[test]
fn a_changed_byte_in_a_snapshot() {
    let folder = folder();
    let copy = demo_copy(folder.path());
    let path = copy.join("llama_logs.parquet");
    let mut bytes = fs::read(&path).expect("the file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("a changed file");
    for command in ["inspect", "classify", "roots", "cycles", "growth"] {
        check(&refused(folder.path(), &[command, "demo-copy"]), &["isn't the file that was exported", "SHA-256"]);
    }
}

#[test]
fn a_missing_file_of_a_snapshot() {
    let folder = folder();
    let copy = demo_copy(folder.path());
    fs::remove_file(copy.join("llama_logs.parquet")).expect("the file");
    check(&refused(folder.path(), &["inspect", "demo-copy"]), &["llama_logs.parquet", "the snapshot is incomplete"]);
}

#[test]
fn a_missing_column_says_how_to_map_it() {
    let folder = folder();
    parquet(folder.path(), "logs.parquet", "SELECT 1 AS id, 'a' AS \"jobId\", NULL::VARCHAR AS parent_job_id");
    let refusal = refused(folder.path(), &["roots", "logs.parquet"]);
    check(&refusal, &["column job_id isn't in table logs", "did you mean jobId?", "--column job_id=jobId"]);
    json(folder.path(), &["roots", "logs.parquet", "--column", "job_id=jobId"], 0);
}

#[test]
fn a_mapping_to_a_column_that_is_not_there() {
    let folder = folder();
    let refusal = refused(folder.path(), &["roots", "demo", "--column", "job_id=jobb_id"]);
    check(&refusal, &["column jobb_id isn't in table llama_logs", "did you mean job_id?"]);
    check(&refused(folder.path(), &["roots", "demo", "--column", "job_id"]), &["expected NAME=COLUMN"]);
}

#[test]
fn an_empty_table() {
    let folder = folder();
    parquet(folder.path(), "logs.parquet", "SELECT 'x' AS job_id, 'y' AS parent_job_id WHERE false");
    check(&refused(folder.path(), &["roots", "logs.parquet"]), &["table logs", "is empty", "hint: "]);
}

#[test]
fn an_unknown_table() {
    let folder = folder();
    check(&refused(folder.path(), &["roots", "demo", "--table", "lama_logs"]), &["did you mean llama_logs?"]);
}

#[test]
fn a_configuration_with_a_misspelt_key() {
    let folder = folder();
    fs::write(folder.path().join("rehearsal.toml"), "[root]\ndepth_limit = 3\n").expect("a file");
    check(&refused(folder.path(), &["roots", "demo"]), &["rehearsal.toml isn't valid", "unknown field `root`"]);
    check(&refused(folder.path(), &["roots", "demo", "--config", "none.toml"]), &["none.toml", "No such file"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").expect("a file");
    check(&refused(folder.path(), &["classify", "demo", "--output", "file/answer.txt"]), &["writing file/answer.txt"]);
}
