//! `rehearsal growth` through the real binary: the demo in every format, bare Parquet, short and damaged histories, bad figures.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use rehearsal::growth::{self, Options};
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::support::{json as run_json, parquet, refused, rehearsal, stdout};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A log of `days` days with `rows` rows a day, three rows an album, ending at noon of the day after.
fn steady(folder: &Path, days: u32, rows: u32) -> String {
    let all = days * rows + rows / 2;
    parquet(
        folder,
        "steady.parquet",
        &format!(
            "SELECT i AS id, 'enrichment:album' AS operation, 'SUCCESS' AS status, 'ALBUM' AS entity_type, \
             (i // 3)::VARCHAR AS entity_id, TIMESTAMP '2025-01-01' + (i::BIGINT * 86400 // {rows}) * INTERVAL '1 second' AS created_at \
             FROM range({all}) AS r(i)"
        ),
    )
}

fn finding<'a>(report: &'a Value, id: &str) -> Option<&'a Value> {
    report["findings"].as_array().expect("findings").iter().find(|f| f["id"] == id)
}

fn sum(groups: &Value, field: &str) -> u64 {
    groups.as_array().expect("groups").iter().map(|g| g[field].as_u64().expect("a count")).sum()
}

#[test]
fn the_demo_in_words() {
    let folder = folder();
    let args = ["growth", "demo", "--albums", "10000", "--logs-per-album", "9", "--threshold", "4MB,500MB"];
    insta::assert_snapshot!("growth_demo", stdout(&rehearsal(folder.path(), &args)));
}

#[test]
fn the_demo_as_json() {
    let folder = folder();
    let mut report = run_json(folder.path(), &["growth", "demo", "--threshold", "4MB"], 0);
    // One line a day and a point of the curve is what a plot wants, not a reader.
    let result = &mut report["result"];
    let days = result["history"]["rows_per_day"].as_array().expect("days").len();
    assert_eq!(result["history"]["complete_days"], days);
    result["history"]["rows_per_day"] = Value::from("…");
    let path = result["forecast"]["days"].as_array().expect("days").clone();
    result["forecast"]["days"] = Value::Array(vec![path[0].clone(), path[path.len() - 1].clone()]);
    insta::assert_snapshot!("growth_demo_json", serde_json::to_string_pretty(&report).expect("JSON"));
}

#[test]
fn the_demo_in_markdown() {
    let folder = folder();
    let output = rehearsal(folder.path(), &["growth", "demo", "--format", "markdown"]);
    insta::assert_snapshot!("growth_demo_markdown", stdout(&output));
}

#[test]
fn the_demo_has_the_manifests_sizes_and_the_plans_two_rows_an_album() {
    let folder = folder();
    let report = run_json(folder.path(), &["growth", "demo"], 0);
    let result = &report["result"];
    let manifest: Value = serde_json::from_str(include_str!("../../fixtures/demo/manifest.json")).expect("JSON");
    assert_eq!(result["size_bytes"], manifest["tables"][0]["sizes"]["total_bytes"]);
    assert_eq!(result["basis"], "measured");
    let per_album = result["rows_per_album"].as_f64().expect("a mean");
    assert!((1.5..2.5).contains(&per_album), "{per_album}");
    // The layout model, over the same rows, comes near what the server had.
    let ratio =
        result["modelled_bytes_per_row"].as_f64().expect("bytes") / result["bytes_per_row"].as_f64().expect("bytes");
    assert!((0.92..1.08).contains(&ratio), "modelled / measured = {ratio}");
    let albums = &result["albums"];
    assert_eq!(albums["album_rows"].as_u64().zip(albums["other_rows"].as_u64()).map(|(a, b)| a + b), Some(4052));
    for groups in ["by_category", "by_entity_type", "by_operation_family"] {
        assert_eq!(sum(&result[groups], "size_bytes"), result["size_bytes"], "{groups}");
        assert_eq!(sum(&result[groups], "rows"), 4052, "{groups}");
    }
}

