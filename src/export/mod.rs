//! Export: PostgreSQL -> Arrow -> Parquet. What does the server hold, right now, in one consistent snapshot?
//!
//! Input: a connection string and table names. Output: a snapshot folder, and a report of what is in it. The rooms in reading
//! order: [`target`] reads the connection string, [`tls`] and [`connection`] open the session, [`catalog`] finds and describes
//! the tables, [`physical`] and [`storage`] what only the server knows about their disk, [`wanted`], [`selection`] and [`mask`] what
//! of them is wanted, [`since`] what is new, [`parts`] cuts them, [`crew`] reads the parts over several connections within the limits
//! of [`guard`], [`copy`], [`values`] and [`numeric`] decode rows; what no type holds makes [`fallback`] begin again;
//! [`report`] says what came of it.
//!
//! Invariants:
//!
//! - One snapshot of the server is read, in REPEATABLE READ, READ ONLY transactions that share it. The tables are locked (ACCESS
//!   SHARE, as any SELECT does) before it is taken: no migration can change their shape in between, and none has to wait for more
//!   than the COPY.
//! - All settings are local to that transaction: behind a pooler, nothing stays with the server's connection.
//! - The rows written are as many as `count(*)` says in the same snapshot; else there is no export.
//! - On any failure, and on Ctrl-C, nothing is left behind; what a killed process left is removed by the next export.
//! - No plain value of a masked column is encoded, and so none reaches a file or its statistics.
//! - Children of a table (inheritance, partitions) are in it, as they are for a SELECT or an UPDATE.

pub mod catalog;
pub mod connection;
pub mod copy;
pub mod crew;
pub mod definitions;
pub mod fallback;
pub mod guard;
pub mod mask;
pub mod numeric;
pub mod parts;
pub mod physical;
pub mod report;
pub mod selection;
pub mod since;
pub mod storage;
pub mod target;
pub mod texts;
pub mod tls;
pub mod values;
pub mod wanted;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::query;
use crate::snapshot::certificate::Plan;
use crate::snapshot::manifest::{self, Column, LedgerEntry, Manifest, Source};
use crate::snapshot::types::PgType;
use crate::snapshot::writer::{SnapshotWriter, refuse_existing};
use crate::ui::Ui;
use catalog::Described;
use connection::Session;
use crew::{Crew, Relation, Shared};
use fallback::{AsText, Exporting};
use guard::{Conflict, Limits, Stop};
use parts::Parts;
pub use report::{ExportReport, ExportedTable};
use since::Earlier;
use target::Target;
use wanted::Wanted;

/// The ledger's rule for a type that has no counterpart.
const AS_TEXT: &str = "carried as PostgreSQL's own text";

/// What is said of a connection whose transactions are served by different processes.
const POOLED: &str = "A pooler in transaction mode stands before the server. The export is one transaction and whole, but it keeps a \
    pooled connection for each of its own until it ends: connect to the server itself, or to a pool with pool_mode = session.";

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
    /// Columns, rows and masks.
    pub wanted: wanted::Options,
    /// The earlier snapshot to continue.
    pub since: Option<since::Options>,
    /// What ends it before it harms the server.
    pub limits: Limits,
    /// How often it begins again where a standby ends it.
    pub retries: u32,
    /// Each row's address and the stored sizes of its long values, too.
    pub row_storage: bool,
}

/// Exports tables to a new snapshot. Where a standby ends the export, it begins again, with a new snapshot of the server.
///
/// # Errors
/// Whatever keeps the snapshot from being whole; then nothing is left behind.
pub fn export(options: &Options, ui: &Ui) -> Result<ExportReport> {
    refuse_existing(&options.out)?;
    for left in crate::staging::remove_abandoned(&options.out)? {
        ui.warn(&format!(
            "an export to {} was killed before it ended; what it left in {} is removed, and the export begins anew",
            options.out.display(),
            left.display()
        ));
    }
    let target = Target::parse(&options.url, options.password.as_deref())?;
    let earlier = options.since.as_ref().map(Earlier::open).transpose()?;
    let (mut tries, mut as_text) = (0, AsText::default());
    loop {
        match attempt(options, &target, earlier.as_ref(), &as_text, ui) {
            // The same again, with a column more that travels as text.
            Err(failure) if as_text.learn(&failure) => {}
            Err(error) if tries < options.retries && error.chain().any(|cause| cause.is::<Conflict>()) => {
                tries += 1;
                ui.warn(&format!("{}; try {tries} of {}, with a new snapshot", error.root_cause(), options.retries));
                guard::back_off(tries - 1)?;
            }
            done => return done,
        }
    }
}

