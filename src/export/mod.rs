//! Export: PostgreSQL -> Arrow -> Parquet. What does the server hold, right now, in one consistent snapshot?
//!
//! Input: a connection string and table names. Output: a snapshot folder, and a report of what is in it. The rooms in reading
//! order: [`target`] reads the connection string, [`tls`] and [`connection`] open the session, [`catalog`] finds and describes
//! the tables, [`physical`] what only the server knows about their disk, [`parts`] cuts them, [`crew`] reads the parts over several connections, [`copy`], [`values`] and [`numeric`] decode
//! rows.
//!
//! Invariants:
//!
//! - One snapshot of the server is read, in REPEATABLE READ, READ ONLY transactions that share it. The tables are locked (ACCESS
//!   SHARE, as any SELECT does) before it is taken: no migration can change their shape in between, and none has to wait for more
//!   than the COPY.
//! - All settings are local to that transaction: behind a pooler, nothing stays with the server's connection.
//! - The rows written are as many as `count(*)` says in the same snapshot; else there is no export.
//! - On any failure, and on Ctrl-C, nothing is left behind.
//! - Children of a table (inheritance, partitions) are in it, as they are for a SELECT or an UPDATE.

pub mod catalog;
pub mod connection;
pub mod copy;
pub mod crew;
pub mod fallback;
pub mod numeric;
pub mod parts;
pub mod physical;
pub mod storage;
pub mod target;
pub mod texts;
pub mod tls;
pub mod values;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::inspect;
use crate::query;
use crate::report::{Block, Cell, Finding, Report, SnapshotRef, Table, View};
use crate::snapshot::certificate::{Content, Plan};
use crate::snapshot::manifest::{self, Column, LedgerEntry, Manifest, RelationSizes, Source};
use crate::snapshot::types::PgType;
use crate::snapshot::writer::{SnapshotWriter, refuse_existing};
use crate::ui::Ui;
use catalog::Described;
use connection::{Session, Stop};
use crew::{Crew, Relation, Shared};
use fallback::{AsText, Exporting};
use parts::Parts;
use target::Target;

/// The ledger's rule for a type that has no counterpart.
const AS_TEXT: &str = "carried as PostgreSQL's own text";

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
    /// Connections that may read at once.
    pub jobs: usize,
    /// Each row's address and the stored sizes of its long values, too.
    pub row_storage: bool,
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
    /// Connections that read.
    pub connections: u64,
    /// Why there weren't more, or why a table was read over one: whole sentences.
    pub notes: Vec<String>,
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
    /// Columns whose values aren't carried in a type of their own.
    pub ledger: Vec<LedgerEntry>,
    /// What the rows hold.
    pub content: Option<Content>,
}

/// Exports tables to a new snapshot.
///
/// # Errors
/// Whatever keeps the snapshot from being whole; then nothing is left behind.
pub fn export(options: &Options, ui: &Ui) -> Result<ExportReport> {
    let mut as_text = AsText::default();
    loop {
        match attempt(options, &as_text, ui) {
            // The same again, with a column more that travels as text.
            Err(failure) if as_text.learn(&failure) => {}
            done => return done,
        }
    }
}

