//! One try: from connecting to the finished snapshot.
//!
//! Input: what to export, and what an interrupted try has left. Output: a published snapshot, or nothing. Invariants: the tables are
//! locked before the server's snapshot is taken, or it is proven that they were not rewritten since; what is found and asked for
//! is settled before any row is read. Left out: whether to try again.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::catalog::{self, Described, Found, ServerFacts};
use super::connection::Session;
use super::crew::{Crew, Shared};
use super::fallback::{AsText, Exporting};
use super::guard::Stop;
use super::parts::{self, Parts};
use super::report::ExportReport;
use super::resume::{self, Journal, Kept, Request};
use super::since::{self, Continued, Earlier};
use super::target::Target;
use super::wanted::{self, Wanted};
use super::{Options, physical, storage, table};
use crate::query;
use crate::snapshot::manifest::{self, EnumType, Manifest, Source, Table};
use crate::snapshot::writer::SnapshotWriter;
use crate::ui::Ui;

/// What is said of a connection whose transactions are served by different processes.
const POOLED: &str = "A pooler in transaction mode stands before the server. The export is one transaction and whole, but it keeps a \
    pooled connection for each of its own until it ends: connect to the server itself, or to a pool with pool_mode = session.";

/// What is said where the snapshot of the server is another session's.
const IMPORTED: &str = "The server's snapshot was taken by another session, before the time and the position of the write-ahead log that \
    the manifest gives.";

/// What is known before any row is read.
struct Prepared {
    described: Vec<Described>,
    parts: Vec<Parts>,
    continued: Vec<Continued>,
    wanted: Wanted,
    enums: Vec<EnumType>,
}

/// What reads and writes.
struct Reading<'a> {
    crew: &'a Crew<'a>,
    writer: &'a SnapshotWriter,
    ui: &'a Ui,
    /// Connections asked for.
    jobs: usize,
}

/// One try. What `kept` holds is used, or given up with a word; where the try fails, it is what is finished now.
///
/// # Errors
/// Whatever keeps the snapshot from being whole.
pub fn attempt(
    options: &Options,
    target: &Target,
    earlier: Option<&Earlier>,
    as_text: &AsText,
    kept: &mut Option<Kept>,
    ui: &Ui,
) -> Result<ExportReport> {
    let started = Instant::now();
    let stop = Stop::new(options.limits);
    let session = Session::connect(target, stop.clone())?;
    let (found, lockable, pid) = look_up(&session, options, target)?;
    stop.snapshot_taken();
    let request = Request::of(options, &target.location);
    give_up_unless(kept, |kept| kept.check(&session, &request, options.snapshot.as_deref()), ui)?;
    let imported = kept.as_ref().map(|kept| kept.exported_as().to_owned()).or_else(|| options.snapshot.clone());
    let (mut facts, shared) = begin(&session, &lockable, &target.location, imported.as_deref(), options)?;
    let mut notes = Vec::new();
    if backend(&session)? != pid {
        notes.push(POOLED.to_owned());
    }
    if facts.server.in_recovery {
        stop.on_standby();
    }
    let mut prepared =
        prepare(&session, options, &found, facts.version_number, (earlier, as_text), imported.is_some())?;
    let masking = prepared.wanted.masking();
    let salted =
        |kept: &Kept| if kept.is_masked_as(masking.as_ref()) { Ok(()) } else { bail!("its masks had another salt") };
    give_up_unless(kept, salted, ui)?;
    match &kept {
        Some(kept) => (facts.captured_at, facts.server.lsn) = kept.taken(),
        None if imported.is_some() => notes.push(IMPORTED.to_owned()),
        None => {}
    }
    let mut crew = Crew::new(session, stop);
    let most = prepared.parts.iter().map(|parts| parts.pieces.len()).max().unwrap_or(1);
    let alone = crew.grow(options.jobs.min(most), &shared, target, &lockable)?;
    notes.extend(alone.map(|reason| format!("Fewer connections read than asked for: {reason}.")));
    let mut journal = match &shared {
        Shared::As(name) if options.resume => Some(Journal::begin(name, request, masking.clone(), &facts)),
        Shared::Not(reason) if options.resume => {
            notes.push(format!("Had it been interrupted, --resume would have had to begin again: {reason}."));
            None
        }
        _ => None,
    };
    let writer = SnapshotWriter::create(&options.out)?;
    let mut tables = Vec::new();
    if let Some(kept) = kept.take() {
        tables = kept.adopt(&writer)?;
        notes.push(format!("Kept from the interrupted export: {} of {} tables.", tables.len(), found.len()));
        // Another interruption finds them here, and no moment passes in which they are nowhere.
        journal.iter_mut().try_for_each(|journal| journal.write(&tables, &writer))?;
        kept.discard()?;
    }
    let resumable = journal.is_some();
    let reading = Reading { crew: &crew, writer: &writer, ui, jobs: options.jobs };
    if let Err(error) = read_tables(&reading, &mut prepared, journal, &mut tables, &mut notes) {
        // Without a finished table there is no journal, and nothing to keep.
        if resumable && !tables.is_empty() {
            *kept = Kept::read(&writer.keep());
        }
        return Err(error);
    }
    let Prepared { wanted, enums, .. } = prepared;
    facts.server.run = Some(physical::run(crew.first(), crew.size() as u64)?);
    let manifest = Manifest {
        format_version: format_version(&tables),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: String::new(),
        captured_at: facts.captured_at,
        source: Source::Postgres(Box::new(facts.server.clone())),
        enums,
        masking,
        tables,
    };
    notes.extend(wanted.notes(&manifest.tables));
    notes.extend(as_text.notes());
    let manifest = writer.publish(manifest)?;
    let mut report = ExportReport::new(options.out.display().to_string(), manifest, facts.server);
    report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.connections = crew.size() as u64;
    report.received_bytes = crew.received_bytes();
    report.notes = notes;
    Ok(report)
}

