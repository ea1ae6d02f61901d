//! `rehearsal sql`: formats, named questions, what SQL may not do, errors, and the shell through a pipe.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use rehearsal::sql::{lexer, questions};

use crate::support::{demo_copy, json, parquet, refused, rehearsal, stderr, stdout, transcript};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).display().to_string()
}

/// Runs and expects success; returns stdout.
fn answer(folder: &Path, args: &[&str]) -> String {
    let output = rehearsal(folder, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}\n{}", transcript(&output));
    stdout(&output)
}

/// Runs with this on standard input.
fn piped(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(args)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

const VALUES: &str = "SELECT * FROM (VALUES (1, 'plain', ['a', NULL], 1.50, TIMESTAMP '2026-02-10 10:30:00.5'), (2, '', [], NULL, NULL), \
                      (9007199254740993, 'comma, \"quote\" | pipe', NULL, -0.05, NULL)) AS t(n, words, list, amount, moment) ORDER BY n";

#[test]
fn a_table_tells_null_from_nothing_and_aligns_numbers() {
    assert_snapshot!(
        "sql_a_table_tells_null_from_nothing_and_aligns_numbers",
        answer(folder().path(), &["sql", "demo", VALUES])
    );
}

#[test]
fn csv_quotes_what_needs_it() {
    assert_snapshot!(
        "sql_csv_quotes_what_needs_it",
        answer(folder().path(), &["sql", "demo", VALUES, "--format", "csv"])
    );
}

#[test]
fn markdown_is_a_table() {
    assert_snapshot!(
        "sql_markdown_is_a_table",
        answer(folder().path(), &["sql", "demo", VALUES, "--format", "markdown"])
    );
}

#[test]
fn json_is_the_envelope_with_exact_values() {
    let folder = folder();
    let document = json(folder.path(), &["sql", "demo", VALUES], 0);
    assert_eq!(document["report"], "sql");
    assert_eq!(document["snapshot"]["table"], "llama_logs");
    assert_snapshot!(
        "sql_json_is_the_envelope_with_exact_values",
        serde_json::to_string_pretty(&document["result"]).expect("JSON")
    );
}

#[test]
fn json_embeds_json_and_numbers_repeated_columns() {
    let folder = folder();
    let sql = r#"SELECT '{"a": [1, 2.50]}'::JSON AS j, 1 AS n, 2 AS n"#;
    let text = answer(folder.path(), &["sql", "demo", sql, "--format", "json"]);
    assert!(text.contains(r#"{"j": {"a": [1, 2.50]}, "n": 1, "n_1": 2}"#), "{text}");
}

#[test]
fn the_raw_table_and_the_log_are_both_there() {
    let folder = folder();
    let sql = "SELECT count(*) = (SELECT count(*) FROM log) AS same, count(*) AS rows FROM llama_logs";
    assert_eq!(answer(folder.path(), &["sql", "demo", sql, "--format", "csv"]), "same,rows\ntrue,4052\n");
}

#[test]
fn log_has_canonical_names() {
    let folder = folder();
    let file = parquet(folder.path(), "x.parquet", "SELECT 'j' AS \"jobId\", 1 AS n");
    let args = ["sql", &file, "SELECT job_id, n FROM log", "--column", "job_id=jobId", "--format", "csv"];
    assert_eq!(answer(folder.path(), &args), "job_id,n\nj,1\n");
}

#[test]
fn a_script_prints_each_result() {
    let folder = folder();
    let script = "CREATE TABLE mine AS SELECT 1 AS n; -- kept; in memory\nSELECT n FROM mine;\nSELECT ';' AS s;";
    fs::write(folder.path().join("s.sql"), script).expect("written");
    let args = ["sql", "demo", "--file", "s.sql"];
    assert_snapshot!("sql_a_script_prints_each_result", answer(folder.path(), &args));
    assert_eq!(answer(folder.path(), &[&args[..], &["--format", "csv"]].concat()), "n\n1\n\ns\n;\n");
    let results = json(folder.path(), &args, 0)["result"]["results"].clone();
    assert_eq!(results[0]["rows"][0]["n"], 1);
    assert_eq!(results[1]["rows"][0]["s"], ";");
}

#[test]
fn a_dash_reads_a_script_from_stdin() {
    let folder = folder();
    let output = piped(folder.path(), &["sql", "demo", "-", "--format", "csv"], "SELECT 1 AS n");
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("n\n1\n", Some(0)), "{}", transcript(&output));
}

#[test]
fn an_empty_table_can_be_queried() {
    let folder = folder();
    let file = parquet(folder.path(), "x.parquet", "SELECT 1 AS n WHERE false");
    assert_eq!(answer(folder.path(), &["sql", &file, "SELECT count(*) AS c FROM x", "--format", "csv"]), "c\n0\n");
}

#[test]
fn a_result_goes_to_a_file_whole_or_not_at_all() {
    let folder = folder();
    let out = folder.path().join("out.csv");
    let args = ["sql", "demo", "SELECT 1 AS n", "--format", "csv", "--output", "out.csv"];
    assert_eq!(answer(folder.path(), &args), "");
    assert_eq!(fs::read_to_string(&out).expect("written"), "n\n1\n");
    let failing = "SELECT CASE WHEN i = 150000 THEN error('late') ELSE 'x' END AS v FROM range(200000) AS t(i)";
    let error = refused(folder.path(), &["sql", "demo", failing, "--format", "csv", "--output", "out.csv"]);
    assert!(error.contains("late"), "{error}");
    assert_eq!(fs::read_to_string(&out).expect("kept"), "n\n1\n");
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(names, ["out.csv"]);
}

#[test]
fn parquet_keeps_types_and_values() {
    let folder = folder();
    let sql = "SELECT id, status, metadata, sources, created_at, is_root_job, sum(1) OVER () AS total, INTERVAL '1 month 2 days' AS span, \
               1.10::DECIMAL(5,2) AS amount FROM llama_logs ORDER BY id LIMIT 3";
    let output = rehearsal(folder.path(), &["sql", "demo", sql, "--parquet", "out.parquet"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""), "{}", transcript(&output));
    assert_eq!(stderr(&output), "3 rows written to out.parquet\n");
    let back = "SELECT * EXCLUDE span FROM out ORDER BY id";
    let read = answer(folder.path(), &["sql", "out.parquet", back, "--format", "csv"]);
    let direct =
        answer(folder.path(), &["sql", "demo", &format!("SELECT * EXCLUDE span FROM ({sql})"), "--format", "csv"]);
    assert_eq!(read, direct);
    let types = answer(folder.path(), &["sql", "out.parquet", "DESCRIBE out", "--format", "csv"]);
    let types: Vec<&str> = types.lines().skip(1).map(|l| l.split(",YES").next().unwrap_or_default()).collect();
    assert_snapshot!("sql_parquet_keeps_types_and_values", types.join("\n"));
}

/// Every statement by which DuckDB could write, load or reconfigure, and its disguises.
const FORBIDDEN: &[&str] = &[
    "COPY llama_logs TO 'FILE' (FORMAT csv, use_tmp_file false)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false)",
    "WITH a AS (COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false)) SELECT * FROM a",
    "/* */ WITH a AS MATERIALIZED (/**/cOpY(SELECT 1)tO'FILE'(FORMAT csv, use_tmp_file false)) FROM a",
    "PREPARE p AS COPY (SELECT 1) TO 'FILE'",
    "SELECT 1; COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false)",
    "SELECT $a\u{a0}b$; COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false); SELECT $a\u{a0}b$",
    "SELECT $\u{e9}$ ' $\u{e9}$ ; COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false) --'",
    "SELECT 1e5e'\\'; COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false) --'",
    "SELECT 1 --'\r \u{a0}e'\\'; COPY (SELECT 1) TO 'FILE' (FORMAT csv, use_tmp_file false) --'",
    "EXPORT DATABASE 'FOLDER'",
    "ATTACH 'FILE' AS other",
    "ATTACH 'FOLDER/new.db' AS other",
    "SET enable_external_access = true",
    "SET allowed_paths = ['/']",
    "RESET lock_configuration",
    "PRAGMA enable_profiling = 'json'",
    "CALL enable_logging(storage = 'file', storage_path = 'FOLDER')",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = 'FOLDER')",
    "INSTALL httpfs",
    "LOAD 'FOLDER/x.duckdb_extension'",
    "CREATE PERSISTENT SECRET s (TYPE http)",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "CREATE VIEW v AS SELECT * FROM read_csv('/etc/passwd')",
    "INSERT INTO llama_logs SELECT * FROM llama_logs",
    "DELETE FROM llama_logs",
];

#[test]
fn no_sql_changes_a_snapshot_or_leaves_it() {
    let folder = folder();
    let copy = demo_copy(folder.path());
    let state = || -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(&copy).expect("a folder").map(|e| e.expect("an entry").path());
        entries.map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
    };
    let before = state();
    let source = copy.display().to_string();
    for sql in FORBIDDEN {
        let sql = sql.replace("FILE", &format!("{source}/llama_logs.parquet")).replace("FOLDER", &source);
        let output = rehearsal(folder.path(), &["sql", &source, &sql]);
        assert_eq!(output.status.code(), Some(2), "{sql}\n{}", transcript(&output));
        assert!(state() == before, "changed by {sql}");
    }
}