#[test]
fn bare_parquet_is_modelled_and_says_so() {
    let folder = folder();
    let source = format!("{}/fixtures/demo/llama_logs.parquet", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(source, folder.path().join("bare.parquet")).expect("the fixture");
    let report = run_json(folder.path(), &["growth", "bare.parquet"], 0);
    let result = &report["result"];
    assert_eq!((&result["basis"], &result["index_basis"]), (&Value::from("modelled"), &Value::from("assumed")));
    let measured = run_json(folder.path(), &["growth", "demo"], 0)["result"]["bytes_per_row"].as_f64().expect("bytes");
    let ratio = result["bytes_per_row"].as_f64().expect("bytes") / measured;
    assert!((0.85..1.15).contains(&ratio), "{ratio}");
    let text = stdout(&rehearsal(folder.path(), &["growth", "bare.parquet"]));
    assert!(
        text.contains("(modelled)") && text.contains("A bare file names no indexes. Those assumed: (id), "),
        "{text}"
    );
}

#[test]
fn a_steady_log_crosses_on_its_day() {
    let folder = folder();
    let log = steady(folder.path(), 120, 10);
    let now = run_json(folder.path(), &["growth", &log], 0);
    let size = now["result"]["size_bytes"].as_u64().expect("bytes");
    let report = run_json(folder.path(), &["growth", &log, "--threshold", &format!("{}B,1B", size * 2)], 0);
    let thresholds = &report["result"]["thresholds"];
    assert_eq!((&thresholds[0]["state"], &thresholds[0]["crossed_at"]), (&Value::from("above"), &Value::Null));
    // The size doubles when as many rows have come again: 1,205 at ten a day.
    assert_eq!(thresholds[1]["state"], "dated");
    assert_eq!(thresholds[1]["crossed_at"], "2025-08-30");
    assert_eq!(report["result"]["rows_per_day"], 10.0);
    assert_eq!(report["result"]["backtest"]["wape"], 0.0);
    let dates = ["earliest_95", "earliest", "crossed_at", "latest", "latest_95"]
        .map(|d| thresholds[1][d].as_str().unwrap_or("9999"));
    assert!(dates.is_sorted(), "{dates:?}");
    assert_eq!(finding(&report, "threshold-crossed").expect("two of them")["severity"], "warning");
}

#[test]
fn a_short_history_gives_sizes_but_no_dates() {
    let folder = folder();
    let log = steady(folder.path(), 55, 10);
    let report = run_json(folder.path(), &["growth", &log], 0);
    let result = &report["result"];
    assert_eq!((&result["backtest"], &result["forecast"]), (&Value::Null, &Value::Null));
    assert_eq!(result["thresholds"][0]["state"], "unknown");
    assert_eq!(result["thresholds"][0]["crossed_at"], Value::Null);
    assert!(result["projections"][1]["size_bytes"].as_u64() > Some(0));
    let short = finding(&report, "short-history").expect("said so");
    assert_eq!((&short["severity"], &short["count"]), (&Value::from("note"), &Value::from(55)));
    // One day more and there is a forecast.
    let log = steady(folder.path(), 56, 10);
    let report = run_json(folder.path(), &["growth", &log], 0);
    assert_eq!((&report["result"]["backtest"]["origins"], finding(&report, "short-history")), (&Value::from(1), None));
}

#[test]
fn rows_without_a_time_are_counted_and_told() {
    let folder = folder();
    let log = parquet(
        folder.path(),
        "undated.parquet",
        "SELECT i AS id, CASE WHEN i % 4 > 0 THEN TIMESTAMP '2025-01-01' + i * INTERVAL '1 hour' END AS created_at FROM range(2000) AS r(i)",
    );
    let report = run_json(folder.path(), &["growth", &log], 0);
    assert_eq!(report["result"]["undated_rows"], 500);
    assert_eq!(finding(&report, "null-created-at").expect("told")["count"], 500);
    let log =
        parquet(folder.path(), "never.parquet", "SELECT i AS id, NULL::TIMESTAMP AS created_at FROM range(9) AS r(i)");
    let report = run_json(folder.path(), &["growth", &log], 0);
    assert_eq!((&report["result"]["history"], &report["result"]["rows_per_day"]), (&Value::Null, &Value::Null));
    assert!(report["result"]["size_bytes"].as_u64() > Some(0));
    let text = stdout(&rehearsal(folder.path(), &["growth", &log]));
    assert!(text.contains("500 MB takes ") && text.contains("the history is too short for a date"), "{text}");
}

#[test]
fn what_the_columns_cannot_tell_is_left_out_by_name() {
    let folder = folder();
    let log = parquet(
        folder.path(),
        "narrow.parquet",
        "SELECT i AS id, TIMESTAMP '2025-01-01' + i * INTERVAL '1 hour' AS happened FROM range(3000) AS r(i)",
    );
    let report = run_json(folder.path(), &["growth", &log, "--column", "created_at=happened"], 0);
    let result = &report["result"];
    assert_eq!((&result["rows_per_album"], &result["projections"]), (&Value::Null, &Value::Array(vec![])));
    let parts: Vec<&str> =
        result["omitted"].as_array().expect("a list").iter().map(|o| o["part"].as_str().expect("text")).collect();
    assert_eq!(
        parts,
        [
            "rows and bytes by category",
            "rows and bytes by entity type",
            "rows and bytes by operation family",
            "rows per album and size at N albums"
        ]
    );
    let error = refused(folder.path(), &["growth", &log]);
    assert!(error.starts_with("error: column created_at isn't in table narrow\nhint: "), "{error}");
    let error = refused(folder.path(), &["growth", &log, "--column", "created_at=id"]);
    assert!(error.contains("hint: created_at must be a timestamp"), "{error}");
}

#[test]
fn a_row_belongs_to_the_album_its_jobs_name() {
    let folder = folder();
    let log = parquet(
        folder.path(),
        "jobs.parquet",
        "SELECT *, TIMESTAMP '2025-01-01' AS created_at FROM (VALUES
            ('ALBUM', 'A', NULL, 'j1', NULL),   -- names album A as its entity
            ('TRACK', 't', 'A', 'j2', 'j1'),    -- names album A itself
            ('ARTIST', 'x', NULL, 'j1', NULL),  -- its job names A
            ('ARTIST', 'y', NULL, 'j3', 'j1'),  -- its parent job does
            ('ALBUM', 'B', NULL, 'j4', NULL),
            ('ALBUM', 'C', NULL, 'j4', NULL),
            ('ARTIST', 'z', NULL, 'j4', NULL),  -- its job names two albums
            ('ARTIST', 'z', NULL, NULL, NULL)   -- nothing names any
        ) AS r(entity_type, entity_id, album_id, job_id, parent_job_id)",
    );
    let report = run_json(folder.path(), &["growth", &log], 0);
    let albums = &report["result"]["albums"];
    let figures = ["albums", "album_rows", "other_rows", "p50", "max"].map(|f| albums[f].as_u64().expect("a count"));
    assert_eq!(figures, [3, 6, 2, 1, 4]);
}