/// The lowest layout that can say all of this.
fn format_version(tables: &[Table]) -> u32 {
    let as_text = tables.iter().flat_map(|table| &table.columns).any(|column| column.carried_as_text.is_some());
    if as_text { manifest::FORMAT_VERSION_WITH_TEXT } else { manifest::FORMAT_VERSION }
}

/// Finds the tables and which of them can be locked, in a transaction that ends before the export's own begins: a snapshot must
/// not be older than the locks.
fn look_up(session: &Session, options: &Options, target: &Target) -> Result<(Vec<Found>, Vec<String>, i32)> {
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

/// Opens the transaction: locks first, then the snapshot, then the settings. The snapshot is shared at once or never; one that
/// another session holds comes before the locks, because it must come before everything.
fn begin(
    session: &Session,
    lockable: &[String],
    location: &str,
    imported: Option<&str>,
    options: &Options,
) -> Result<(ServerFacts, Shared)> {
    let open = || -> Result<()> {
        session.run(query::EXPORT_BEGIN.text)?;
        if let Some(name) = imported {
            resume::import(session, name)?;
        }
        session.run(query::EXPORT_LOCK_TIMEOUT.text)?;
        if !lockable.is_empty() {
            session.run(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", lockable.join(", ")))?;
        }
        Ok(())
    };
    open()?;
    let shared = match imported {
        Some(name) => Shared::As(name.to_owned()),
        None if options.jobs == 1 && !options.resume => Shared::Not("one connection was asked for".to_owned()),
        None => match Shared::by(session) {
            Shared::Not(reason) => {
                session.run(query::EXPORT_END.text)?;
                open()?;
                Shared::Not(reason)
            }
            shared => shared,
        },
    };
    let mut facts = catalog::server(session, location)?;
    session.fetch(&query::EXPORT_SETTINGS, &[], |_| Ok(()))?;
    session.run(query::EXPORT_PATIENCE.text)?;
    facts.server.lsn = catalog::lsn(session)?;
    facts.server.capacity = Some(physical::capacity(session)?);
    Ok((facts, shared))
}

/// Describes the tables and settles what of them is read, in which parts.
fn prepare(
    session: &Session,
    options: &Options,
    found: &[Found],
    version_number: i32,
    (earlier, as_text): (Option<&Earlier>, &AsText),
    imported: bool,
) -> Result<Prepared> {
    let (mut described, enums) = catalog::describe(session, found)?;
    if imported {
        resume::check_rewritten(session, &described.iter().map(|described| described.oid).collect::<Vec<u32>>())?;
    }
    described.iter_mut().for_each(|described| as_text.apply(described));
    let mut wanted = wanted::prepare(session, &options.wanted, &mut described)?;
    if options.row_storage {
        described.iter_mut().try_for_each(storage::add)?;
        wanted.spare_sizes(&mut described);
    }
    session.run(query::EXPORT_NO_TIMEOUT.text)?;
    let continued = match earlier {
        Some(earlier) => earlier.continue_tables(session, &described, &mut wanted)?,
        None => Vec::new(),
    };
    let parts = described
        .iter()
        .zip(&wanted.predicates)
        .map(|(d, predicate)| parts::split(session, d, predicate.as_ref(), version_number))
        .collect::<Result<Vec<Parts>>>()?;
    Ok(Prepared { described, parts, continued, wanted, enums })
}

/// Keeps what is kept if `check` has nothing against it; else says so and removes it.
fn give_up_unless(kept: &mut Option<Kept>, check: impl Fn(&Kept) -> Result<()>, ui: &Ui) -> Result<()> {
    if let Some(reason) = kept.as_ref().and_then(|kept| check(kept).err()) {
        ui.warn(&format!("the interrupted export can't be continued: {reason}; it begins anew"));
        return kept.take().map_or(Ok(()), Kept::discard);
    }
    Ok(())
}

/// Reads the tables that aren't in `tables` yet, and writes down after each what is finished.
fn read_tables(
    reading: &Reading<'_>,
    prepared: &mut Prepared,
    mut journal: Option<Journal>,
    tables: &mut Vec<Table>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let mut continued = prepared.continued.drain(..);
    let described = prepared.described.drain(..).zip(&prepared.parts).enumerate();
    for (index, (described, parts)) in described.skip(tables.len()) {
        let name = described.table.name.clone();
        if let Some(reason) = parts.whole_because.as_ref().filter(|_| reading.jobs > 1) {
            notes.push(format!("The table {name} was read over one connection: {reason}."));
        }
        let file = table::file_name(&name, index);
        let continued = continued.next();
        let file = continued.as_ref().map_or(file.clone(), |continued| continued.file_name(&file));
        let types = described.types.clone();
        let exported =
            table::export(reading.crew, reading.writer, described, parts, (&prepared.wanted, index), &file, reading.ui);
        let mut exported = exported.with_context(|| Exporting(name))?;
        if let Some(continued) = continued {
            continued.join(&mut exported, &types, reading.writer)?;
            notes.extend(since::note(&exported));
        }
        tables.push(exported);
        journal.iter_mut().try_for_each(|journal| journal.write(tables, reading.writer))?;
    }
    Ok(())
}
