//! `rehearsal dry-run` through the real binary: what a person, a script and a workflow read, every option, every bad input.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    demo_copy, interrupt_once_begun, json as run_json, on_a_full_disk, parquet, refused, rehearsal, stderr, stdout,
    transcript,
};

/// A folder with these migrations of the fixtures, under their own names.
fn with(migrations: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in migrations {
        let to = folder.path().join(name);
        fs::create_dir(&to).expect("a new folder");
        for entry in fs::read_dir(fixture("migrations").join(name)).expect("a fixture") {
            let from = entry.expect("a file").path();
            fs::copy(&from, to.join(from.file_name().expect("a name"))).expect("the fixture");
        }
    }
    folder
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn leads() -> String {
    fixture("leads").display().to_string()
}

/// A folder with one migration of this text.
fn of(sql: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("migration.sql"), sql).expect("a file");
    folder
}

/// Runs `migration.sql` of a folder on the demo.
fn on_demo(folder: &tempfile::TempDir, more: &[&str], code: i32) -> Value {
    let mut args = vec!["dry-run", "migration.sql", "--on", "demo"];
    args.extend(more);
    run_json(folder.path(), &args, code)
}

/// The report without the times it took here, which differ from run to run.
fn timeless(mut report: Value) -> Value {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(map) => {
                if let Some(elapsed) = map.get_mut("elapsed_ms") {
                    *elapsed = json!(0.0);
                }
                map.values_mut().for_each(forget);
            }
            Value::Array(items) => items.iter_mut().for_each(forget),
            _ => {}
        }
    }
    forget(&mut report);
    report
}

fn finding<'r>(report: &'r Value, id: &str) -> &'r Value {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("no finding {id} in {findings:#?}"))
}

/// `verdict rows` of each statement, `-` where it has none.
fn verdicts(report: &Value) -> Vec<String> {
    let statements = report["result"]["statements"].as_array().expect("statements");
    statements
        .iter()
        .map(|s| {
            let undone = if s["rolled_back"] == true { " (rolled back)" } else { "" };
            let rows = s["rows_affected"].as_u64().map_or("-".to_owned(), |rows| rows.to_string());
            format!("{}{undone} {rows}", s["verdict"].as_str().expect("a verdict"))
        })
        .collect()
}

#[test]
fn the_roots_backfill_in_words() {
    let folder = with(&["category", "roots-applied"]);
    let output = rehearsal(folder.path(), &["dry-run", "category", "roots-applied", "--on", "demo"]);
    assert_eq!(output.status.code(), Some(1), "a missed expectation is an error");
    insta::assert_snapshot!("dry_run_roots", transcript(&output));
}

#[test]
fn every_migration_in_words() {
    let folder = with(&["batch-1", "category-hostile", "category-not-null-hostile", "rename-constraints-hostile"]);
    let before_rename = fixture("before-rename").display().to_string();
    for (name, snapshot, golden) in [
        ("category-hostile", "demo", "dry_run_category_hostile"),
        ("category-not-null-hostile", "demo", "dry_run_category_not_null_hostile"),
        ("rename-constraints-hostile", before_rename.as_str(), "dry_run_rename_constraints_hostile"),
        ("batch-1", leads().as_str(), "dry_run_batch_1"),
    ] {
        let output = rehearsal(folder.path(), &["dry-run", &format!("{name}/migration.sql"), "--on", snapshot]);
        insta::assert_snapshot!(golden, transcript(&output));
    }
}