#[test]
fn figures_that_make_no_sense_are_refused() {
    let folder = folder();
    for (args, expected) in [
        (["--threshold", "500"], "\"500\" isn't a size: it has no unit"),
        (["--threshold", "lots"], "\"lots\" isn't a size: it doesn't begin with a number"),
        (["--albums", "0"], "a size at 0 albums says nothing"),
        (["--logs-per-album", "0"], "an album can't write 0 logs"),
        (["--logs-per-album", "NaN"], "an album can't write NaN logs"),
    ] {
        let error = refused(folder.path(), &["growth", "demo", args[0], args[1]]);
        assert!(error.contains(expected) && error.contains("\nhint: "), "{args:?}: {error}");
    }
}

#[test]
fn settings_come_from_the_configuration_and_the_command_line_wins() {
    let folder = folder();
    let settings = "[growth]\nalbums = [500, 100]\nlogs_per_album = 4\nthresholds = [\"1 GiB\"]\n";
    std::fs::write(folder.path().join("rehearsal.toml"), settings).expect("a file");
    let report = run_json(folder.path(), &["growth", "demo"], 0);
    let result = &report["result"];
    let albums: Vec<u64> =
        result["projections"].as_array().expect("a list").iter().skip(1).filter_map(|p| p["albums"].as_u64()).collect();
    assert_eq!((albums, &result["thresholds"][0]["size_bytes"]), (vec![100, 500, 100, 500], &Value::from(1u64 << 30)));
    let report = run_json(folder.path(), &["growth", "demo", "--albums", "7", "--threshold", "1MB"], 0);
    assert_eq!(report["result"]["projections"][1]["albums"], 7);
    assert_eq!(report["result"]["thresholds"][0]["size_bytes"], 1_000_000);
    std::fs::write(folder.path().join("rehearsal.toml"), "[growth]\nthresholds = [\"much\"]\n").expect("a file");
    assert!(refused(folder.path(), &["growth", "demo"]).contains("\"much\" isn't a size"));
}

