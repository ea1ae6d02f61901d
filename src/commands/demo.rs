//! `rehearsal demo`: the built-in snapshot, both backfills, one story.

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::cli::{self, FailOn, Input};
use crate::demo;
use crate::snapshot::DEMO;

/// Runs the command. It shows what the tool finds, so its findings don't fail it unless `--fail-on` asks for that.
///
/// # Errors
/// As [`demo::analyze`].
pub fn run(context: &Context, _args: &cli::Demo) -> Result<ExitCode> {
    let mut context = context.clone();
    context.global.fail_on.get_or_insert(FailOn::Never);
    let input = Input { snapshot: DEMO.to_owned(), table: None, columns: vec![] };
    let (snapshot, table, columns) = context.open_log(&input, &["id", "job_id", "parent_job_id"])?;
    // The story needs no sample rows; the commands it names show them.
    let report = demo::analyze(&snapshot, &table, &columns, 0)?;
    context.finish(&report, Some(&snapshot.reference(Some(&table))))
}
