//! Export: PostgreSQL -> Arrow -> Parquet. What does the server hold, right now, in one consistent snapshot?
//!
//! Input: a connection string and table names. Output: a snapshot folder, and a report of what is in it. The rooms in reading
//! order: [`target`] reads the connection string, [`tls`] and [`connection`] open the session, [`catalog`] finds and describes
//! the tables, [`physical`] and [`storage`] what only the server knows about their disk, [`wanted`], [`selection`] and [`mask`] what
//! of them is wanted, [`since`] what is new, [`parts`] cuts them, [`crew`] reads the parts over several connections within the limits
//! of [`guard`], [`copy`], [`values`], [`texts`], [`nulls`] and [`numeric`] decode rows; what no type holds makes [`fallback`] begin again;
//! [`resume`] spares tables that an interrupted try has finished; [`report`] says what came of it.
//!
//! Invariants:
//!
//! - One snapshot of the server is read, in REPEATABLE READ, READ ONLY transactions that share it. The tables are locked (ACCESS
//!   SHARE, as any SELECT does) before it is taken: no migration can change their shape in between, and none has to wait for more
//!   than the COPY.
//! - All settings are local to that transaction: behind a pooler, nothing stays with the server's connection.
//! - The rows written are as many as `count(*)` says of each part in the same snapshot, and the parts leave no page out; else there
//!   is no export.
//! - On any failure, and on Ctrl-C, nothing is left behind, but for finished tables that `--resume` keeps in a hidden folder; what a
//!   killed process left is removed by the next export.
//! - No plain value of a masked column is encoded, and so none reaches a file or its statistics.
//! - Children of a table (inheritance, partitions) are in it, as they are for a SELECT or an UPDATE.

pub mod attempt;
pub mod catalog;
pub mod connection;
pub mod copy;
pub mod crew;
pub mod definitions;
pub mod fallback;
pub mod guard;
pub mod mask;
pub mod nulls;
mod numeric;
pub mod parts;
pub mod physical;
pub mod report;
pub mod resume;
pub mod selection;
pub mod since;
pub mod storage;
pub mod table;
pub mod target;
pub mod texts;
pub mod tls;
pub mod values;
pub mod wanted;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::snapshot::writer::refuse_existing;
use crate::ui::Ui;
use attempt::attempt;
use fallback::AsText;
use guard::{Conflict, Limits};
pub use report::{ExportReport, ExportedTable};
use resume::Kept;
use since::Earlier;
use target::Target;

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
    /// The name of a snapshot that another session holds.
    pub snapshot: Option<String>,
    /// Finished tables outlive a failure.
    pub resume: bool,
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
    selection::check(&options.wanted.predicates)?;
    let mut kept = clear_up(options, ui)?;
    let target = Target::parse(&options.url, options.password.as_deref())?;
    let earlier = options.since.as_ref().map(Earlier::open).transpose()?;
    let (mut tries, mut as_text) = (0, AsText::default());
    loop {
        match attempt(options, &target, earlier.as_ref(), &as_text, &mut kept, ui) {
            // The same again, with a column more that travels as text.
            Err(failure) if as_text.learn(&failure) => {}
            Err(error) if tries < options.retries && error.chain().any(|cause| cause.is::<Conflict>()) => {
                tries += 1;
                ui.warn(&format!("{}; try {tries} of {}, with a new snapshot", error.root_cause(), options.retries));
                guard::back_off(tries - 1)?;
            }
            Err(error) => {
                if let Some(kept) = kept {
                    ui.warn(&format!(
                        "{}; the same command goes on with them while the server's snapshot {} is held",
                        kept.shown(),
                        kept.exported_as()
                    ));
                }
                return Err(error);
            }
            done => return done,
        }
    }
}

/// Removes what killed exports to the same folder have left; what `--resume` can use is returned instead.
fn clear_up(options: &Options, ui: &Ui) -> Result<Option<Kept>> {
    let mut kept = None;
    for left in crate::staging::abandoned(&options.out) {
        if options.resume && kept.is_none() {
            kept = Kept::read(&left);
            if kept.is_some() {
                continue;
            }
        }
        std::fs::remove_dir_all(&left).with_context(|| format!("removing {}", left.display()))?;
        ui.warn(&format!(
            "an export to {} was cut short before it ended; what it left in {} is removed, and the export begins anew",
            options.out.display(),
            left.display()
        ));
    }
    Ok(kept)
}
