//! The committed snapshots that migrations run on are what an export of their rows gives. `REHEARSAL_BLESS=1` rewrites them.
//!
//! The rows come from CSV files (`leads`) or from the demo (`before-rename`); only the server's name, its clock and the sizes
//! on its disk are taken out of the manifest, because they would change with every export.

use std::collections::BTreeMap;
use std::path::Path;

use rehearsal::snapshot::manifest::{Manifest, Source};

use crate::fixtures::{self, rehearsal};
use crate::{cases, server};

fn settle(base: &str, tables: &[&str], captured_at: &str, description: &str) {
    let database = server::database();
    cases::load(&mut database.client(), base);
    let scratch = tempfile::tempdir().expect("a folder");
    let mut args = vec!["export", "--url", &database.url, "--out", "snap"];
    let quoted: Vec<String> = tables.iter().map(|t| format!("\"{t}\"")).collect();
    for table in &quoted {
        args.extend(["--table", table]);
    }
    let output = rehearsal(scratch.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let exported = scratch.path().join("snap");
    let mut manifest = manifest(&exported);
    manifest.source = Source::Synthetic { description: description.to_owned() };
    manifest.captured_at = captured_at.to_owned();
    for table in &mut manifest.tables {
        table.sizes = None;
        table.indexes.iter_mut().for_each(|index| index.size_bytes = None);
    }
    let folder = fixtures::folder(base);
    if std::env::var_os("REHEARSAL_BLESS").is_some() {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("manifest.json"), manifest.to_json().expect("JSON")).expect("a manifest");
        for file in manifest.tables.iter().flat_map(|t| &t.files) {
            std::fs::copy(exported.join(&file.path), folder.join(&file.path)).expect("a copy");
        }
    }
    let committed = self::manifest(&folder);
    let files = |manifest: &Manifest| -> BTreeMap<String, Vec<Vec<Option<String>>>> {
        let root = if std::ptr::eq(manifest, &committed) { &folder } else { &exported };
        let read = |table: &rehearsal::snapshot::manifest::Table| {
            let columns: Vec<String> = table.columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            (table.name.clone(), fixtures::rows(&root.join(&table.files[0].path), &columns))
        };
        manifest.tables.iter().map(read).collect()
    };
    assert!(files(&committed) == files(&manifest), "fixtures/{base}: the rows aren't those of an export");
    // What names bytes: a newer Parquet writer may give others for the same rows.
    let plain = |manifest: &Manifest| {
        let mut manifest = manifest.clone();
        manifest.id.clear();
        manifest.tool_version.clear();
        for table in &mut manifest.tables {
            // Certificates have tests of their own, and how a table lies on a disk is the server's affair.
            (table.content, table.physical) = (None, None);
        }
        for file in manifest.tables.iter_mut().flat_map(|t| &mut t.files) {
            file.sha256.clear();
            file.size_bytes = 0;
        }
        manifest
    };
    assert_eq!(plain(&committed), plain(&manifest), "fixtures/{base}/manifest.json: run with REHEARSAL_BLESS=1");
}

fn manifest(folder: &Path) -> Manifest {
    let path = folder.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; bless the fixtures", path.display()));
    Manifest::parse(&text, &path).expect("a manifest")
}

#[test]
fn leads() {
    let tables = cases::lead_tables();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    settle(
        "leads",
        &tables,
        "2025-11-10T09:00:00.000Z",
        "300 made-up leads of a junk-removal business with what belongs to them; fixtures/leads/customers.csv labels each",
    );
}

#[test]
fn before_rename() {
    settle(
        "before-rename",
        &["enrichment_logs"],
        "2026-02-09T18:04:11.524Z",
        "the demo's rows under the names from before the rename: table enrichment_logs and its indexes",
    );
}