#[test]
fn the_figures_are_those_that_production_gave() {
    let folder = with(&["category", "roots-applied"]);
    let report = run_json(folder.path(), &["dry-run", "category", "roots-applied", "--on", "demo"], 1);
    let result = &report["result"];
    let rows: Vec<Option<u64>> =
        result["statements"].as_array().expect("statements").iter().map(|s| s["rows_affected"].as_u64()).collect();
    assert_eq!(rows[2..7], [1, 15, 3770, 0, 266].map(Some));
    assert_eq!(rows[12..15], [3980, 30, 1].map(Some));
    let expectations: Vec<(&str, u64, u64, bool)> = result["expectations"]
        .as_array()
        .expect("expectations")
        .iter()
        .map(|e| {
            let number = |key: &str| e[key].as_u64().expect("a number");
            (e["name"].as_str().expect("a name"), number("expected"), number("predicted"), e["ok"] == true)
        })
        .collect();
    assert_eq!(
        expectations,
        [("filled", 1567, 4010, false), ("orphans", 2485, 42, false), ("total", 4052, 4052, true)]
    );
    let cause = result["expectations"][0]["cause"].as_str().expect("a cause");
    for part in ["statement 13", "fills 3,980 rows", "1,537 rows marked is_root_job", "2,443 more rows"] {
        assert!(cause.contains(part), "{part} in {cause}");
    }
    let missed = report["findings"].as_array().expect("findings").iter().filter(|f| f["id"] == "expectation-missed");
    assert_eq!(missed.count(), 1, "one comment is one finding");
    let failed = &result["statements"][5];
    assert_eq!((&failed["rows_affected"], &failed["unguarded_rows"]), (&json!(0), &json!(249)));
    let note = finding(&report, "statement-without-effect");
    assert!(note["message"].as_str().expect("a message").contains("249 rows"), "{note}");
    let shadowed = finding(&report, "shadowed-rule");
    assert_eq!(shadowed["location"]["line"], 28);
    assert!(shadowed["message"].as_str().expect("a message").contains("The rule in line 28 (FAILED)"), "{shadowed}");
}

#[test]
fn no_samples_break_no_promise() {
    let folder = with(&["category", "roots-applied"]);
    let args = ["dry-run", "category", "roots-applied", "--on", "demo", "--samples", "0"];
    let report = run_json(folder.path(), &args, 1);
    assert_eq!(report["result"]["expectations"][0]["predicted"], 4010);
    assert_eq!(report["result"]["statements"][14]["rows"], json!([]));
}

