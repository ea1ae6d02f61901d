//! Export: PostgreSQL -> Arrow -> Parquet. What does the server hold, right now, in one consistent snapshot?
//!
//! Input: a connection string and table names. Output: a snapshot folder, and a report of what is in it. The rooms in reading
//! order: [`target`] reads the connection string, [`tls`] and [`connection`] open the session, [`catalog`] finds and describes
//! the tables, [`copy`], [`values`] and [`numeric`] decode rows.
//!
//! Invariants:
//!
//! - One REPEATABLE READ, READ ONLY transaction reads everything. The tables are locked (ACCESS SHARE, as any SELECT does) before
//!   its snapshot is taken: no migration can change their shape in between, and none has to wait for more than the COPY.
//! - All settings are local to that transaction: behind a pooler, nothing stays with the server's connection.
//! - The rows written are as many as `count(*)` says in the same snapshot; else there is no export.
//! - On any failure, and on Ctrl-C, nothing is left behind.
//! - Children of a table (inheritance, partitions) are in it, as they are for a SELECT or an UPDATE.

pub mod catalog;
pub mod connection;
pub mod copy;
pub mod numeric;
pub mod target;
pub mod tls;
pub mod values;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use arrow::record_batch::RecordBatch;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;

use crate::query::{self, quote_identifier};
use crate::report::{Block, Cell, Finding, Report, SnapshotRef, Table, View};
use crate::snapshot::manifest::{self, Manifest, RelationSizes, Source};
use crate::snapshot::writer::{SnapshotWriter, TableWriter, refuse_existing};
use crate::ui::Ui;
use catalog::Described;
use connection::Session;
use copy::Decoder;
use target::Target;

/// Batches that may wait to be written: decoding goes on while one is compressed.
const BATCHES_IN_FLIGHT: usize = 2;

/// What to export.
pub struct Options {
    /// Connection URL or key=value string.
    pub url: String,
    /// Password for a string that has none.
    pub password: Option<String>,
    /// Table names as the user wrote them.
    pub tables: Vec<String>,
    /// The folder to create.
    pub out: PathBuf,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportReport {
    /// The snapshot folder.
    pub path: String,
    /// The content's name.
    pub id: String,
    /// When the server's snapshot was taken (RFC 3339, UTC).
    pub captured_at: String,
    /// The server and its snapshot.
    pub server: manifest::Server,
    /// The tables, in the order asked for.
    pub tables: Vec<ExportedTable>,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of all Parquet files.
    pub file_bytes: u64,
    /// Time from connecting to the finished snapshot.
    pub elapsed_ms: u64,
}

/// One table of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedTable {
    /// Schema on the server.
    pub schema: String,
    /// Name on the server.
    pub table: String,
    /// Rows, counted by the server and written here.
    pub rows: u64,
    /// Columns.
    pub columns: u64,
    /// Bytes of its Parquet file.
    pub file_bytes: u64,
    /// Bytes on the server; absent for views.
    pub server_bytes: Option<RelationSizes>,
}

/// Exports tables to a new snapshot.
///
/// # Errors
/// Whatever keeps the snapshot from being whole; then nothing is left behind.
pub fn export(options: &Options, ui: &Ui) -> Result<ExportReport> {
    let started = Instant::now();
    refuse_existing(&options.out)?;
    let target = Target::parse(&options.url, options.password.as_deref())?;
    let session = Session::connect(&target)?;
    let (found, lockable) = look_up(&session, options, &target)?;
    let facts = begin(&session, &lockable, &target.location)?;
    let (described, enums) = catalog::describe(&session, &found)?;
    let writer = SnapshotWriter::create(&options.out)?;
    let mut tables = Vec::new();
    for (index, described) in described.into_iter().enumerate() {
        let file = file_name(&described.table.name, index);
        let name = described.table.name.clone();
        tables
            .push(export_table(&session, &writer, described, &file, ui).with_context(|| format!("exporting {name}"))?);
    }
    let manifest = Manifest {
        format_version: manifest::FORMAT_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: String::new(),
        captured_at: facts.captured_at,
        source: Source::Postgres(facts.server.clone()),
        enums,
        tables,
    };
    let manifest = writer.publish(manifest)?;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(ExportReport::new(options.out.display().to_string(), manifest, facts.server, elapsed_ms))
}