#[test]
fn threads_change_nothing() {
    let folder = folder();
    let log = steady(folder.path(), 90, 200);
    let one = run_json(folder.path(), &["growth", &log, "--threads", "1"], 0);
    assert_eq!(one, run_json(folder.path(), &["growth", &log, "--threads", "4"], 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Over random logs: groups sum to the total, sizes grow with albums, bounds hold their figures, dates are in order.
    #[test]
    fn figures_agree_with_each_other(rows in 1u32..3000, spread in 1u32..400, albums in 1u32..200, seed in 0u32..1000) {
        let folder = folder();
        let sql = format!(
            "SELECT uuid() AS id, CASE WHEN h % 5 > 0 THEN 'track:' || h % 3 ELSE 'cache:x' END AS operation,
                CASE WHEN h % 7 = 0 THEN 'FAILED' ELSE 'SUCCESS' END AS status, CASE WHEN h % 11 > 0 THEN 'ALBUM' END AS entity_type,
                h % {albums} AS entity_id, repeat('x', (h % 300)::INTEGER) AS reason, [operation] AS sources,
                TIMESTAMP '2025-01-01' + (h % {spread}) * INTERVAL '1 day' AS created_at
             FROM (SELECT (hash(i + {seed}) % 1000003)::BIGINT AS h FROM range({rows}) AS r(i))"
        );
        let path = parquet(folder.path(), "random.parquet", &sql);
        let snapshot = Snapshot::open(&path, &EngineOptions::default()).expect("a snapshot");
        let table = snapshot.table(None).expect("one table").clone();
        let columns = snapshot.open_log(&table, &Default::default(), growth::REQUIRED_COLUMNS).expect("a log");
        let options =
            Options { albums: vec![10, 100, 1000], logs_per_album: Some(9.0), threshold_bytes: vec![100_000, 10_000_000] };
        let report = growth::analyze(&snapshot, &table, &columns, &options).expect("a report");
        for groups in [&report.by_category, &report.by_entity_type, &report.by_operation_family] {
            prop_assert_eq!(groups.iter().map(|g| g.size_bytes).sum::<u64>(), report.size_bytes);
            prop_assert_eq!(groups.iter().map(|g| g.rows).sum::<u64>(), report.rows);
        }
        let parts = &report.bytes_per_row_parts;
        prop_assert!((parts.heap + parts.index + parts.toast + parts.maps - report.bytes_per_row).abs() < 1e-6);
        for projection in &report.projections {
            prop_assert!(projection.low_bytes <= projection.size_bytes && projection.size_bytes <= projection.high_bytes);
        }
        for of_scenario in report.projections.get(1..).unwrap_or_default().chunks(3) {
            prop_assert!(of_scenario.is_sorted_by(|a, b| a.albums < b.albums && a.size_bytes <= b.size_bytes));
        }
        if let Some(albums) = &report.albums {
            prop_assert_eq!(albums.album_rows + albums.other_rows, report.rows);
            prop_assert!(albums.p50 <= albums.p90 && albums.p90 <= albums.p99 && albums.p99 <= albums.max);
        }
        if let Some(history) = &report.history {
            prop_assert_eq!(history.rows_per_day.iter().sum::<u64>() + history.last_day_rows, report.rows);
        }
        for t in &report.thresholds {
            let dates: Vec<_> = [t.earliest_95, t.earliest, t.crossed_at, t.latest, t.latest_95].into_iter().flatten().collect();
            prop_assert!(dates.is_sorted(), "{:?}", t);
        }
    }
}