/// One try, from connecting to the finished snapshot.
fn attempt(
    options: &Options,
    target: &Target,
    earlier: Option<&Earlier>,
    as_text: &AsText,
    ui: &Ui,
) -> Result<ExportReport> {
    let started = Instant::now();
    let stop = Stop::new(options.limits);
    let session = Session::connect(target, stop.clone())?;
    let (found, lockable, pid) = look_up(&session, options, target)?;
    stop.snapshot_taken();
    let (mut facts, shared) = begin(&session, &lockable, &target.location, options.jobs > 1)?;
    let pooled = backend(&session)? != pid;
    if facts.server.in_recovery {
        stop.on_standby();
    }
    let (mut described, enums) = catalog::describe(&session, &found)?;
    described.iter_mut().for_each(|described| as_text.apply(described));
    let mut wanted = wanted::prepare(&session, &options.wanted, &mut described)?;
    if options.row_storage {
        described.iter_mut().try_for_each(storage::add)?;
        wanted.spare_sizes(&mut described);
    }
    session.run(query::EXPORT_NO_TIMEOUT.text)?;
    let continued = match earlier {
        Some(earlier) => earlier.continue_tables(&session, &described, &mut wanted)?,
        None => Vec::new(),
    };
    let mut continued = continued.into_iter();
    let writer = SnapshotWriter::create(&options.out)?;
    let parts = described
        .iter()
        .zip(&wanted.predicates)
        .map(|(d, predicate)| parts::split(&session, d, predicate.as_ref(), facts.version_number))
        .collect::<Result<Vec<Parts>>>()?;
    let mut crew = Crew::new(session, stop);
    let most = parts.iter().map(|parts| parts.statements.len()).max().unwrap_or(1);
    let alone = crew.grow(options.jobs.min(most), &shared, target, &lockable)?;
    let mut notes: Vec<String> =
        alone.into_iter().map(|reason| format!("Fewer connections read than asked for: {reason}.")).collect();
    notes.extend(pooled.then(|| POOLED.to_owned()));
    let mut tables = Vec::new();
    for (index, (described, parts)) in described.into_iter().zip(&parts).enumerate() {
        let name = described.table.name.clone();
        if let Some(reason) = parts.whole_because.as_ref().filter(|_| options.jobs > 1) {
            notes.push(format!("The table {name} was read over one connection: {reason}."));
        }
        let file = file_name(&name, index);
        let continued = continued.next();
        let file = continued.as_ref().map_or(file.clone(), |continued| continued.file_name(&file));
        let types = described.types.clone();
        let exported = export_table(&crew, &writer, described, parts, (&wanted, index), &file, ui);
        let mut exported = exported.with_context(|| Exporting(name))?;
        if let Some(continued) = continued {
            continued.join(&mut exported, &types, &writer)?;
            notes.extend(since::note(&exported));
        }
        tables.push(exported);
    }
    facts.server.run = Some(physical::run(crew.first(), crew.size() as u64)?);
    let manifest = Manifest {
        format_version: format_version(&tables),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: String::new(),
        captured_at: facts.captured_at,
        source: Source::Postgres(Box::new(facts.server.clone())),
        enums,
        masking: wanted.masking(),
        tables,
    };
    notes.extend(wanted.notes(&manifest.tables));
    let manifest = writer.publish(manifest)?;
    let mut report = ExportReport::new(options.out.display().to_string(), manifest, facts.server);
    report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.connections = crew.size() as u64;
    report.received_bytes = crew.received_bytes();
    notes.extend(as_text.notes());
    report.notes = notes;
    Ok(report)
}

/// Finds the tables and which of them can be locked, in a transaction that ends before the export's own begins: a snapshot must
/// not be older than the locks.
fn look_up(session: &Session, options: &Options, target: &Target) -> Result<(Vec<catalog::Found>, Vec<String>, i32)> {
    session.run(query::EXPORT_BEGIN.text)?;
    session.run(query::EXPORT_PATIENCE.text)?;
    let pid = backend(session)?;
    let found = catalog::find(session, &options.tables, target.schema.as_deref())?;
    let mut lockable = Vec::new();
    for relation in &found {
        // LOCK TABLE wants SELECT on the whole table; a role with rights on columns alone reads without it.
        if catalog::check_readable(session, relation, &options.wanted.columns)? && relation.is_lockable() {
            lockable.push(relation.qualified());
        }
    }
    session.run(query::EXPORT_END.text)?;
    Ok((found, lockable, pid))
}

/// The server's process that serves the transaction.
fn backend(session: &Session) -> Result<i32> {
    let rows =
        session.fetch(&query::EXPORT_BACKEND, &[], |row| Ok((row.try_get("pid")?, row.try_get("read_only")?)))?;
    match rows.into_iter().next() {
        Some((pid, true)) => Ok(pid),
        _ => bail!("the server doesn't keep the transaction read-only: nothing was read"),
    }
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
    session.run(query::EXPORT_PATIENCE.text)?;
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
    (wanted, index): (&Wanted, usize),
    file: &str,
    ui: &Ui,
) -> Result<manifest::Table> {
    let Described { mut table, types, qualified, storage, .. } = described;
    let all_types: Vec<PgType> = types.iter().chain(storage.iter().map(|beside| &beside.ty)).cloned().collect();
    let all_columns: Vec<Column> =
        table.columns.iter().cloned().chain(storage.iter().map(storage::Beside::column)).collect();
    let predicate = wanted.predicates[index].as_ref();
    let condition = predicate.map_or_else(String::new, |predicate| format!(" WHERE {}", predicate.condition()));
    let count = format!("SELECT count(*) FROM {qualified}{condition}");
    let mask = wanted.masker(index, &types);
    let relation = Relation {
        statements: &parts.statements,
        count: &count,
        types: &all_types,
        mask: mask.as_ref(),
        alone: predicate.is_some_and(|predicate| predicate.calls),
    };
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
    wanted.mark(index, &mut table);
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
