//! The storage model against a real server: the same rows, loaded there, must take about the bytes that `growth` says.

use std::path::Path;

use postgres::Client;
use serde_json::{Value, json};

use crate::{fixtures, server};

/// The demo's rows `COPIES` times, each copy with entities, jobs and months of its own. Written so that PostgreSQL and DuckDB
/// read it alike and give the same values.
const COPIES: i32 = 12;

fn copies_sql(source: &str, copy: &str, id: &str) -> String {
    let fresh = |column: &str| format!("CAST(md5(CAST({column} AS {id}) || {copy}) AS uuid) AS {column}");
    let job = |column: &str| {
        format!("substr({column}, 1, length({column}) - 8) || substr(md5({column} || {copy}), 1, 8) AS {column}")
    };
    format!(
        "SELECT {}, entity_type, {}, operation, sources, status, fields_enriched, data_quality_before, data_quality_after, \
         error_message, error_code, retry_count, duration_ms, api_call_count, metadata, triggered_by, {}, {}, {}, {}, \
         created_at + {copy} * INTERVAL '160 days' AS created_at, user_id, reason, preview_data, {}, is_root_job \
         FROM {source} ORDER BY {copy}, created_at, id",
        fresh("id"),
        fresh("entity_id"),
        fresh("artist_id"),
        fresh("album_id"),
        fresh("track_id"),
        job("job_id"),
        job("parent_job_id"),
    )
}

/// A snapshot without sizes, so that `growth` has to model them.
fn snapshot(folder: &Path) {
    let demo = fixtures::folder("demo");
    let parquet = folder.join("llama_logs.parquet");
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    let source = format!("'{}', range({COPIES}) AS c(copy)", demo.join("llama_logs.parquet").display());
    let rows = copies_sql(&source, "copy", "VARCHAR");
    connection.execute_batch(&format!("COPY ({rows}) TO '{}'", parquet.display())).expect(&rows);
    let text = std::fs::read_to_string(demo.join("manifest.json")).expect("the demo's manifest");
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    let (sha256, size_bytes) = rehearsal::snapshot::writer::hash_file(&parquet).expect("a hash");
    let table = &mut manifest["tables"][0];
    let rows = table["rows"].as_i64().expect("rows") * i64::from(COPIES);
    table["rows"] = json!(rows);
    table["sizes"] = Value::Null;
    table["files"] = json!([{"path": "llama_logs.parquet", "rows": rows, "size_bytes": size_bytes, "sha256": sha256}]);
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).expect("a manifest");
}

fn on_server(client: &mut Client) -> (f64, f64, f64) {
    fixtures::load(client, "demo");
    let source = format!("demo, generate_series(0, {}) AS c(copy)", COPIES - 1);
    let rows = copies_sql(&source, "copy", "text");
    let load = format!(
        "ALTER TABLE llama_logs RENAME TO demo; CREATE TABLE llama_logs (LIKE demo INCLUDING ALL); INSERT INTO llama_logs {rows}"
    );
    client.batch_execute(&load).expect(&load);
    let row = client
        .query_one(
            "SELECT pg_relation_size('llama_logs'), pg_indexes_size('llama_logs'), pg_total_relation_size('llama_logs')",
            &[],
        )
        .expect("the sizes");
    let bytes = |i: usize| row.get::<_, i64>(i) as f64;
    (bytes(0), bytes(1), bytes(2))
}

#[test]
fn modelled_sizes_are_near_those_of_a_fresh_load() {
    let database = server::database();
    let mut client = database.client();
    let (heap, index, total) = on_server(&mut client);
    let folder = tempfile::tempdir().expect("a folder");
    snapshot(folder.path());
    let report = fixtures::json(folder.path(), &["growth", "."], 0);
    let result = &report["result"];
    assert_eq!((&result["basis"], &result["index_basis"]), (&json!("modelled"), &json!("modelled")));
    let rows = result["rows"].as_f64().expect("rows");
    let part = |name: &str| result["bytes_per_row_parts"][name].as_f64().expect(name) * rows;
    let error = |predicted: f64, measured: f64| predicted / measured - 1.0;
    let errors =
        [error(part("heap"), heap), error(part("index"), index), error(result["size_bytes"].as_f64().unwrap(), total)];
    assert!(errors[0].abs() < 0.01 && errors[1].abs() < 0.03 && errors[2].abs() < 0.02, "{errors:?}");
}
