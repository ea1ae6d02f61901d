//! The committed fixtures are what their builders give now, and hold what they promise. `REHEARSAL_BLESS=1` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rehearsal::generate::batch::{self, BatchBuilder};
use rehearsal::generate::shape::{self, Row, Status};
use rehearsal::generate::{csv, demo};
use rehearsal::snapshot::manifest::{DataFile, Manifest};
use rehearsal::snapshot::writer::{SnapshotWriter, hash_file};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// All rows in one batch.
fn batch_of(rows: &[Row]) -> RecordBatch {
    let mut builder = BatchBuilder::new(rows.len()).expect("a builder");
    for row in rows {
        builder.push(row).expect("a row");
    }
    builder.finish().expect("a batch")
}

fn parquet_rows(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}; bless the fixtures", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(1 << 20);
    let batches: Vec<RecordBatch> = reader.build().expect("a reader").map(|b| b.expect("a batch")).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("one schema")
}

/// Writes or compares one fixture: Parquet by content, the rest by bytes; of the manifest everything that isn't a hash of the file.
fn settle(name: &str, rows: &[Row], manifest: impl Fn(DataFile) -> Manifest) {
    let folder = folder(name);
    let texts = [("llama_logs.csv", csv::write(rows)), ("schema.sql", shape::ddl())];
    if std::env::var_os("REHEARSAL_BLESS").is_some() {
        let scratch = tempfile::tempdir().expect("a folder");
        let writer = SnapshotWriter::create(&scratch.path().join("snapshot")).expect("a writer");
        let types = batch::types().expect("types");
        let mut table = writer.table_file("llama_logs.parquet", &shape::columns(), &types).expect("a file");
        table.write(&batch_of(rows)).expect("rows");
        writer.publish(manifest(table.finish().expect("a file"))).expect("a snapshot");
        for file in ["manifest.json", "llama_logs.parquet"] {
            fs::copy(scratch.path().join("snapshot").join(file), folder.join(file)).expect("a copy");
        }
        for (file, text) in &texts {
            fs::write(folder.join(file), text).expect("a text");
        }
    }
    for (file, text) in texts {
        let committed = fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(committed == text, "fixtures/{name}/{file} isn't what the builder gives: run with REHEARSAL_BLESS=1");
    }
    let stored = parquet_rows(&folder.join("llama_logs.parquet"));
    assert!(stored == batch_of(rows), "fixtures/{name}/llama_logs.parquet isn't what the builder gives");

    let path = folder.join("manifest.json");
    let committed = Manifest::parse(&fs::read_to_string(&path).expect("a manifest"), &path).expect("a manifest");
    let file = committed.tables[0].files[0].clone();
    let (sha256, size_bytes) = hash_file(&folder.join(&file.path)).expect("a hash");
    assert_eq!((&file.sha256, file.size_bytes, file.rows), (&sha256, size_bytes, rows.len() as u64));
    let mut expected = manifest(file);
    expected.tool_version.clone_from(&committed.tool_version);
    assert_eq!(committed, expected, "fixtures/{name}/manifest.json");
}

#[test]
fn the_demo_is_what_its_builder_gives() {
    let rows = demo::rows();
    settle("demo", &rows, |file| demo::manifest(&rows, file).expect("a manifest"));
}

/// The backfill of the first migration, as it was applied: later UPDATEs overwrite, the last two fill only what is NULL.
fn backfilled_category(row: &Row) -> &'static str {
    let operation = row.operation.as_ref();
    let enriched = ["enrichment:", "check:", "musicbrainz:", "spotify:", "discogs:"];
    let mut category = None;
    if operation.starts_with("cache:") {
        category = Some("CACHED");
    }
    if operation == "admin_correction" {
        category = Some("CORRECTED");
    }
    if enriched.iter().any(|prefix| operation.starts_with(prefix)) || operation == "PREVIEW_ENRICHMENT" {
        category = Some("ENRICHED");
    }
    if category.is_none() && row.status == Status::Failed {
        category = Some("FAILED");
    }
    category.unwrap_or("CREATED")
}

