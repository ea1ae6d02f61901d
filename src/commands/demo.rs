//! `rehearsal demo`

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::cli;

/// Runs the command.
///
/// # Errors
/// Always, until it is built.
pub fn run(_context: &Context, _args: &cli::Demo) -> Result<ExitCode> {
    anyhow::bail!("under construction")
}