/// Finds the tables and which of them can be locked, in a transaction that ends before the export's own begins: a snapshot must
/// not be older than the locks.
fn look_up(session: &Session, options: &Options, target: &Target) -> Result<(Vec<catalog::Found>, Vec<String>)> {
    session.run(query::EXPORT_BEGIN.text)?;
    let found = catalog::find(session, &options.tables, target.schema.as_deref())?;
    let mut lockable = Vec::new();
    for relation in &found {
        // LOCK TABLE wants SELECT on the whole table; a role with rights on columns alone reads without it.
        if catalog::check_readable(session, relation)? && relation.is_lockable() {
            lockable.push(relation.qualified());
        }
    }
    session.run(query::EXPORT_END.text)?;
    Ok((found, lockable))
}

/// Opens the transaction: locks first, then the snapshot, then the settings.
fn begin(session: &Session, lockable: &[String], location: &str) -> Result<catalog::ServerFacts> {
    session.run(query::EXPORT_BEGIN.text)?;
    session.run(query::EXPORT_LOCK_TIMEOUT.text)?;
    if !lockable.is_empty() {
        session.run(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", lockable.join(", ")))?;
    }
    let mut facts = catalog::server(session, location)?;
    session.fetch(&query::EXPORT_SETTINGS, &[], |_| Ok(()))?;
    facts.server.lsn = catalog::lsn(session)?;
    Ok(facts)
}

/// Counts a table, then streams it into its Parquet file.
fn export_table(
    session: &Session,
    snapshot: &SnapshotWriter,
    described: Described,
    file: &str,
    ui: &Ui,
) -> Result<manifest::Table> {
    let Described { mut table, types, qualified } = described;
    let spinner = ui.spinner(&format!("counting the rows of {}", table.name));
    let counted = session.number(&format!("SELECT count(*) FROM {qualified}"));
    spinner.finish_and_clear();
    let counted = counted?;
    let columns: Vec<String> = table.columns.iter().map(|c| quote_identifier(&c.name)).collect();
    let sql = format!("COPY (SELECT {} FROM {qualified}) TO STDOUT (FORMAT binary)", columns.join(", "));
    let writer = snapshot.table_file(file, &table.columns, &types)?;
    let mut decoder = Decoder::new(writer.schema(), &types);
    let bar = ui.bar(counted, "rows", &table.name);
    let written = stream(session, &sql, &mut decoder, writer, &bar);
    bar.finish_and_clear();
    let data_file = written?.finish()?;
    if data_file.rows != counted {
        bail!("the server counts {counted} rows and sends {}", data_file.rows);
    }
    for (column, extent) in table.columns.iter_mut().zip(decoder.numeric_extents()) {
        column.numeric_extent = extent;
    }
    table.rows = data_file.rows;
    table.files = vec![data_file];
    Ok(table)
}

/// Decodes on this thread and writes on another. A failure to write is the one reported: it is why reading stops.
fn stream(
    session: &Session,
    sql: &str,
    decoder: &mut Decoder,
    mut writer: TableWriter,
    bar: &ProgressBar,
) -> Result<TableWriter> {
    let (sender, receiver): (SyncSender<RecordBatch>, Receiver<RecordBatch>) = sync_channel(BATCHES_IN_FLIGHT);
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || -> Result<TableWriter> {
            for batch in receiver {
                writer.write(&batch)?;
            }
            Ok(writer)
        });
        let read = read(session, sql, decoder, &sender, bar);
        drop(sender);
        let written = writing.join().map_err(|_| anyhow!("the thread that writes has panicked"))??;
        read.map(|()| written)
    })
}

fn read(
    session: &Session,
    sql: &str,
    decoder: &mut Decoder,
    batches: &SyncSender<RecordBatch>,
    bar: &ProgressBar,
) -> Result<()> {
    let send = |decoder: &mut Decoder| -> Result<()> {
        if let Some(batch) = decoder.take_batch()? {
            batches.send(batch).context("the rows can't be written")?;
            bar.set_position(decoder.rows());
        }
        Ok(())
    };
    session.copy(sql, |piece| {
        decoder.push(piece)?;
        if decoder.is_full() { send(decoder) } else { Ok(()) }
    })?;
    decoder.check_end()?;
    send(decoder)
}

