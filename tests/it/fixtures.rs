//! The committed fixtures are what their builders give now, and hold what they promise. `REHEARSAL_BLESS=1` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rehearsal::generate::batch::{self, BatchBuilder};
use rehearsal::generate::shape::{self, EntityType, Row, Status, Text};
use rehearsal::generate::{csv, demo, rfc3339};
use rehearsal::snapshot::manifest::{DataFile, Manifest, Source};
use rehearsal::snapshot::writer::{SnapshotWriter, hash_file};
use uuid::Uuid;

use crate::hostile::{Labelled, labels};

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
        let types = batch::types();
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
    let readme = fs::read_to_string(folder("demo").join("README.md")).expect("a README");
    let told = format!("| status FAILED, every one of them taken by ENRICHED | {} |", failed["ENRICHED"]);
    assert!(readme.contains(&told), "{told}");
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
    let of = |operation: &'static str| rows.iter().filter(move |r| r.operation == operation).map(|r| r.entity_id);
    let created: Vec<_> = of("artist:created:album-child").collect();
    assert_eq!(created.iter().collect::<BTreeSet<_>>().len(), created.len(), "an artist is created once");
    assert!(of("artist:linked:album-association").count() > 0);
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

/// The hostile rows: what the labels don't say gets a dull value, a minute after the row before.
fn hostile_rows() -> Vec<Row> {
    let album: Uuid = "00000000-0000-4000-8000-00000000a1b0".parse().expect("a UUID");
    let begin_us = 1_767_603_600_000_000; // 2026-01-05 09:00
    labels()
        .into_iter()
        .zip(0..)
        .map(|(label, minutes)| {
            let mut row = Row::new(label.id, label.operation, label.status, begin_us + minutes * 60_000_000);
            row.entity_type = Some(EntityType::Album);
            row.entity_id = Some(album);
            row.album_id = Some(album);
            row.job_id = label.job_id.map(Text::Owned);
            row.parent_job_id = label.parent_job_id.map(Text::Owned);
            row.is_root_job = label.is_root_job;
            row
        })
        .collect()
}

#[test]
fn the_hostile_fixture_is_what_its_rows_say() {
    let rows = hostile_rows();
    settle("hostile", &rows, |file| Manifest {
        format_version: 1,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: Manifest::content_id([file.sha256.as_str()]),
        captured_at: rfc3339(rows[rows.len() - 1].created_at_us),
        source: Source::Synthetic {
            description: "the hostile fixture: every defect of a job log, labelled in fixtures/hostile/rows.csv"
                .to_owned(),
        },
        masking: None,
        enums: shape::enums(),
        tables: vec![shape::table(rows.len() as u64, vec![file], None)],
    });
}

#[test]
fn the_hostile_fixture_shows_every_case() {
    let labels = labels();
    let ids: BTreeSet<_> = labels.iter().map(|label| label.id).collect();
    assert_eq!(ids.len(), labels.len());
    let outcomes: BTreeSet<_> = labels.iter().map(|label| label.outcome.as_str()).collect();
    assert_eq!(outcomes, BTreeSet::from(["ambiguous", "child", "cyclic", "dangling", "orphan", "root"]));
    let deepest = |case: &str| labels.iter().filter(|l| l.case == case).filter_map(|l| l.depth).max();
    for hops in [8, 9, 10, 11, 25] {
        assert_eq!(deepest(&format!("chain-of-{hops}")), Some(hops));
    }
    let longest = labels.iter().filter_map(|l| l.job_id.as_ref()).map(|id| id.chars().count()).max();
    assert_eq!(longest, Some(100));
    // Cases share no job, so that a reader can take one out.
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for label in &labels {
        for id in [&label.job_id, &label.parent_job_id].into_iter().flatten() {
            assert_eq!(*owners.entry(id).or_insert(&label.case), label.case, "job {id} is in two cases");
        }
    }
}

/// The ends and the length of every path that begins at `job`, by walking each one; `None` for one that comes back to itself.
fn paths<'a>(
    parents: &BTreeMap<&'a str, BTreeSet<Option<&'a str>>>,
    job: &'a str,
    walked: &mut Vec<&'a str>,
    found: &mut Vec<Option<(Option<&'a str>, u32)>>,
) {
    if walked.contains(&job) {
        found.push(None);
        return;
    }
    let hops = walked.len() as u32 + 1;
    let Some(of_job) = parents.get(job) else {
        found.push(Some((None, hops)));
        return;
    };
    walked.push(job);
    for parent in of_job {
        match parent {
            None => found.push(Some((Some(job), hops))),
            Some(parent) => paths(parents, parent, walked, found),
        }
    }
    walked.pop();
}

/// Outcome, root and depth of a row, by enumerating paths: slow, and as the fixture's README words it.
fn walked_outcome(
    label: &Labelled,
    parents: &BTreeMap<&str, BTreeSet<Option<&str>>>,
) -> (&'static str, Option<String>, Option<u32>) {
    let starts: Vec<&str> = match (label.job_id.as_deref(), label.parent_job_id.as_deref()) {
        (None, None) => return ("orphan", None, None),
        (Some(job), None) => return ("root", Some(job.to_owned()), Some(0)),
        (None, Some(parent)) => vec![parent],
        (Some(job), Some(_)) => parents[job].iter().copied().flatten().collect(),
    };
    let mut found = Vec::new();
    for start in starts {
        paths(parents, start, &mut Vec::new(), &mut found);
    }
    let ends: Option<Vec<_>> = found.into_iter().collect();
    // A path through the row's own job comes back to the start later on, so it needs no check of its own.
    let Some(ends) = ends else { return ("cyclic", None, None) };
    let distinct: BTreeSet<_> = ends.iter().map(|(root, _)| *root).collect();
    let depth = ends.iter().map(|(_, hops)| *hops).max();
    match distinct.into_iter().collect::<Vec<_>>().as_slice() {
        [Some(root)] => ("child", Some((*root).to_owned()), depth),
        [None] => ("dangling", None, None),
        _ => ("ambiguous", None, None),
    }
}

#[test]
fn the_hostile_labels_agree_with_a_walk_along_every_path() {
    let labels = labels();
    let mut parents: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for label in &labels {
        if let Some(job) = label.job_id.as_deref() {
            parents.entry(job).or_default().insert(label.parent_job_id.as_deref());
        }
    }
    for label in &labels {
        let labelled = (label.outcome.as_str(), label.root_job_id.clone(), label.depth);
        assert_eq!(labelled, walked_outcome(label, &parents), "{label:?}");
    }
}

#[test]
fn the_hostile_categories_agree_with_both_ladders() {
    for (label, row) in labels().iter().zip(hostile_rows()) {
        assert_eq!(label.category, backfilled_category(&row), "{label:?}");
        let operation = row.operation.to_lowercase();
        let contains = [("cache", "CACHED"), ("correction", "CORRECTED"), ("enrich", "ENRICHED")];
        let by_name = contains.iter().find(|(part, _)| operation.contains(part)).map_or("CREATED", |(_, c)| c);
        let expected = if row.status == Status::Failed { "FAILED" } else { by_name };
        assert_eq!(label.runtime_category, expected, "{label:?}");
    }
}
