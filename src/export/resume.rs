//! Resume: which tables of an interrupted export need not be read again?
//!
//! Input: what an earlier try for the same folder has left, with its journal. Output: [`Kept`] tables, proven whole, that are put into
//! the snapshot as they are. Invariants: they and the tables still to be read are of one and the same snapshot of the server, which
//! somebody still holds, or nothing of them is used and the reason is said; the journal is written after each table and replaced
//! as a whole. Left out: parts of a table: one that wasn't finished is read from its beginning.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::Options;
use super::catalog::ServerFacts;
use super::connection::Session;
use crate::query::{self, quote_literal};
use crate::snapshot::manifest::Table;
use crate::snapshot::part::Masking;
use crate::snapshot::writer::{SnapshotWriter, hash_file};
use crate::staging;
use crate::ui::hinted;

/// The journal's name within the hidden folder.
const JOURNAL: &str = "journal.json";

/// What an export has done so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The version that wrote it: another one may write other files.
    pub tool_version: String,
    /// What was asked for.
    pub request: Request,
    /// How the values were masked, where some were.
    pub masking: Option<Masking>,
    /// The name under which the server's snapshot can be read by others.
    pub exported_as: String,
    /// `pg_current_snapshot()`: a name may be given twice, by another server or after a restart.
    pub snapshot: String,
    /// When it was taken.
    pub captured_at: String,
    /// How far the write-ahead log had come.
    pub lsn: Option<String>,
    /// The tables that are finished, in the order asked for.
    pub tables: Vec<Table>,
}

/// What decides which values the files hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    location: String,
    tables: Vec<String>,
    columns: Vec<String>,
    predicates: Vec<String>,
    masks: Vec<String>,
    row_storage: bool,
}

impl Request {
    /// That of these options.
    pub fn of(options: &Options, location: &str) -> Request {
        let wanted = &options.wanted;
        Request {
            location: location.to_owned(),
            tables: options.tables.clone(),
            columns: wanted.columns.clone(),
            predicates: wanted.predicates.clone(),
            masks: wanted.masks.iter().map(|mask| format!("{}={}", mask.target, mask.rule)).collect(),
            row_storage: options.row_storage,
        }
    }
}

impl Journal {
    /// Nothing finished yet.
    pub fn begin(exported_as: &str, request: Request, masking: Option<Masking>, facts: &ServerFacts) -> Journal {
        Journal {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            request,
            masking,
            exported_as: exported_as.to_owned(),
            snapshot: facts.server.snapshot.clone(),
            captured_at: facts.captured_at.clone(),
            lsn: facts.server.lsn.clone(),
            tables: Vec::new(),
        }
    }

    /// Puts it beside the files of a snapshot in the making, of which these tables are finished.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn write(&mut self, finished: &[Table], writer: &SnapshotWriter) -> Result<()> {
        self.tables = finished.to_vec();
        let path = writer.beside(JOURNAL);
        let new = writer.beside("journal.new");
        let write = || -> Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.sync_all()?;
            Ok(fs::rename(&new, &path)?)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }
}

/// What an earlier try has left.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    journal: Journal,
}

impl Kept {
    /// Reads what is in a hidden folder; `None` where no table was finished, or where the journal isn't one.
    pub fn read(folder: &Path) -> Option<Kept> {
        let text = fs::read_to_string(folder.join(JOURNAL)).ok()?;
        let journal: Journal = serde_json::from_str(&text).ok()?;
        (!journal.tables.is_empty()).then(|| Kept { folder: folder.to_owned(), journal })
    }

    /// The folder, and how many tables of how many are in it.
    pub fn shown(&self) -> String {
        let (done, all) = (self.journal.tables.len(), self.journal.request.tables.len());
        format!("{done} of {all} tables are finished and kept in {}", self.folder.display())
    }

    /// The name of the server's snapshot.
    pub fn exported_as(&self) -> &str {
        &self.journal.exported_as
    }

    /// When the snapshot was taken, and how far the write-ahead log had come.
    pub fn taken(&self) -> (String, Option<String>) {
        (self.journal.captured_at.clone(), self.journal.lsn.clone())
    }

    /// Is it of this export, and of a snapshot that is still held? Needs a session without a transaction, and leaves one.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, session: &Session, request: &Request, asked: Option<&str>) -> Result<()> {
        let journal = &self.journal;
        if journal.tool_version != env!("CARGO_PKG_VERSION") {
            return Err(anyhow!("it was begun by version {}", journal.tool_version));
        }
        if journal.request != *request {
            return Err(anyhow!("it was of other tables, or had other options"));
        }
        if asked.is_some_and(|asked| asked != journal.exported_as) {
            return Err(anyhow!("it read the server's snapshot {}", journal.exported_as));
        }
        session.run(query::EXPORT_BEGIN.text)?;
        let held = import(session, &journal.exported_as).and_then(|()| {
            let names = session.fetch(&query::EXPORT_SERVER, &[], |row| row.try_get::<_, String>("snapshot"))?;
            if names.first() == Some(&journal.snapshot) {
                return Ok(());
            }
            Err(anyhow!("the server's snapshot {} is another one now", journal.exported_as))
        });
        session.run(query::EXPORT_END.text)?;
        held
    }

    /// Are the masked values of both made with one salt?
    pub fn is_masked_as(&self, masking: Option<&Masking>) -> bool {
        self.journal.masking.as_ref() == masking
    }

    /// Puts the finished tables into a snapshot. A table whose file isn't what it was is read again.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn adopt(&self, writer: &SnapshotWriter) -> Result<Vec<Table>> {
        let mut whole = Vec::new();
        for table in &self.journal.tables {
            let intact = table.files.iter().all(|file| {
                let now = hash_file(&self.folder.join(staging::PARTIAL).join(&file.path));
                now.is_ok_and(|(sha256, size_bytes)| sha256 == file.sha256 && size_bytes == file.size_bytes)
            });
            // Tables are finished in their order: what comes after a broken one begins again with it.
            if !intact {
                break;
            }
            for file in &table.files {
                writer.adopt(&self.folder.join(staging::PARTIAL).join(&file.path), &file.path)?;
            }
            whole.push(table.clone());
        }
        Ok(whole)
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn discard(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("removing {}", self.folder.display()))
    }
}

/// Lets a transaction that has just begun read another one's snapshot.
///
/// # Errors
/// When nobody holds it any more, or it never was.
pub fn import(session: &Session, name: &str) -> Result<()> {
    session.run(&format!("SET TRANSACTION SNAPSHOT {}", quote_literal(name))).map_err(|error| {
        hinted(
            anyhow!("nobody holds the server's snapshot {name} ({})", error.root_cause()),
            "a session that keeps its transaction open holds one: BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot();",
        )
    })
}

/// Have all tables kept the rows that a snapshot from before they were locked shows?
///
/// # Errors
/// When one was truncated or rewritten since: its older rows are gone, and nothing else would tell.
pub fn check_rewritten(session: &Session, oids: &[u32]) -> Result<()> {
    let names = session.fetch(&query::EXPORT_REWRITTEN, &[&oids], |row| row.try_get::<_, String>("name"))?;
    match names.first() {
        None => Ok(()),
        Some(name) => Err(rewritten(name)),
    }
}

fn rewritten(name: &str) -> Error {
    hinted(
        anyhow!(
            "{name} has been truncated or rewritten since the server's snapshot was taken: the rows it shows are gone"
        ),
        "export with a new snapshot",
    )
}
