//! `rehearsal inspect`: open, prove, show.

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::cli;
use crate::inspect;

/// Runs the command.
///
/// # Errors
/// As [`crate::snapshot::Snapshot::open`] and [`inspect::analyze`].
pub fn run(context: &Context, args: &cli::Inspect) -> Result<ExitCode> {
    let snapshot = context.open(&args.snapshot)?;
    let report = inspect::analyze(&snapshot)?;
    context.finish(&report, Some(&snapshot.reference(None)))
}
