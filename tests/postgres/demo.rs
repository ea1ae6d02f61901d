//! The fixtures' texts are the server's own: what they say of types, keys, indexes, sizes and rows is what PostgreSQL says.

use std::io::Read;

use postgres::{Client, NoTls};
use rehearsal::snapshot::manifest::Manifest;

use crate::fixtures::{folder, json, load};
use crate::server::database;

fn manifest(name: &str) -> Manifest {
    let path = folder(name).join("manifest.json");
    Manifest::parse(&std::fs::read_to_string(&path).expect("a manifest"), &path).expect("a manifest")
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_server_writes_the_fixtures_rows_as_they_are_committed() {
    for name in ["demo", "hostile"] {
        let database = database();
        let mut client = Client::connect(&database.url, NoTls).expect("a connection");
        load(&mut client, name);
        let mut written = String::new();
        let mut copy = client.copy_out("COPY llama_logs TO STDOUT (FORMAT csv, HEADER)").expect("COPY");
        copy.read_to_string(&mut written).expect("rows");
        let committed = std::fs::read_to_string(folder(name).join("llama_logs.csv")).expect("rows");
        // The server may have put a row into an earlier page's gap.
        assert!(sorted_lines(&written) == sorted_lines(&committed), "{name}");
    }
}

#[test]
fn an_export_of_the_demo_has_the_demos_manifest() {
    let database = database();
    let mut client = Client::connect(&database.url, NoTls).expect("a connection");
    load(&mut client, "demo");
    let scratch = tempfile::tempdir().expect("a folder");
    let args = ["export", "--url", &database.url, "--table", "llama_logs", "--out", "snap"];
    json(scratch.path(), &args, 0);
    let path = scratch.path().join("snap/manifest.json");
    let exported = Manifest::parse(&std::fs::read_to_string(&path).expect("a manifest"), &path).expect("a manifest");
    let demo = manifest("demo");
    assert_eq!(exported.enums, demo.enums);
    let (exported, demo) = (&exported.tables[0], &demo.tables[0]);
    assert_eq!((&exported.schema, &exported.name, exported.rows), (&demo.schema, &demo.name, demo.rows));
    assert_eq!(exported.columns, demo.columns);
    assert_eq!(exported.constraints, demo.constraints);
    let (measured, told) = (exported.sizes.expect("sizes"), demo.sizes.expect("sizes"));
    check_size("heap", measured.heap_bytes, told.heap_bytes);
    if database.version() < 130_000 {
        // Indexes are larger there: equal keys aren't kept once.
        return;
    }
    check_size("indexes", measured.index_bytes, told.index_bytes);
    check_size("all", measured.total_bytes, told.total_bytes);
    assert_eq!(exported.indexes.len(), demo.indexes.len());
    for (exported, demo) in exported.indexes.iter().zip(&demo.indexes) {
        assert_eq!((&exported.name, &exported.definition), (&demo.name, &demo.definition));
        check_size(&demo.name, exported.size_bytes.expect("a size"), demo.size_bytes.expect("a size"));
    }
}

/// Within a page or a tenth: another version of the server fills pages a little differently.
fn check_size(what: &str, measured: u64, told: u64) {
    let tolerance = (told / 10).max(8_192);
    assert!(measured.abs_diff(told) <= tolerance, "{what}: {measured} bytes measured, the manifest says {told}");
}
