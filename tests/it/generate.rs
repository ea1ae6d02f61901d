//! `rehearsal generate`: reproducible, sound where asked to be, defective where asked to be, and nothing left after a failure.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::support::{interrupt_once_begun, json, on_a_full_disk, rehearsal, stderr, stdout, transcript};

/// More albums than one chunk has.
const ALBUMS: &str = "5000";

fn generate(folder: &Path, out: &str, more: &[&str]) -> serde_json::Value {
    let args = [&["generate", "--out", out][..], more].concat();
    json(folder, &args, 0)
}

fn one_number(snapshot: &Snapshot, sql: &str) -> i64 {
    snapshot.connection().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn open(folder: &Path, name: &str) -> Snapshot {
    Snapshot::open(folder.join(name).to_str().expect("UTF-8"), &EngineOptions::default()).expect("a snapshot")
}

#[test]
fn a_seed_decides_every_byte_whatever_the_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |out: &str, more: &[&str]| {
        let report = generate(folder.path(), out, &[&["--albums", ALBUMS, "--pathologies", "some"][..], more].concat());
        report["snapshot"]["id"].as_str().expect("an id").to_owned()
    };
    let first = made("a", &["--seed", "7"]);
    assert_eq!(first, made("b", &["--seed", "7", "--threads", "1"]));
    assert_eq!(first, made("c", &["--seed", "7", "--threads", "5"]));
    assert_ne!(first, made("d", &["--seed", "8"]));
}

#[test]
fn an_archive_is_a_sound_snapshot_in_the_order_of_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = generate(folder.path(), "archive", &["--albums", ALBUMS]);
    let rows = report["result"]["rows"].as_i64().expect("rows");
    let per_album = rows as f64 / 5_000.0;
    assert!((8.5..9.5).contains(&per_album), "about nine rows an album: {per_album}");
    assert_eq!(report["result"]["pathologies"], serde_json::json!([]));

    // Opening proves the hashes, and the row count against the files; inspect counts once more.
    let inspected = json(folder.path(), &["inspect", "archive"], 0);
    assert_eq!(inspected["result"]["tables"][0]["rows"].as_i64(), Some(rows));
    let snapshot = open(folder.path(), "archive");
    assert_eq!(one_number(&snapshot, "SELECT count(DISTINCT id) FROM llama_logs"), rows);
    let albums = one_number(&snapshot, "SELECT count(DISTINCT album_id) FROM llama_logs");
    assert_eq!(albums, 5_000);
    let orphans = "SELECT count(*) FROM llama_logs WHERE job_id IS NULL AND parent_job_id IS NULL";
    let orphans = one_number(&snapshot, orphans) as f64 / rows as f64;
    assert!((0.005..0.04).contains(&orphans), "a few rows of unknown origin: {orphans}");

    let times = created_at(&folder.path().join("archive/llama_logs.parquet"));
    assert_eq!(times.len() as i64, rows);
    assert!(times.is_sorted(), "the log is append-only");
    let days = (times[times.len() - 1] - times[0]) / 86_400_000_000;
    assert!(days > 200, "months of history: {days} days");
}

fn created_at(path: &Path) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file")).expect("Parquet");
    let batches: Vec<RecordBatch> = reader.build().expect("a reader").map(|b| b.expect("a batch")).collect();
    let column = |batch: &RecordBatch| {
        let times = batch.column_by_name("created_at").expect("created_at");
        times.as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    batches.iter().flat_map(column).collect()
}

/// Problems of job chains, each as a query that counts jobs.
const PROBLEMS: [(&str, &str); 5] = [
    ("self-reference", "SELECT count(DISTINCT job_id) FROM llama_logs WHERE job_id = parent_job_id"),
    (
        "dangling-parent",
        "SELECT count(DISTINCT parent_job_id) FROM llama_logs p WHERE NOT EXISTS (FROM llama_logs j WHERE j.job_id = p.parent_job_id)",
    ),
    (
        "ambiguous-parent",
        "SELECT count(*) FROM (SELECT job_id FROM llama_logs WHERE job_id IS NOT NULL GROUP BY job_id HAVING count(DISTINCT parent_job_id) > 1)",
    ),
    (
        "mixed-parent",
        "SELECT count(*) FROM (SELECT job_id FROM llama_logs WHERE job_id IS NOT NULL GROUP BY job_id
         HAVING count(parent_job_id) > 0 AND count(*) FILTER (parent_job_id IS NULL) > 0)",
    ),
    (
        "two-cycle",
        "SELECT count(*) FROM (SELECT DISTINCT a.job_id FROM llama_logs a JOIN llama_logs b
         ON a.parent_job_id = b.job_id AND b.parent_job_id = a.job_id WHERE a.job_id < b.job_id)",
    ),
];

