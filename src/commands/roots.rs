//! `rehearsal roots`: open, replay and judge, show; with `--output-rows`, write every row's root.

use std::process::ExitCode;

use anyhow::{Result, anyhow};

use super::Context;
use crate::cli;
use crate::render::count;
use crate::roots::{self, DEFAULT_DEPTH_LIMIT, Options, Variant};
use crate::ui::hinted;

/// Runs the command.
///
/// # Errors
/// As [`Context::open_log`], [`roots::analyze`] and [`roots::analyze_and_write_rows`]; settings of `rehearsal.toml` that don't exist.
pub fn run(context: &Context, args: &cli::Roots) -> Result<ExitCode> {
    let options = Options {
        variant: variant(context, args)?,
        depth_limit: depth_limit(context, args)?,
        samples: context.global.samples,
    };
    let mut required = vec!["job_id", "parent_job_id"];
    if args.output_rows.is_some() {
        required.insert(0, "id");
    }
    let (snapshot, table, columns) = context.open_log(&args.input, &required)?;
    let report = match &args.output_rows {
        Some(path) => {
            let report = roots::analyze_and_write_rows(&snapshot, &columns, &options, path)?;
            context.ui.status(&format!("wrote the roots of {} rows to {}", count(report.rows), path.display()));
            report
        }
        None => roots::analyze(&snapshot, &columns, &options)?,
    };
    context.finish(&report, Some(&snapshot.reference(Some(&table))))
}

fn variant(context: &Context, args: &cli::Roots) -> Result<Variant> {
    if let Some(variant) = args.variant {
        return Ok(variant);
    }
    let Some(name) = context.config.roots.variant.as_deref() else { return Ok(Variant::Applied) };
    Variant::named(name).ok_or_else(|| {
        let names: Vec<&str> = Variant::ALL.iter().map(|variant| variant.as_str()).collect();
        hinted(
            anyhow!("[roots] variant = \"{name}\" isn't a form of the backfill"),
            format!("use one of {}", names.join(", ")),
        )
    })
}

fn depth_limit(context: &Context, args: &cli::Roots) -> Result<u32> {
    let limit = args.depth_limit.or(context.config.roots.depth_limit).unwrap_or(DEFAULT_DEPTH_LIMIT);
    if cli::DEPTH_LIMITS.contains(&limit.into()) {
        Ok(limit)
    } else {
        Err(hinted(
            anyhow!("[roots] depth_limit = {limit} is out of range"),
            format!("use {} to {}", cli::DEPTH_LIMITS.start(), count(cli::DEPTH_LIMITS.end().unsigned_abs())),
        ))
    }
}
