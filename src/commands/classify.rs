//! `rehearsal classify`: open, classify, show; with `--output-rows`, write every row's category.

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::classify::{self, Ladder, Options};
use crate::cli;

/// Ladder used where none is named.
const DEFAULT_LADDER: &str = "backfill";

/// Runs the command.
///
/// # Errors
/// As [`Ladder::load`], [`Context::open_log`], [`classify::analyze`] and [`classify::write_rows`].
pub fn run(context: &Context, args: &cli::Classify) -> Result<ExitCode> {
    let configured = &context.config.classify;
    let rules = args.rules.as_deref().or(configured.rules.as_deref()).unwrap_or(DEFAULT_LADDER);
    let against = args.against.as_deref().or(configured.against.as_deref());
    let options = Options {
        rules: Ladder::load(rules)?,
        against: against.map(Ladder::load).transpose()?,
        samples: context.global.samples,
    };
    let required: &[&str] = if args.output_rows.is_some() { &["id"] } else { &[] };
    let (snapshot, table, columns) = context.open_log(&args.input, required)?;
    let report = classify::analyze(&snapshot, &table, &columns, &options)?;
    if let Some(path) = &args.output_rows {
        classify::write_rows(&snapshot, &options.rules, path)?;
        context.ui.status(&format!("wrote id, category and rule of every row to {}", path.display()));
    }
    context.finish(&report, Some(&snapshot.reference(Some(&table))))
}
