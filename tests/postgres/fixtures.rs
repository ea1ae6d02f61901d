//! Loading the repository's fixtures into a real server, and reading what the binary wrote.

use std::io::Write;
use std::path::{Path, PathBuf};

use postgres::Client;

pub use crate::support::{json, rehearsal};

/// A fixture's folder.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Creates the fixture's schema and loads its rows.
pub fn load(client: &mut Client, name: &str) {
    let schema = std::fs::read_to_string(folder(name).join("schema.sql")).expect("the schema");
    client.batch_execute(&schema).expect("the schema is PostgreSQL's");
    let rows = std::fs::read(folder(name).join("llama_logs.csv")).expect("the rows");
    let mut copy = client.copy_in("COPY llama_logs FROM STDIN (FORMAT csv, HEADER)").expect("COPY");
    copy.write_all(&rows).expect("COPY takes the rows");
    copy.finish().expect("the rows fit the schema");
}

/// A Parquet file's rows as text, by the columns given, ordered by the first.
pub fn rows(path: &Path, columns: &[&str]) -> Vec<Vec<Option<String>>> {
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    let list: Vec<String> = columns.iter().map(|c| format!("{c}::VARCHAR")).collect();
    let sql = format!("SELECT {} FROM '{}' ORDER BY {}::VARCHAR", list.join(", "), path.display(), columns[0]);
    let mut statement = connection.prepare(&sql).expect(&sql);
    let mut rows = statement.query([]).expect(&sql);
    let mut all = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        all.push((0..columns.len()).map(|i| row.get(i).expect("text")).collect());
    }
    all
}