#[test]
fn results_do_not_replace_snapshot_files() {
    let folder = folder();
    let source = demo_copy(folder.path()).display().to_string();
    let before = fs::read(format!("{source}/llama_logs.parquet")).expect("a file");
    for args in [
        vec!["--output", "demo-copy/llama_logs.parquet"],
        vec!["--parquet", "demo-copy/../demo-copy/manifest.json"],
        vec!["--parquet", "demo-copy/new.parquet"],
    ] {
        let error = refused(folder.path(), &[&["sql", &source, "SELECT 1 AS n"], &args[..]].concat());
        assert!(error.contains("belongs to the snapshot"), "{error}");
    }
    answer(folder.path(), &["sql", &source, "SELECT 1 AS n", "--output", "beside.txt"]);
    let output = piped(folder.path(), &["sql", &source], ".output demo-copy/llama_logs.parquet\nSELECT 1;\n");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read(format!("{source}/llama_logs.parquet")).expect("a file"), before);
}

#[test]
fn a_file_named_on_the_command_line_can_be_read() {
    let folder = folder();
    fs::write(folder.path().join("albums.csv"), "id\n7\n").expect("written");
    let args = ["sql", "demo", "SELECT * FROM 'albums.csv'", "--format", "csv"];
    assert_eq!(answer(folder.path(), &[&args[..], &["--read", "albums.csv"]].concat()), "id\n7\n");
    assert_eq!(answer(folder.path(), &[&args[..], &["--read", "."]].concat()), "id\n7\n");
    let error = refused(folder.path(), &args);
    assert!(error.contains("--read"), "{error}");
    let sql = "COPY (SELECT 1) TO 'albums.csv'";
    refused(folder.path(), &["sql", "demo", sql, "--read", "albums.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("albums.csv")).expect("kept"), "id\n7\n");
}

#[test]
fn errors_point_at_the_place() {
    let folder = folder();
    let mut all = String::new();
    for sql in [
        "SELECT * FORM llama_logs",
        "CREATE TABLE t AS SELECT 1;\n\nSELECT id,\n  statsu\nFROM llama_logs",
        "SELECT * FROM lama_logs",
        "SELECT * FROM timeline",
        "SELECT lenght(operation) FROM log",
        "SELECT CAST(operation AS INTEGER) FROM log",
        "SELECT 'open",
        "SELECT * FROM log WHERE id = $id",
        "SELECT '10:00:00+02'::TIMETZ AS t",
        "COPY log TO 'x.csv'",
        "SET threads = 1",
        "SELECT * FROM read_csv('x.csv')",
        " ; -- nothing",
    ] {
        all += &refused(folder.path(), &["sql", "demo", sql]);
        all += "\n";
    }
    assert_snapshot!("sql_errors_point_at_the_place", all);
}

#[test]
fn other_errors_name_the_way_out() {
    let folder = folder();
    fs::write(folder.path().join("latin1.sql"), b"SELECT '\xe9'").expect("written");
    let file = parquet(folder.path(), "x.parquet", "SELECT 1 AS id, 'a' AS operaton");
    let mut all = String::new();
    for args in [
        vec!["demo", "--named", "timelime"],
        vec!["demo", "--named", "timeline"],
        vec!["demo", "--named", "timeline", "--param", "entity=7"],
        vec!["demo", "--named", "busiest-jobs", "--param", "limit=-1"],
        vec!["demo", "--named", "retries", "--param", "limit=1"],
        vec![&file, "--named", "retries"],
        vec!["demo", "SELECT 1; SELECT 2", "--parquet", "p.parquet"],
        vec!["demo", "--file", "missing.sql"],
        vec!["demo", "--file", "latin1.sql"],
        vec!["demo", "SELECT 1", "--read", "missing.csv"],
        vec!["demo", "SELECT 1", "--table", "lama_logs"],
        vec!["demo", "SELECT 1", "--column", "job_id=jobid"],
        vec!["demo", "--output", "x.csv"],
    ] {
        all += &refused(folder.path(), &[&["sql"], &args[..]].concat());
        all += "\n";
    }
    assert_snapshot!("sql_other_errors_name_the_way_out", all);
}

/// Arguments that make a question run on this source.
fn arguments(folder: &Path, source: &str, name: &str) -> Vec<String> {
    if name != "timeline" {
        return vec![];
    }
    let pick = "SELECT min(entity_id::VARCHAR) AS id FROM log";
    let entity = answer(folder, &["sql", source, pick, "--format", "csv"]);
    vec!["--param".to_owned(), format!("entity={}", entity.lines().nth(1).expect("an entity"))]
}

/// The answer to a named question as CSV.
fn ask(folder: &Path, source: &str, name: &str, more: &[&str]) -> String {
    let params = arguments(folder, source, name);
    let mut args = vec!["sql", source, "--named", name, "--format", "csv"];
    args.extend(params.iter().map(String::as_str));
    args.extend(more);
    answer(folder, &args)
}

#[test]
fn every_question_returns_what_its_header_declares() {
    let folder = folder();
    for source in ["demo".to_owned(), fixture("hostile")] {
        for question in questions::all() {
            let text = ask(folder.path(), &source, question.name, &[]);
            assert_eq!(text.lines().next().unwrap_or_default(), question.returns.join(","), "{}", question.name);
        }
    }
}

#[test]
fn the_order_of_every_question_is_total() {
    let folder = folder();
    for source in ["demo".to_owned(), fixture("hostile")] {
        for question in questions::all() {
            let one = ask(folder.path(), &source, question.name, &["--threads", "1"]);
            let many = ask(folder.path(), &source, question.name, &["--threads", "4"]);
            assert!(one == many, "{} on {source}", question.name);
        }
    }
}

#[test]
fn every_question_finds_something_in_the_demo() {
    let folder = folder();
    // The demo's log is sound in these respects.
    let nothing_to_find = ["created-twice"];
    for question in questions::all() {
        let rows = ask(folder.path(), "demo", question.name, &[]).lines().count() - 1;
        assert_eq!(rows == 0, nothing_to_find.contains(&question.name), "{}: {rows} rows", question.name);
    }
}

/// One album, created, enriched, with a track of its own: nothing is wrong with it.
fn clean_archive(folder: &Path) -> String {
    let id = |n: u32| format!("'00000000-0000-4000-8000-{n:012}'::UUID");
    let row = |n: u32, kind: &str, entity: u32, operation: &str, job: &str, parent: &str| {
        let parent = if parent.is_empty() { "NULL".to_owned() } else { format!("'{parent}'") };
        format!(
            "SELECT {} AS id, '{kind}' AS entity_type, {} AS entity_id, {} AS album_id, '{operation}' AS operation, 'SUCCESS' AS status, \
             NULL::VARCHAR AS error_code, NULL::VARCHAR AS error_message, 0 AS retry_count, '{job}' AS job_id, {parent} AS parent_job_id, \
             TIMESTAMP '2026-01-01 00:00:00' + INTERVAL {n} SECOND AS created_at",
            id(n),
            id(entity),
            id(100)
        )
    };
    let rows = [
        row(1, "ALBUM", 100, "album:created:search", "a", ""),
        row(2, "ALBUM", 100, "enrichment:album", "b", "a"),
        row(3, "TRACK", 200, "track:created:enrichment", "c", "b"),
        row(4, "TRACK", 200, "enrichment:track", "d", "c"),
    ];
    parquet(folder, "clean.parquet", &rows.join(" UNION ALL "))
}

#[test]
fn problem_questions_find_nothing_in_a_clean_archive() {
    let folder = folder();
    let clean = clean_archive(folder.path());
    for name in [
        "albums-without-track-logs",
        "created-twice",
        "failures-by-error-code",
        "linked-never-created",
        "never-enriched",
        "retries",
        "still-failing",
    ] {
        let document = json(folder.path(), &["sql", &clean, "--named", name], 0);
        assert_eq!(document["result"]["row_count"], 0, "{name}: {document}");
    }
}

#[test]
fn a_timeline_is_a_tree() {
    let folder = folder();
    let clean = clean_archive(folder.path());
    let args = ["sql", &clean, "--named", "timeline", "--param", "entity=00000000-0000-4000-8000-000000000100"];
    assert_snapshot!("sql_a_timeline_is_a_tree", answer(folder.path(), &args));
}

#[test]
fn a_timeline_of_the_demo() {
    let folder = folder();
    let pick = "SELECT c.album_id FROM log AS c WHERE c.parent_job_id IS NOT NULL GROUP BY ALL ORDER BY count(*) DESC, c.album_id LIMIT 1";
    let album = answer(folder.path(), &["sql", "demo", pick, "--format", "csv"]);
    let entity = format!("entity={}", album.lines().nth(1).expect("an album"));
    assert_snapshot!(
        "sql_a_timeline_of_the_demo",
        answer(folder.path(), &["sql", "demo", "--named", "timeline", "--param", &entity])
    );
}

/// Where the backfill has been done, the stored roots give the same timeline as walking the chains.
#[test]
fn stored_and_walked_roots_agree_on_sound_chains() {
    let folder = folder();
    let demo = fixture("demo/llama_logs.parquet");
    let stored = parquet(
        folder.path(),
        "stored.parquet",
        &format!(
            "WITH RECURSIVE d AS (SELECT * FROM '{demo}'), \
             down(job, root) AS (SELECT job_id, job_id FROM d WHERE job_id IS NOT NULL AND parent_job_id IS NULL \
             UNION SELECT d.job_id, down.root FROM d JOIN down ON d.parent_job_id = down.job) \
             SELECT d.*, down.root AS root_job_id FROM d LEFT JOIN down ON down.job = d.job_id"
        ),
    );
    let albums = "SELECT DISTINCT album_id FROM log WHERE parent_job_id IS NOT NULL ORDER BY 1 LIMIT 5";
    for album in answer(folder.path(), &["sql", "demo", albums, "--format", "csv"]).lines().skip(1) {
        let entity = format!("entity={album}");
        let ask = |source: &str| {
            answer(folder.path(), &["sql", source, "--named", "timeline", "--param", &entity, "--format", "csv"])
        };
        let (walked, read) = (ask("demo"), ask(&stored));
        assert!(walked.lines().count() > 2, "{walked}");
        assert_eq!(walked, read);
    }
}

/// Every row that the walk finds is shown exactly once, whatever the chains look like.
#[test]
fn hostile_chains_end_and_lose_no_row() {
    let folder = folder();
    let hostile = fixture("hostile");
    let entities = "SELECT DISTINCT entity_id FROM log WHERE entity_id IS NOT NULL ORDER BY 1";
    for entity in answer(folder.path(), &["sql", &hostile, entities, "--format", "csv"]).lines().skip(1) {
        let entity = format!("entity={entity}");
        let args = ["sql", &hostile, "--named", "timeline", "--param", &entity];
        let rows = json(folder.path(), &args, 0)["result"]["rows"].as_array().expect("rows").clone();
        let mut ids: Vec<&str> = rows.iter().filter_map(|r| r["id"].as_str()).collect();
        let shown = answer(folder.path(), &args).lines().skip(4).count();
        assert_eq!(shown, ids.len(), "{entity}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(shown, ids.len(), "{entity}");
    }
}

#[test]
fn an_unknown_entity_is_told_apart_from_an_empty_history() {
    let folder = folder();
    let args = ["sql", "demo", "--named", "timeline", "--param", "entity=00000000-0000-4000-8000-000000000000"];
    assert_snapshot!("sql_an_unknown_entity_is_told_apart_from_an_empty_history", answer(folder.path(), &args));
}

#[test]
fn the_list_and_the_sql_of_questions_need_no_snapshot() {
    let folder = folder();
    let list = answer(folder.path(), &["sql", "--list"]);
    assert!(list.contains("timeline") && list.contains("limit=20"), "{list}");
    let listed = json(folder.path(), &["sql", "--list"], 0);
    assert_eq!(listed["result"]["questions"].as_array().expect("a list").len(), questions::all().len());
    let sql = answer(folder.path(), &["sql", "--named", "retries", "--explain"]);
    assert!(sql.starts_with("-- Which operations are tried again") && sql.contains("FROM log"), "{sql}");
}

#[test]
fn the_shell_reads_a_pipe() {
    let folder = folder();
    let input = "SELECT count(*) AS n\nFROM llama_logs;\n.format csv\nSELECT 1 AS a; SELECT 2 AS b;\n.named busiest-jobs limit=1\n\
                 .timer off\n.tables\n.schema x\n";
    fs::write(folder.path().join("in.sql"), input).expect("written");
    let output = piped(folder.path(), &["sql", "demo"], input);
    assert_snapshot!("sql_the_shell_reads_a_pipe", transcript(&output));
}

#[test]
fn a_pipe_ends_at_the_first_error_and_names_its_line() {
    let folder = folder();
    let output = piped(folder.path(), &["sql", "demo"], "SELECT 1 AS n;\n\nSELECT\n  nothing;\nSELECT 3;\n");
    assert_snapshot!("sql_a_pipe_ends_at_the_first_error_and_names_its_line", transcript(&output));
    let output = piped(folder.path(), &["sql", "demo"], ".tabels\n");
    assert_eq!(stderr(&output), "error: .tabels isn't a command\nhint: did you mean .tables?\n");
}

#[test]
fn the_shell_writes_to_a_file_on_request() {
    let folder = folder();
    let input =
        ".format csv\n.output out.csv\nSELECT 1 AS n;\nSELECT 2 AS n;\n.output\nSELECT 3 AS n;\n.quit\nSELECT 4;\n";
    let output = piped(folder.path(), &["sql", "demo"], input);
    assert_eq!(stdout(&output), "n\n3\n", "{}", transcript(&output));
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).expect("written"), "n\n1\nn\n2\n");
}

#[test]
fn the_last_statement_of_a_pipe_needs_no_semicolon() {
    let output = piped(folder().path(), &["sql", "demo", "--format", "csv"], "SELECT 1 AS n");
    assert_eq!(stdout(&output), "n\n1\n");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_query() {
    let folder = folder();
    let sql = "SELECT count(*) FROM range(1000000) AS a(i), range(1000000) AS b(j) WHERE (i * j) % 7 = 3";
    let child = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["sql", "demo", sql])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    std::thread::sleep(Duration::from_millis(1500));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{}", transcript(&output));
    assert!(stderr(&output).starts_with("error: interrupted"), "{}", transcript(&output));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The lexer splits scripts where DuckDB does: each piece is one valid statement with the value it was made of.
    #[test]
    fn scripts_are_split_where_the_engine_splits_them(
        pieces in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec![
                    "'a;b'", "'it''s;'", "E'\\';'", "$$;'$$", "$t$ $$;$t$", "1e5", "1.5e-3", "2--;\n", "3/*;/*;*/*/",
                    "\"q;\"\"\"", "`q;`", "x'41'", "4::INT", "5 - -6", "7 ->> '$'", "b''", "1_000", ".5", "'\\'",
                ]),
                1..5,
            ),
            1..5,
        )
    ) {
        let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
        connection.execute_batch("CREATE TABLE t AS SELECT 0 AS \"q;\"\"\", 0 AS \"q;\"").expect("a table");
        let valid: Vec<String> = pieces
            .iter()
            .map(|values| format!("SELECT {} FROM t", values.join(", ")))
            .filter(|sql| connection.prepare(sql).is_ok())
            .collect();
        let script = valid.join(";");
        let found = lexer::statements(&script);
        prop_assert_eq!(found.len(), valid.len());
        for (statement, sql) in found.iter().zip(&valid) {
            prop_assert_eq!(statement.text, sql.as_str());
        }
    }
}
