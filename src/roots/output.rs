//! The row file: what is true of every row, and what the backfill gives it, as Parquet.
//!
//! Input: the view `log`. Output: one row per input row, sorted by id: `id, job_id, parent_job_id` as the log has them,
//! `outcome`, the true `root_job_id` and `depth`, `replay_root_job_id`, and `replay_possible` with all answers the server may
//! give. Invariants: where the server's plan decides, `replay_root_job_id` is NULL and `replay_possible` has several members; the
//! file appears whole or not at all.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, ListBuilder, StringBuilder, UInt32Builder};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::{Options, Solved};
use crate::job_graph::{Job, JobGraph, RowClass};
use crate::query::{self, quote_literal};
use crate::snapshot::{Snapshot, write_parquet};
use crate::ui;

/// Classes written at a time.
const BATCH: usize = 65_536;

/// Writes one row per row of the view `log` to a Parquet file.
///
/// # Errors
/// When the log has no `id`, the file can't be written, or the user interrupts.
pub fn write_rows(snapshot: &Snapshot, options: &Options, path: &Path) -> Result<u64> {
    let connection = snapshot.connection();
    let graph = JobGraph::load(connection)?;
    let rows: u64 = graph.classes().iter().map(|class| class.rows).sum();
    let solved = Solved::solve(&graph, options)?;
    // The verdicts reach the engine as a file: quicker than binding them one by one.
    let folder =
        tempfile::Builder::new().prefix("rehearsal-roots-").tempdir().context("making room for the verdicts")?;
    let verdicts = folder.path().join("verdicts.parquet");
    write_verdicts(&solved, &verdicts).context("writing the verdicts")?;
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP VIEW row_verdicts AS SELECT * FROM read_parquet({})",
        quote_literal(&verdicts.display().to_string())
    ))?;
    write_parquet(connection, query::ROOTS_ROWS.text, path)
        .with_context(|| format!("writing the rows with their roots to {}", path.display()))?;
    Ok(rows)
}

fn write_verdicts(solved: &Solved<'_>, path: &Path) -> Result<()> {
    let mut writer: Option<ArrowWriter<File>> = None;
    let mut distinct: Vec<&RowClass> = solved.graph.classes().iter().collect();
    distinct.dedup_by_key(|class| (class.job, class.parent));
    for classes in distinct.chunks(BATCH) {
        ui::check_interrupt()?;
        let batch = verdict_batch(solved, classes)?;
        if writer.is_none() {
            writer = Some(ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?);
        }
        if let Some(writer) = &mut writer {
            writer.write(&batch)?;
        }
    }
    writer.context("an empty log has no verdicts")?.close()?;
    Ok(())
}

fn verdict_batch(solved: &Solved<'_>, classes: &[&RowClass]) -> Result<RecordBatch> {
    let mut texts: [StringBuilder; 5] = std::array::from_fn(|_| StringBuilder::new());
    let mut depths = UInt32Builder::new();
    let mut possible = ListBuilder::new(StringBuilder::new());
    let name = |job: Option<Job>| job.map(|job| solved.graph.names.name(job));
    for class in classes {
        let verdict = solved.verdict(class);
        let answers = solved.sets.members(&verdict.answer);
        let values = [
            name(class.job),
            name(class.parent),
            Some(verdict.truth.outcome.as_str()),
            name(verdict.truth.root),
            name(solved.sets.only(verdict.answer)),
        ];
        texts.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value));
        depths.append_option(verdict.truth.depth);
        possible.append_value(answers.iter().map(|&job| name(Some(job))));
    }
    let [job, parent, outcome, root, replay] = texts.map(|mut column| Arc::new(column.finish()) as ArrayRef);
    let columns: [(&str, ArrayRef); 7] = [
        ("job_id", job),
        ("parent_job_id", parent),
        ("outcome", outcome),
        ("root_job_id", root),
        ("replay_root_job_id", replay),
        ("depth", Arc::new(depths.finish())),
        ("replay_possible", Arc::new(possible.finish())),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
}