#[test]
fn a_whole_report_as_json() {
    let folder = of(
        "-- Failures are read again\nUPDATE llama_logs SET reason = 'again' WHERE status = 'FAILED' AND error_code = 'TIMEOUT';\n-- Expected rows: 3\n",
    );
    let output =
        rehearsal(folder.path(), &["dry-run", "migration.sql", "--on", "demo", "--format", "json", "--samples", "1"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = serde_json::to_string_pretty(&timeless(report)).expect("JSON");
    insta::assert_snapshot!("dry_run_json", text);
}

#[test]
fn for_a_pull_request() {
    let folder = with(&["category-hostile"]);
    let args = |format: &'static str| ["dry-run", "category-hostile", "--on", "demo", "--format", format];
    insta::assert_snapshot!("dry_run_markdown", stdout(&rehearsal(folder.path(), &args("markdown"))));
    insta::assert_snapshot!("dry_run_github", stdout(&rehearsal(folder.path(), &args("github"))));
}

#[test]
fn sarif_points_into_the_files() {
    let folder = with(&["category", "roots-applied"]);
    let args = ["dry-run", "category", "roots-applied", "--on", "demo", "--format", "sarif"];
    let log: Value = serde_json::from_slice(&rehearsal(folder.path(), &args).stdout).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let places: Vec<String> = results
        .iter()
        .map(|r| {
            let place = &r["locations"][0]["physicalLocation"];
            format!(
                "{} {} {}:{}",
                r["level"].as_str().expect("a level"),
                r["ruleId"].as_str().expect("an id"),
                place["artifactLocation"]["uri"].as_str().expect("a URI"),
                place["region"]["startLine"]
            )
        })
        .collect();
    insta::assert_snapshot!("dry_run_sarif_places", places.join("\n"));
}

#[test]
fn a_workflow_gets_annotations_unless_it_asks_otherwise() {
    let folder = of("UPDATE llama_logs SET nope = 1;");
    let run = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_rehearsal"))
            .args(["dry-run", "migration.sql", "--on", "demo"])
            .args(more)
            .current_dir(folder.path())
            .env("GITHUB_ACTIONS", "true")
            .output()
            .expect("the binary runs");
        stdout(&output)
    };
    assert!(run(&[]).starts_with("::error file=migration.sql,line=1,"), "{}", run(&[]));
    assert!(run(&["--format", "table"]).starts_with("Dry run: migration"));
    assert_eq!(run(&["--output", "report.txt"]), "");
    let written = fs::read_to_string(folder.path().join("report.txt")).expect("the report");
    assert!(written.starts_with("Dry run: migration"), "{written}");
}

#[test]
fn an_error_is_shown_where_it_stands() {
    let folder =
        of("-- One column is misspelt\nUPDATE llama_logs\n    SET reason = statsu\n    WHERE id IS NOT NULL;\n");
    let output = rehearsal(folder.path(), &["dry-run", "migration.sql", "--on", "demo"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("dry_run_error", transcript(&output));
}

#[test]
fn what_the_snapshot_lacks_is_named_with_the_way_out() {
    let report = on_demo(&of("UPDATE albums SET title = 'x';"), &[], 1);
    let failed = finding(&report, "statement-failed");
    assert_eq!(report["result"]["statements"][0]["error"]["sqlstate"], "42P01");
    assert!(failed["action"].as_str().expect("an action").contains("rehearsal export … --table albums"), "{failed}");

    // The snapshot has the column already.
    let report = on_demo(&of("ALTER TABLE llama_logs ADD COLUMN parent_job_id VARCHAR(100);"), &[], 1);
    let failed = finding(&report, "statement-failed");
    assert!(
        failed["action"].as_str().expect("an action").contains("snapshot is newer than this migration"),
        "{failed}"
    );
}

#[test]
fn files_in_the_wrong_order_are_told_apart_from_missing_ones() {
    let folder = with(&["category", "roots-applied"]);
    let report = run_json(folder.path(), &["dry-run", "roots-applied", "category", "--on", "demo"], 1);
    let failed = finding(&report, "statement-failed");
    let action = failed["action"].as_str().expect("an action");
    assert!(action.contains("category/migration.sql:6) makes it, and runs later"), "{failed}");
}

#[test]
fn files_that_hold_no_sql_are_refused() {
    let check = |bytes: &[u8], expected: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("migration.sql"), bytes).expect("a file");
        let error = refused(folder.path(), &["dry-run", "migration.sql", "--on", "demo"]);
        for part in expected {
            assert!(error.contains(part), "{part} in {error}");
        }
    };
    check(b"", &["error: migration.sql is empty", "hint: "]);
    check(b"-- nothing but words\n", &["holds no statement, only comments"]);
    check(b"SELECT 1;\nUPDATE t SET a = '\xff';\n", &["migration.sql:2:19", "UTF-8"]);
    check(b"SELECT 1;\nUPDATE llama_logs SETT a = 1;\n", &["migration.sql:2:", "SETT", "^"]);
    check(b"\\d llama_logs\n", &["psql"]);
    let folder = tempfile::tempdir().expect("a folder");
    assert!(refused(folder.path(), &["dry-run", "nowhere.sql", "--on", "demo"]).contains("nowhere.sql"));
}

#[test]
fn a_migration_of_ten_megabytes_runs_in_seconds() {
    let row = |n: usize| format!("({n}, '{:0>80}')", n);
    let inserts: Vec<String> = (0..22)
        .map(|part| {
            let rows: Vec<String> = (0..5000).map(|n| row(part * 5000 + n)).collect();
            format!("INSERT INTO big VALUES {};", rows.join(",\n"))
        })
        .collect();
    let folder = of(&format!("CREATE TABLE big (id int PRIMARY KEY, text text);\n{}\n", inserts.join("\n")));
    let size = fs::metadata(folder.path().join("migration.sql")).expect("the file").len();
    assert!(size > 10_000_000, "{size}");
    let begun = std::time::Instant::now();
    let report = on_demo(&folder, &["--fail-on", "never"], 0);
    assert!(begun.elapsed().as_secs() < 300, "{:?}", begun.elapsed());
    let rows: u64 = report["result"]["statements"]
        .as_array()
        .expect("statements")
        .iter()
        .filter_map(|s| s["rows_affected"].as_u64())
        .sum();
    assert_eq!(rows, 110_000);
}

#[test]
fn a_recursion_without_end_is_stopped() {
    let sql = "CREATE TABLE node (id int PRIMARY KEY, parent int, root int);\n\
               INSERT INTO node VALUES (1, 1), (2, 1);\n\
               WITH RECURSIVE up AS (\n  SELECT id, parent FROM node\n  UNION ALL\n  SELECT up.id, node.parent FROM up JOIN node ON node.id = up.parent\n)\n\
               UPDATE node SET root = up.parent FROM up WHERE up.id = node.id;\n\
               SELECT count(root) AS filled FROM node;\n";
    let folder = of(sql);
    let report = on_demo(&folder, &["--row-budget", "10000"], 1);
    let stopped = finding(&report, "row-budget");
    assert_eq!((&stopped["severity"], &stopped["location"]["line"]), (&json!("error"), &json!(3)));
    assert_eq!(report["result"]["statements"][2]["verdict"], "unsupported");
    assert_eq!(report["result"]["statements"][2]["unsupported"]["dependents"], json!([4]));
}

#[test]
fn a_contract_is_read_before_anything_runs() {
    let folder = with(&["category"]);
    fs::write(folder.path().join("expect.toml"), "[statements]\n\"99\" = { rows = 1 }\n").expect("a file");
    let error = refused(folder.path(), &["dry-run", "category", "--on", "demo", "--expect", "expect.toml"]);
    assert!(error.contains("expect.toml:2") && error.contains("99") && error.contains("hint: "), "{error}");
    fs::write(folder.path().join("expect.toml"), "[statement]\n").expect("a file");
    let error = refused(folder.path(), &["dry-run", "category", "--on", "demo", "--expect", "expect.toml"]);
    assert!(error.contains("the contract expect.toml isn't valid") && error.contains("statement"), "{error}");
}

#[test]
fn what_a_rehearsal_gave_is_what_the_next_one_gives() {
    let folder = with(&["category"]);
    let args = ["dry-run", "category", "--on", "demo"];
    let first = rehearsal(folder.path(), &[&args[..], &["--write-expect", "expect.toml"]].concat());
    assert_eq!(first.status.code(), Some(0), "{}", transcript(&first));
    let contract = fs::read_to_string(folder.path().join("expect.toml")).expect("the contract");
    insta::assert_snapshot!("dry_run_contract", contract);
    let report = run_json(folder.path(), &[&args[..], &["--expect", "expect.toml"]].concat(), 0);
    let expectations = report["result"]["expectations"].as_array().expect("expectations");
    assert!(expectations.len() > 10 && expectations.iter().all(|e| e["ok"] == true), "{expectations:#?}");
    // One figure moved is one finding, at its line.
    fs::write(folder.path().join("expect.toml"), contract.replace("ENRICHED = 3770", "ENRICHED = 3771"))
        .expect("a file");
    let report = run_json(folder.path(), &[&args[..], &["--expect", "expect.toml"]].concat(), 1);
    let missed = finding(&report, "expectation-missed");
    let line = contract.lines().position(|line| line == "ENRICHED = 3770").expect("the line") + 1;
    assert_eq!(missed["location"], json!({"file": "expect.toml", "line": line}));
}

#[test]
fn checks_are_judged_by_their_comments() {
    let folder = with(&["batch-1"]);
    let args = ["dry-run", "batch-1/migration.sql", "--on", &leads(), "--check", "batch-1/checks.sql"];
    let report = run_json(folder.path(), &args, 0);
    let judged: Vec<(&str, &Value)> = report["result"]["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|c| (c["rule"].as_str().expect("a rule"), &c["ok"]))
        .collect();
    let yes = &json!(true);
    assert_eq!(judged, [("expected total_tables=15, new_tables=7", yes), ("expected linked=0", yes), ("no rows", yes)]);
    fs::write(
        folder.path().join("checks.sql"),
        "-- Tables\nSELECT count(*) AS tables FROM pg_tables WHERE schemaname = 'public';\n-- Expected: tables=14\n\n\
         -- Customers\n-- expect: no rows\nSELECT id FROM \"Lead\";\n\nSELECT count(*) > 0 FROM \"Customer\";\n",
    )
    .expect("a file");
    let args = ["dry-run", "batch-1/migration.sql", "--on", &leads(), "--check", "checks.sql"];
    let report = run_json(folder.path(), &args, 1);
    let failed: Vec<String> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|f| f["id"] == "check-failed")
        .map(|f| format!("{} {}", f["location"]["line"], f["message"].as_str().expect("a message")))
        .collect();
    assert_eq!(
        failed,
        [
            "7 The check \"Customers\" doesn't pass: its rule is \"no rows\", and it gives 300 rows.",
            "9 The check \"SELECT count(*) > 0 FROM \"Customer\"\" doesn't pass: its rule is \"true\", and it gives false.",
            "2 The check \"Tables\" doesn't pass: its rule is \"expected tables=14\", and it gives tables=15.",
        ]
    );
}

#[test]
fn a_roll_back_is_held_against_the_snapshot() {
    let folder = with(&["batch-1"]);
    let run = |rollback: &str, code| {
        let args = ["dry-run", "batch-1/migration.sql", "--on", &leads(), "--rollback", rollback];
        run_json(folder.path(), &args, code)
    };
    let report = run("batch-1/rollback.sql", 0);
    let rollback = &report["result"]["rollback"];
    assert_eq!((&rollback["restored"], &rollback["schema"]), (&json!(true), &json!([])));
    let report = run("batch-1/rollback-hostile.sql", 1);
    assert_eq!(report["result"]["rollback"]["restored"], false);
    let message = finding(&report, "rollback-incomplete")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("column Lead.customer_id added"), "{message}");
}