fn tally<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[test]
fn the_demo_has_the_published_categories() {
    let rows = demo::rows();
    let categories = tally(rows.iter().map(backfilled_category));
    let expected = [("CACHED", 1), ("CORRECTED", 15), ("CREATED", 266), ("ENRICHED", 3_770)];
    assert_eq!(categories, BTreeMap::from(expected));
    let failed = tally(rows.iter().filter(|r| r.status == Status::Failed).map(backfilled_category));
    assert_eq!(failed.keys().collect::<Vec<_>>(), [&"ENRICHED"], "failures are shadowed by ENRICHED alone");
    assert!((200..=300).contains(&failed["ENRICHED"]), "{failed:?}");
}

#[test]
fn the_demo_has_the_published_job_structure() {
    let rows = demo::rows();
    assert_eq!(rows.len(), 4_052);
    let structure = tally(rows.iter().map(|r| (r.is_root_job, r.parent_job_id.is_some(), r.job_id.is_some())));
    let expected = [
        ((true, false, true), 1_537),
        ((false, true, true), 30),
        ((false, false, true), 2_443),
        ((false, false, false), 42),
    ];
    assert_eq!(structure, BTreeMap::from(expected));
    assert!(rows[..42].iter().all(|row| row.job_id.is_none()), "the rows without a job are the oldest");
}

#[test]
fn every_parent_in_the_demo_leads_to_one_root() {
    let rows = demo::rows();
    let mut parents: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for row in &rows {
        if let Some(job) = row.job_id.as_deref() {
            parents.entry(job).or_default().insert(row.parent_job_id.as_deref());
        }
    }
    assert!(parents.values().all(|of_job| of_job.len() == 1), "a job has one parent or none");
    let depth = |row: &Row| {
        let mut depth = 0;
        let mut parent = row.parent_job_id.as_deref();
        while let Some(job) = parent {
            depth += 1;
            assert!(depth <= 3, "a chain of the demo is too long");
            parent = parents[job].first().copied().flatten();
        }
        depth
    };
    let depths = tally(rows.iter().filter(|r| r.parent_job_id.is_some()).map(depth));
    assert_eq!(depths, BTreeMap::from([(1, 18), (2, 9), (3, 3)]));
}

#[test]
fn the_demo_looks_like_a_log() {
    let rows = demo::rows();
    assert_eq!(rows.iter().map(|r| r.id).collect::<BTreeSet<_>>().len(), rows.len(), "ids are unique");
    assert!(rows.is_sorted_by_key(|r| r.created_at_us));
    assert!(rows.iter().all(|r| r.created_at_us % 1_000 == 0), "timestamp(3)");
    assert!(rows.iter().any(|r| r.created_at_us % 10_000 != 0));
    assert!(rows.iter().any(|r| r.sources.is_none()));
    assert!(rows.iter().any(|r| r.sources.is_some_and(<[_]>::is_empty)));
    assert!(rows.iter().any(|r| r.sources.is_some_and(|s| s.contains(&None))));
    assert!(rows.iter().any(|r| r.preview_data.is_some()));
    assert!(rows.iter().any(|r| r.metadata.as_ref().is_some_and(|m| !m.is_ascii())));
    for row in &rows {
        assert_eq!(row.status == Status::Failed, row.error_code.is_some(), "{row:?}");
        for text in [&row.job_id, &row.parent_job_id].into_iter().flatten() {
            assert!(text.chars().count() <= 100);
        }
    }
    let albums: BTreeSet<_> = rows.iter().filter_map(|r| r.album_id).collect();
    let naming = rows.iter().filter(|r| r.album_id.is_some()).count();
    let per_album = naming as f64 / albums.len() as f64;
    assert!((1.7..2.4).contains(&per_album), "about two rows an album: {per_album}");
}

#[test]
fn the_demos_jsonb_is_in_the_servers_form() {
    for row in demo::rows() {
        for text in [&row.metadata, &row.preview_data].into_iter().flatten() {
            let value: serde_json::Value = serde_json::from_str(text).expect(text);
            assert_eq!(canonical(&value), text.as_ref());
        }
    }
}

/// How PostgreSQL prints a `jsonb`, worked out from the parsed value.
fn canonical(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
            let shown: Vec<String> =
                members.iter().map(|(k, v)| format!("{}: {}", serde_json::json!(k), canonical(v))).collect();
            format!("{{{}}}", shown.join(", "))
        }
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}
