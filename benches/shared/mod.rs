//! What the benchmarks share: the binary, a loaded server, and what a process has used.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

#[path = "../../tests/postgres/server.rs"]
pub mod server;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary with these arguments.
pub fn rehearsal(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.args(arguments);
    command
}

/// Loads the snapshot's rows into the demo's table, which gets its key and these indexes; returns how many.
pub fn load(database: &server::Database, snapshot: &Path, indexes: &[&str]) -> Result<i64> {
    let schema = std::fs::read_to_string(root().join("fixtures/demo/schema.sql"))?;
    let table: Vec<&str> = schema.split(';').filter(|s| !s.contains("CREATE INDEX")).collect();
    let mut client = database.client();
    client.batch_execute(&table.join(";"))?;
    let csv = snapshot.with_extension("csv");
    let connection = duckdb::Connection::open_in_memory()?;
    let file = snapshot.join("llama_logs.parquet");
    let list = |name: &str| {
        format!(
            "CASE WHEN {name} IS NOT NULL THEN '{{' || array_to_string(list_transform({name}, lambda x: '\"' || x || '\"'), ',') || '}}' END AS {name}"
        )
    };
    connection.execute_batch(&format!(
        "SET autoinstall_known_extensions = false; \
         COPY (SELECT * REPLACE ({}, {}) FROM read_parquet('{}')) TO '{}' (FORMAT csv, HEADER)",
        list("sources"),
        list("fields_enriched"),
        file.display(),
        csv.display()
    ))?;
    let mut copy = client.copy_in("COPY llama_logs FROM STDIN (FORMAT csv, HEADER)")?;
    std::io::copy(&mut std::fs::File::open(&csv)?, &mut copy)?;
    copy.flush()?;
    copy.finish()?;
    for index in indexes {
        client.batch_execute(index)?;
    }
    client.batch_execute("VACUUM ANALYZE llama_logs")?;
    client.batch_execute("CHECKPOINT")?;
    Ok(client.query_one("SELECT count(*) FROM llama_logs", &[])?.get(0))
}

/// The most memory a living process has held, as the kernel counts it.
pub fn peak_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