#[test]
fn two_versions_are_compared_row_by_row() {
    let folder = with(&["category"]);
    let text = fs::read_to_string(folder.path().join("category/migration.sql")).expect("the migration");
    let other = text.replace(" AND \"category\" IS NULL;\n\n-- All others", ";\n\n-- All others");
    assert_ne!(text, other);
    fs::write(folder.path().join("other.sql"), other).expect("a file");
    let args = ["dry-run", "category", "--on", "demo", "--compare", "other.sql"];
    let comparison = &run_json(folder.path(), &args, 0)["result"]["comparison"];
    assert_eq!(comparison["schema"], json!([]));
    assert_eq!(comparison["tables"][0]["differing"], 249, "failures override when nothing guards them: {comparison}");
    let args = ["dry-run", "category", "--on", "demo", "--compare", "category/migration.sql"];
    assert_eq!(run_json(folder.path(), &args, 0)["result"]["comparison"]["tables"], json!([]));
}

#[test]
fn an_error_ends_what_the_mode_says() {
    let folder = of(
        "UPDATE llama_logs SET reason = 'x' WHERE status = 'FAILED';\nUPDATE llama_logs SET nope = 1;\nDELETE FROM llama_logs;\n",
    );
    let check = |mode: &str, expected: [&str; 3]| {
        assert_eq!(verdicts(&on_demo(&folder, &["--transaction", mode], 1)), expected, "{mode}");
    };
    check("per-file", ["executed (rolled back) 249", "failed -", "not-reached -"]);
    check("per-statement", ["executed 249", "failed -", "not-reached -"]);
    check("none", ["executed 249", "failed -", "executed 4052"]);
}

