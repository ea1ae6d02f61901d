//! `rehearsal export`

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::cli;
use crate::export::{self, Options};

/// Runs the command.
///
/// # Errors
/// As [`export::export`].
pub fn run(context: &Context, args: &cli::Export) -> Result<ExitCode> {
    let options = Options {
        url: args.url.clone(),
        password: std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()),
        tables: args.tables.clone(),
        out: args.out.clone(),
        jobs: args.jobs.map_or_else(default_jobs, usize::from),
        row_storage: args.row_storage,
    };
    let report = export::export(&options, &context.ui)?;
    context.finish(&report, Some(&report.reference()))
}

/// One connection a core, and no more than four: a server has other guests.
fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}