fn attempt(options: &Options, as_text: &AsText, ui: &Ui) -> Result<ExportReport> {
    let started = Instant::now();
    refuse_existing(&options.out)?;
    let target = Target::parse(&options.url, options.password.as_deref())?;
    let stop = Stop::default();
    let session = Session::connect(&target, stop.clone())?;
    let (found, lockable) = look_up(&session, options, &target)?;
    let (mut facts, shared) = begin(&session, &lockable, &target.location, options.jobs > 1)?;
    let (mut described, enums) = catalog::describe(&session, &found)?;
    described.iter_mut().for_each(|described| as_text.apply(described));
    if options.row_storage {
        described.iter_mut().try_for_each(storage::add)?;
    }
    let writer = SnapshotWriter::create(&options.out)?;
    let parts =
        described.iter().map(|d| parts::split(&session, d, facts.version_number)).collect::<Result<Vec<Parts>>>()?;
    let mut crew = Crew::new(session, stop);
    let most = parts.iter().map(|parts| parts.statements.len()).max().unwrap_or(1);
    let alone = crew.grow(options.jobs.min(most), &shared, &target, &lockable)?;
    let mut notes: Vec<String> =
        alone.into_iter().map(|reason| format!("Fewer connections read than asked for: {reason}.")).collect();
    let mut tables = Vec::new();
    for (index, (described, parts)) in described.into_iter().zip(&parts).enumerate() {
        let name = described.table.name.clone();
        if let Some(reason) = parts.whole_because.as_ref().filter(|_| options.jobs > 1) {
            notes.push(format!("The table {name} was read over one connection: {reason}."));
        }
        let file = file_name(&name, index);
        let exported = export_table(&crew, &writer, described, parts, &file, ui);
        tables.push(exported.with_context(|| Exporting(name))?);
    }
    facts.server.run = Some(physical::run(crew.first(), crew.size() as u64)?);
    let manifest = Manifest {
        format_version: format_version(&tables),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: String::new(),
        captured_at: facts.captured_at,
        source: Source::Postgres(Box::new(facts.server.clone())),
        enums,
        tables,
    };
    let manifest = writer.publish(manifest)?;
    let mut report = ExportReport::new(options.out.display().to_string(), manifest, facts.server);
    report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.connections = crew.size() as u64;
    notes.extend(as_text.notes());
    report.notes = notes;
    Ok(report)
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

/// Opens the transaction: locks first, then the snapshot, then the settings. The snapshot is shared at once or never.
fn begin(
    session: &Session,
    lockable: &[String],
    location: &str,
    share: bool,
) -> Result<(catalog::ServerFacts, Shared)> {
    let open = || -> Result<()> {
        session.run(query::EXPORT_BEGIN.text)?;
        session.run(query::EXPORT_LOCK_TIMEOUT.text)?;
        if !lockable.is_empty() {
            session.run(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", lockable.join(", ")))?;
        }
        Ok(())
    };
    open()?;
    let shared = if share { Shared::by(session) } else { Shared::Not("one connection was asked for".to_owned()) };
    if share && matches!(shared, Shared::Not(_)) {
        session.run(query::EXPORT_END.text)?;
        open()?;
    }
    let mut facts = catalog::server(session, location)?;
    session.fetch(&query::EXPORT_SETTINGS, &[], |_| Ok(()))?;
    facts.server.lsn = catalog::lsn(session)?;
    facts.server.capacity = Some(physical::capacity(session)?);
    Ok((facts, shared))
}

/// Counts a table and writes its rows to its Parquet file.
fn export_table(
    crew: &Crew,
    snapshot: &SnapshotWriter,
    described: Described,
    parts: &Parts,
    file: &str,
    ui: &Ui,
) -> Result<manifest::Table> {
    let Described { mut table, types, qualified, storage, .. } = described;
    let all_types: Vec<PgType> = types.iter().chain(storage.iter().map(|beside| &beside.ty)).cloned().collect();
    let all_columns: Vec<Column> =
        table.columns.iter().cloned().chain(storage.iter().map(storage::Beside::column)).collect();
    let count = format!("SELECT count(*) FROM {qualified}");
    let relation = Relation { statements: &parts.statements, count: &count, types: &all_types };
    let plan = Plan::new(&table, &types);
    let mut writer = snapshot.table_file(file, &all_columns, &all_types)?.into_groups(plan)?;
    let bar = ui.bar(parts.estimated_rows, "rows", &table.name);
    let read = crew.read(&relation, &mut writer, &bar);
    bar.finish_and_clear();
    let read = read?;
    let (data_file, tally) = writer.finish()?;
    if data_file.rows != read.counted {
        bail!("the server counts {} rows and sends {}", read.counted, data_file.rows);
    }
    for ((column, ty), facts) in table.columns.iter_mut().zip(&types).zip(read.columns) {
        column.numeric_extent = facts.numeric_extent;
        if ty.is_opaque() {
            table.ledger.push(LedgerEntry {
                column: column.name.clone(),
                type_name: column.type_name.clone(),
                rule: match &column.carried_as_text {
                    Some(reason) => format!("{AS_TEXT}: {reason}"),
                    None => AS_TEXT.to_owned(),
                },
                values: data_file.rows - facts.nulls,
            });
        }
    }
    table.storage_columns = storage.into_iter().map(|beside| beside.entry).collect();
    table.rows = data_file.rows;
    table.content = Some(tally.certify(&[snapshot.staged_file(file)])?);
    table.files = vec![data_file];
    Ok(table)
}

/// The lowest layout that can say all of this.
fn format_version(tables: &[manifest::Table]) -> u32 {
    let as_text = tables.iter().flat_map(|table| &table.columns).any(|column| column.carried_as_text.is_some());
    if as_text { manifest::FORMAT_VERSION_WITH_TEXT } else { manifest::FORMAT_VERSION }
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
    fn new(path: String, manifest: Manifest, server: manifest::Server) -> ExportReport {
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
                ledger: t.ledger.clone(),
                content: t.content.clone(),
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
            elapsed_ms: 0,
            connections: 1,
            notes: Vec::new(),
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
        let mut facts: Vec<(&str, Cell)> = vec![
            ("source", server.location.as_str().into()),
            ("server", format!("PostgreSQL {}{standby}", server.version).into()),
            ("captured at", self.captured_at.as_str().into()),
            ("server snapshot", server.snapshot.as_str().into()),
            ("LSN", server.lsn.clone().map_or_else(|| "not readable by this role".into(), Cell::Text)),
            ("snapshot id", self.id.as_str().into()),
            ("connections", self.connections.into()),
        ];
        facts.extend(inspect::run_facts(server));
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
        let facts = facts.into_iter().map(|(label, cell)| (label.to_owned(), cell)).collect();
        let mut blocks = vec![Block::Facts(facts), Block::Table(tables)];
        let contents = self.tables.iter().filter_map(|table| Some((&table.table, table.content.as_ref()?)));
        blocks.extend(inspect::certificate_table(contents));
        let ledger = self.tables.iter().flat_map(|table| table.ledger.iter().map(move |entry| (&table.table, entry)));
        blocks.extend(inspect::ledger_table(ledger));
        blocks.extend(self.notes.iter().cloned().map(Block::Note));
        blocks.push(Block::Note(format!("Look at it with `rehearsal inspect {}`.", self.path)));
        View { title: format!("Export {}", self.id), headline: vec![headline], blocks }
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