#[test]
fn a_sound_archive_has_no_problem() {
    let folder = tempfile::tempdir().expect("a folder");
    generate(folder.path(), "archive", &["--albums", "800"]);
    let snapshot = open(folder.path(), "archive");
    for (kind, sql) in PROBLEMS {
        assert_eq!(one_number(&snapshot, sql), 0, "{kind}");
    }
    let flags = "SELECT count(*) FROM llama_logs WHERE is_root_job AND (parent_job_id IS NOT NULL OR job_id IS NULL)";
    assert_eq!(one_number(&snapshot, flags), 0);
    let deepest = "WITH RECURSIVE up AS (
          SELECT DISTINCT job_id, parent_job_id, 1 AS depth FROM llama_logs WHERE parent_job_id IS NOT NULL
          UNION SELECT up.job_id, p.parent_job_id, depth + 1 FROM up JOIN llama_logs p ON p.job_id = up.parent_job_id
          WHERE p.parent_job_id IS NOT NULL AND depth < 30)
        SELECT max(depth) FROM up";
    assert_eq!(one_number(&snapshot, deepest), 3);
}

#[test]
fn a_defective_archive_has_exactly_the_problems_it_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = generate(folder.path(), "archive", &["--albums", "1500", "--pathologies", "all"]);
    let counts: BTreeMap<&str, i64> = report["result"]["pathologies"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|p| (p["kind"].as_str().expect("a kind"), p["albums"].as_i64().expect("a count")))
        .collect();
    assert_eq!(counts.len(), 9, "{counts:?}");
    let total: i64 = counts.values().sum();
    assert!((400..600).contains(&total), "about one album in three: {total}");
    let snapshot = open(folder.path(), "archive");
    for (kind, sql) in PROBLEMS {
        assert_eq!(one_number(&snapshot, sql), counts[kind], "{kind}");
    }
    let no_job = "SELECT count(DISTINCT album_id) FROM llama_logs WHERE job_id IS NULL AND parent_job_id IS NOT NULL";
    assert_eq!(one_number(&snapshot, no_job), counts["no-job-id"]);
    let flagged = "SELECT count(DISTINCT album_id) FROM llama_logs WHERE is_root_job AND parent_job_id IS NOT NULL";
    assert_eq!(one_number(&snapshot, flagged), counts["root-flag-mismatch"]);
}

#[test]
fn the_report_says_what_was_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["generate", "--albums", "100", "--seed", "3", "--out", "small"]);
    let mut settings = insta::Settings::clone_current();
    // The compressor's business.
    settings.add_filter(r"size( +)[0-9.]+ kB", "size$1[size]");
    settings.add_filter(r"snapshot [0-9a-f]{16}", "snapshot [id]");
    settings.bind(|| {
        insta::assert_snapshot!(transcript(&output), @r"
    exit: 0
    --- stdout
    Synthetic archive
    856 rows about 100 albums in small, all of them made up

    rows an album     8.56
    first row         2025-05-20T22:53:41.906Z
    last row          2026-02-08T22:09:38.506Z
    Parquet files     1
    size              [size]
    to make it again  rehearsal generate --albums 100 --seed 3 --pathologies none

    Every chain is sound: no defect was put in.

    snapshot [id], table llama_logs, 856 rows, synthetic (as of 2026-02-08T22:09:38.506Z)
    --- stderr
    ")
    });
}

#[test]
fn the_manifest_tells_how_to_make_it_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = generate(folder.path(), "one", &["--albums", "60", "--seed", "9", "--pathologies", "all"]);
    let inspected = json(folder.path(), &["inspect", "one"], 0);
    let manifest = &inspected["result"]["manifest"];
    let command = "rehearsal generate --albums 60 --seed 9 --pathologies all";
    assert_eq!(manifest["source"], serde_json::json!({"kind": "synthetic", "description": command}));
    assert_eq!(manifest["captured_at"], report["result"]["last_at"]);
    assert_eq!(manifest["tables"][0]["sizes"], serde_json::Value::Null);
    let args: Vec<&str> = command.split(' ').skip(1).chain(["--out", "two"]).collect();
    let again = json(folder.path(), &args, 0);
    assert_eq!(again["snapshot"]["id"], report["snapshot"]["id"]);
}

#[test]
fn no_albums_and_a_taken_folder_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["generate", "--albums", "0", "--out", "none"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "error: --albums 0 would make an empty archive\nhint: ask for at least one album; each writes about nine rows\n"
    );
    assert_eq!(stdout(&output), "");

    fs::create_dir(folder.path().join("taken")).expect("a folder");
    let output = rehearsal(folder.path(), &["generate", "--albums", "5", "--out", "taken"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: output taken exists already\nhint: "), "{}", stderr(&output));
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().expect("a folder");
    let output = on_a_full_disk(folder.path(), 1000, &["generate", "--albums", "20000", "--out", "archive"]);
    assert_eq!((output.status.signal(), output.status.code()), (None, Some(2)), "{}", transcript(&output));
    let errors = stderr(&output);
    assert!(errors.contains("writing archive/llama_logs.parquet") && errors.contains("File too large"), "{errors}");
    assert_eq!(stdout(&output), "");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["generate", "--albums", "5000000", "--out", "huge"])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    interrupt_once_begun(&child, folder.path(), 0);
    let status = child.wait().expect("an end");
    assert_eq!(status.code(), Some(2));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "something was left behind");
}
