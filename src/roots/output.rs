//! The row file: what is true of every row, and what the backfill gives it, as Parquet.
//!
//! Input: the view `log`. Output: one row per input row, sorted by id: `id, job_id, parent_job_id` as the log has them,
//! `outcome`, the true `root_job_id` and `depth`, `replay_root_job_id`, and `replay_possible`. Invariants: where the server's plan
//! decides, `replay_root_job_id` is NULL and `replay_possible` lists the answers, and only there; the file appears whole or not at
//! all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, ListBuilder, StringBuilder, UInt32Builder};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use super::Solved;
use crate::job_graph::{Job, RowClass};
use crate::query::{self, quote_literal};
use crate::snapshot::{Snapshot, write_parquet};
use crate::ui;

/// Classes written at a time.
const BATCH: usize = 65_536;

/// The verdicts of all classes of rows, on their way to the engine as a file: quicker than binding them one by one.
pub(super) struct Verdicts {
    folder: TempDir,
}

impl Verdicts {
    /// Writes them down; the graph isn't needed any more afterwards.
    pub(super) fn of(solved: &Solved<'_>) -> Result<Verdicts> {
        let folder =
            tempfile::Builder::new().prefix("rehearsal-roots-").tempdir().context("making room for the verdicts")?;
        let verdicts = Verdicts { folder };
        write_verdicts(solved, &verdicts.path()).context("writing the verdicts")?;
        Ok(verdicts)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("verdicts.parquet")
    }

    /// Joins them to the rows of the view `log`, into a Parquet file.
    pub(super) fn write_rows(&self, snapshot: &Snapshot, path: &Path) -> Result<()> {
        let connection = snapshot.connection();
        let source = quote_literal(&self.path().display().to_string());
        connection.execute_batch(&format!(
            "CREATE OR REPLACE TEMP VIEW row_verdicts AS SELECT * FROM read_parquet({source})"
        ))?;
        write_parquet(connection, query::ROOTS_ROWS.text, path)
            .with_context(|| format!("writing the rows with their roots to {}", path.display()))
    }
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
        let several = (answers.len() > 1).then(|| answers.iter().map(|&job| name(Some(job))));
        possible.append_option(several);
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
