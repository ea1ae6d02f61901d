//! The row file: what is true of every row, and what the backfill gives it, as Parquet.
//!
//! Input: the view `log`, and the verdicts on its jobs. Output: one row per input row, sorted by id: `id, job_id, parent_job_id` as
//! the log has them, `outcome`, the true `root_job_id` and `depth`, `replay_root_job_id`, and `replay_possible`. Invariants: where
//! the server's plan decides, `replay_root_job_id` is NULL and `replay_possible` lists the answers, and only there; the file
//! appears whole or not at all. The engine sorts narrow rows and each batch gets its verdicts on the way to the file: no table of
//! verdicts is ever built.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result, anyhow};
use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder, UInt32Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Solved;
use crate::job_graph::{Job, RowClass};
use crate::query;
use crate::snapshot::writer::ROW_GROUP_ROWS;
use crate::{staging, ui};

/// Columns taken from the log as they are.
const TAKEN: usize = 3;
/// Batches that wait for the writer at most; the engine's hold some 2,000 rows each.
const WAITING_BATCHES: usize = 16;

/// Writes the rows of the view `log` with their verdicts to a Parquet file.
///
/// # Errors
/// When the log has no `id`, the file can't be written, or the user interrupts.
pub(super) fn write_rows(connection: &Connection, solved: &Solved<'_>, path: &Path) -> Result<()> {
    staging::write_file(path, |out| write(connection, solved, out)).context("writing the rows with their roots")
}

fn write(connection: &Connection, solved: &Solved<'_>, out: &mut (dyn Write + Send)) -> Result<()> {
    // So that a UUID comes and goes as one, and that threads hand on sorted rows in their order.
    connection.execute_batch("SET arrow_lossless_conversion = true; SET preserve_insertion_order = true")?;
    let written = stream_rows(connection, solved, out);
    connection.execute_batch("SET arrow_lossless_conversion = false; SET preserve_insertion_order = false")?;
    written
}

fn stream_rows(connection: &Connection, solved: &Solved<'_>, out: &mut (dyn Write + Send)) -> Result<()> {
    let mut statement = connection.prepare(query::ROOTS_ROWS.text)?;
    let mut batches = statement.stream_arrow([])?;
    let schema = file_schema(&batches.get_schema());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(format!("rehearsal {}", env!("CARGO_PKG_VERSION")))
        .build();
    let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
    std::thread::scope(|scope| {
        let (sender, received) = sync_channel(WAITING_BATCHES);
        // Compression takes as long as everything else together: it goes on beside it.
        let file = scope.spawn(move || write_batches(&mut writer, received).and_then(|()| Ok(writer.close()?)));
        let sent = batches.try_for_each(|batch| judge(&batch?, solved, &schema, &sender));
        drop(sender);
        // Where the file fails, nothing more can be sent: its error is the cause.
        file.join().map_err(|_| anyhow!("the writer ended early"))??;
        sent
    })
}

fn write_batches(writer: &mut ArrowWriter<&mut (dyn Write + Send)>, batches: Receiver<RecordBatch>) -> Result<()> {
    batches.into_iter().try_for_each(|batch| Ok(writer.write(&batch)?))
}

fn file_schema(rows: &SchemaRef) -> SchemaRef {
    let text = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let mut fields = rows.fields()[..TAKEN].to_vec();
    fields.extend([text("outcome"), text("root_job_id")]);
    fields.push(Arc::new(Field::new("depth", DataType::UInt32, true)));
    fields.push(text("replay_root_job_id"));
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    fields.push(Arc::new(Field::new("replay_possible", DataType::List(item), true)));
    Arc::new(Schema::new(fields))
}

/// Gives a batch of rows their verdicts and passes it on.
fn judge(batch: &RecordBatch, solved: &Solved<'_>, schema: &SchemaRef, sender: &SyncSender<RecordBatch>) -> Result<()> {
    ui::check_interrupt()?;
    let (jobs, parents) = (ids(batch, "job_text")?, ids(batch, "parent_text")?);
    let mut texts: [StringBuilder; 3] = std::array::from_fn(|_| StringBuilder::new());
    let mut depths = UInt32Builder::new();
    let mut possible = ListBuilder::new(StringBuilder::new());
    let names = &solved.graph.names;
    let name = |job: Option<Job>| job.map(|job| names.name(job));
    let number = |ids: &StringArray, row: usize| -> Result<Option<Job>> {
        let find = |id| names.find(id).ok_or_else(|| anyhow!("the log has changed: it had no job {id} before"));
        ids.is_valid(row).then(|| find(ids.value(row))).transpose()
    };
    for row in 0..batch.num_rows() {
        // A verdict depends on job and parent alone.
        let (job, parent) = (number(jobs, row)?, number(parents, row)?);
        let verdict = solved.verdict(&RowClass { job, parent, stored_root: None, rows: 1, flagged_rows: 0 });
        let answers = solved.sets.members(&verdict.answer);
        let outcome = Some(verdict.truth.outcome.as_str());
        let values = [outcome, name(verdict.truth.root), name(solved.sets.only(verdict.answer))];
        texts.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value));
        depths.append_option(verdict.truth.depth);
        possible.append_option((answers.len() > 1).then(|| answers.iter().map(|&job| name(Some(job)))));
    }
    let mut columns = batch.columns()[..TAKEN].to_vec();
    let [outcome, root, replay] = texts.map(|mut column| Arc::new(column.finish()) as ArrayRef);
    columns.extend([outcome, root, Arc::new(depths.finish()), replay, Arc::new(possible.finish())]);
    sender.send(RecordBatch::try_new(schema.clone(), columns)?).map_err(|_| anyhow!("the file takes no more rows"))
}

fn ids<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| anyhow!("the result's column {name} isn't text"))
}
