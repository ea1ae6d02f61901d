//! `rehearsal cycles`: open, find, show.

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::cli;
use crate::cycles::{self, Options};

/// Runs the command.
///
/// # Errors
/// As [`Context::open_log`] and [`cycles::analyze`].
pub fn run(context: &Context, args: &cli::Cycles) -> Result<ExitCode> {
    let options = Options { samples: context.global.samples };
    let (snapshot, table, columns) = context.open_log(&args.input, &["job_id", "parent_job_id"])?;
    let report = cycles::analyze(&snapshot, &table, &columns, &options)?;
    context.finish(&report, Some(&snapshot.reference(Some(&table))))
}
