//! The tables of types, casts, operators and functions that the translation resolves names with, beside the server's own.

use crate::server;

const TABLES: [(&str, &str, &str); 4] = [
    ("types", include_str!("../../src/catalog/pg/types.sql"), include_str!("../../src/catalog/pg/types.tsv")),
    ("casts", include_str!("../../src/catalog/pg/casts.sql"), include_str!("../../src/catalog/pg/casts.tsv")),
    (
        "operators",
        include_str!("../../src/catalog/pg/operators.sql"),
        include_str!("../../src/catalog/pg/operators.tsv"),
    ),
    (
        "functions",
        include_str!("../../src/catalog/pg/functions.sql"),
        include_str!("../../src/catalog/pg/functions.tsv"),
    ),
];

/// The version that the tables are of.
const VERSION: &str = "15";

#[test]
fn the_tables_are_the_servers() {
    let database = server::database();
    let mut client = database.client();
    let version: String = client.query_one("SHOW server_version", &[]).expect("a version").get(0);
    if version.split('.').next() != Some(VERSION) {
        return;
    }
    for (name, sql, table) in TABLES {
        let rows = client.query(sql, &[]).expect(name);
        let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let listed: Vec<&str> = table.lines().collect();
        let missing: Vec<&String> = lines.iter().filter(|line| !listed.contains(&line.as_str())).collect();
        let unknown: Vec<&&str> = listed.iter().filter(|line| !lines.iter().any(|own| own == *line)).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{name}: missing {missing:?}, unknown {unknown:?}");
    }
}