#[test]
fn a_run_is_kept_whole_and_never_over_another() {
    let folder = with(&["category"]);
    let args = ["dry-run", "category", "--on", "demo", "--output-run", "run"];
    let output = rehearsal(folder.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", transcript(&output));
    let report = fs::read_to_string(folder.path().join("run/report.json")).expect("the report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["report"], "dry-run");
    let table = folder.path().join("run/tables/public.llama_logs.parquet");
    let sql = format!("SELECT category, count(*) FROM '{}' GROUP BY ALL", table.display());
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    let mut statement = connection.prepare(&sql).expect("the table");
    let rows: BTreeMap<String, i64> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows")
        .collect::<duckdb::Result<_>>()
        .expect("rows");
    let expected = [("CACHED", 1), ("CORRECTED", 15), ("CREATED", 266), ("ENRICHED", 3770)];
    assert_eq!(rows, expected.map(|(category, rows)| (category.to_owned(), rows)).into());
    let error = refused(folder.path(), &args);
    assert!(error.starts_with("error: run exists\nhint: "), "{error}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_run() {
    // Digests don't compress: the table grows beyond the demo's own size, which has to fit.
    let digests: Vec<String> = (0..24).map(|n| format!("md5(id || '{n}')")).collect();
    let folder = of(&format!("UPDATE llama_logs SET reason = {}", digests.join(" || ")));
    let args = ["dry-run", "migration.sql", "--on", "demo", "--output-run", "run"];
    let output = on_a_full_disk(folder.path(), 1000, &args);
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{}", transcript(&output));
    assert!(errors.starts_with("error: writing the rows of public.llama_logs as they end"), "{errors}");
    assert!(errors.contains("File too large"), "{errors}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "only the migration");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_run() {
    let folder = of("CREATE TABLE t AS SELECT a.id FROM llama_logs a, llama_logs b, llama_logs c, llama_logs d");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["dry-run", "migration.sql", "--on", "demo", "--output-run", "run"])
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    interrupt_once_begun(&child, folder.path(), 1);
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(2), "{}", transcript(&output));
    assert_eq!(stderr(&output), "error: interrupted; nothing was left half-written\n");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "only the migration");
}

#[test]
fn a_snapshot_cut_short_is_refused_before_anything_runs() {
    let folder = of("SELECT 1");
    let snapshot = demo_copy(folder.path());
    let file = fs::File::options().write(true).open(snapshot.join("llama_logs.parquet")).expect("the rows");
    file.set_len(100_000).expect("a shorter file");
    let snapshot = snapshot.display().to_string();
    let errors = refused(folder.path(), &["dry-run", "migration.sql", "--on", &snapshot]);
    assert!(errors.contains("llama_logs.parquet isn't the file that was exported: 100000 bytes"), "{errors}");
    assert!(errors.contains("hint: the file was changed or cut short after the export"), "{errors}");
}

#[test]
fn bare_parquet_has_no_catalog() {
    let folder = of("UPDATE log SET a = 1;");
    let log = parquet(folder.path(), "log.parquet", "SELECT 1 AS a");
    let error = refused(folder.path(), &["dry-run", "migration.sql", "--on", &log]);
    assert!(
        error.contains("log.parquet has no catalog") && error.contains("hint: a dry run needs a snapshot"),
        "{error}"
    );
}

#[test]
fn nothing_changes_the_snapshot() {
    let folder = with(&["category", "roots-applied"]);
    let copy = demo_copy(folder.path());
    let contents = || -> BTreeMap<PathBuf, String> {
        let entries = fs::read_dir(&copy).expect("the snapshot").map(|entry| entry.expect("an entry").path());
        entries
            .map(|path| {
                let hash = Sha256::digest(fs::read(&path).expect("a file"));
                (path, hash.iter().map(|byte| format!("{byte:02x}")).collect())
            })
            .collect()
    };
    let before = contents();
    fs::write(folder.path().join("down.sql"), "DROP TABLE llama_logs;").expect("a file");
    fs::write(folder.path().join("check.sql"), "SELECT count(*) FROM llama_logs;").expect("a file");
    let copy_name = copy.display().to_string();
    let output = rehearsal(
        folder.path(),
        &[
            "dry-run",
            "category",
            "roots-applied",
            "--on",
            &copy_name,
            "--rollback",
            "down.sql",
            "--check",
            "check.sql",
            "--compare",
            "category",
            "--write-expect",
            "expect.toml",
            "--output-run",
            "run",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(contents(), before);
}