/// A file name that no file system and no glob trips over. The number keeps two odd names apart.
fn file_name(table: &str, index: usize) -> String {
    let plain = !table.is_empty() && table.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && table.len() <= 63 {
        return format!("{table}.parquet");
    }
    let safe: String = table.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    format!("{safe}-{}.parquet", index + 1)
}

impl ExportReport {
    fn new(path: String, manifest: Manifest, server: manifest::Server, elapsed_ms: u64) -> ExportReport {
        let tables: Vec<ExportedTable> = manifest
            .tables
            .iter()
            .map(|t| ExportedTable {
                schema: t.schema.clone(),
                table: t.name.clone(),
                rows: t.rows,
                columns: t.columns.len() as u64,
                file_bytes: t.files.iter().map(|f| f.size_bytes).sum(),
                server_bytes: t.sizes,
            })
            .collect();
        ExportReport {
            path,
            id: manifest.id,
            captured_at: manifest.captured_at,
            server,
            rows: tables.iter().map(|t| t.rows).sum(),
            file_bytes: tables.iter().map(|t| t.file_bytes).sum(),
            tables,
            elapsed_ms,
        }
    }

    /// The envelope's `snapshot` object.
    pub fn reference(&self) -> SnapshotRef {
        SnapshotRef {
            id: self.id.clone(),
            table: if let [only] = self.tables.as_slice() { Some(only.table.clone()) } else { None },
            rows: self.rows,
            captured_at: Some(self.captured_at.clone()),
            synthetic: false,
        }
    }
}

impl Report for ExportReport {
    fn name(&self) -> &'static str {
        "export"
    }

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let what = match self.tables.as_slice() {
            [only] => only.table.clone(),
            tables => format!("{} tables", tables.len()),
        };
        let rows =
            if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", crate::render::count(self.rows)) };
        let elapsed = match self.elapsed_ms {
            ms @ 0..1000 => format!("{ms} ms"),
            ms => format!("{:.1} s", ms as f64 / 1000.0),
        };
        let headline = format!(
            "Exported {rows} of {what} to {} ({}) in {elapsed}; the server counts as many in the same snapshot.",
            self.path,
            crate::render::bytes(self.file_bytes),
        );
        let server = &self.server;
        let standby = if server.in_recovery { ", standby" } else { "" };
        let facts: Vec<(&str, Cell)> = vec![
            ("source", server.location.as_str().into()),
            ("server", format!("PostgreSQL {}{standby}", server.version).into()),
            ("captured at", self.captured_at.as_str().into()),
            ("server snapshot", server.snapshot.as_str().into()),
            ("LSN", server.lsn.clone().map_or_else(|| "not readable by this role".into(), Cell::Text)),
            ("snapshot id", self.id.as_str().into()),
        ];
        let mut tables = Table::new("Tables", &["table", "rows", "columns", "Parquet", "on the server"]);
        for table in &self.tables {
            tables.push(vec![
                format!("{}.{}", table.schema, table.table).into(),
                table.rows.into(),
                table.columns.into(),
                Cell::Bytes(table.file_bytes),
                table.server_bytes.map_or(Cell::Empty, |s| Cell::Bytes(s.total_bytes)),
            ]);
        }
        View {
            title: format!("Export {}", self.id),
            headline: vec![headline],
            blocks: vec![
                Block::Facts(facts.into_iter().map(|(label, cell)| (label.to_owned(), cell)).collect()),
                Block::Table(tables),
                Block::Note(format!("Look at it with `rehearsal inspect {}`.", self.path)),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, expected: &str) {
        assert_eq!(file_name(table, 1), expected);
    }

    #[test]
    fn file_names_are_safe() {
        check("llama_logs", "llama_logs.parquet");
        check("LlamaLog", "LlamaLog-2.parquet");
        check("../etc/*", "---etc---2.parquet");
        check("größe", "gr--e-2.parquet");
    }
}
