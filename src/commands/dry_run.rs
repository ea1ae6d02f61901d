//! `rehearsal dry-run`: read the migration, run it on the snapshot, show; with `--output-run`, keep what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use super::Context;
use crate::catalog::Catalog;
use crate::cli;
use crate::dry_run::{self, Contract, DryRunReport, Options, session};
use crate::migration::{Migration, Selection};
use crate::render::{self, Format, Target};
use crate::report::{Outcome, SnapshotRef};
use crate::staging;
use crate::ui::hinted;

/// Runs the command.
///
/// # Errors
/// As [`Migration::read`], [`Contract::read`], [`Context::open`] and [`dry_run::analyze`]; a run that can't be written.
pub fn run(context: &Context, args: &cli::DryRun) -> Result<ExitCode> {
    let selection = Selection { from: args.from.clone(), to: args.to.clone(), only: args.only.clone() };
    let migration = Migration::read(&args.migrations, &selection)?;
    for warning in &migration.warnings {
        context.ui.warn(warning);
    }
    let staged = args.output_run.as_deref().map(stage).transpose()?;
    let mut options = options(context, args, &migration, staged.as_ref().map(|folder| folder.path().join("tables")))?;
    let snapshot = context.open_or_empty(&args.on)?;
    let sent = [Some(&migration), options.rollback.as_ref(), options.compare.as_ref()];
    let statements = sent.iter().flatten().map(|migration| migration.statements.len() as u64).sum();
    let bar = context.ui.bar(statements, "statements", "rehearsing");
    options.session.progress = Some(bar.clone());
    let report = dry_run::analyze(&snapshot, &migration, &options);
    bar.finish_and_clear();
    let report = report?;
    let reference = snapshot.reference(None);
    if let (Some(path), Some(text)) = (&args.write_expect, &report.contract) {
        staging::write_file(path, |out| Ok(out.write_all(text.as_bytes())?))?;
        context.ui.status(&format!("wrote what the rehearsal gave to {}", path.display()));
    }
    if let (Some(path), Some(folder)) = (&args.output_run, staged) {
        keep(folder, path, &report, &reference)?;
        context.ui.status(&format!("wrote the report and the tables to {}", path.display()));
    }
    // An empty database is no data that a report could be about.
    in_workflow(context).finish(&report, Some(&reference).filter(|_| !snapshot.is_empty()))
}

/// Inside a GitHub workflow the answer goes onto the lines of the migration, unless another form or a file was asked for.
fn in_workflow(context: &Context) -> Context {
    let mut context = context.clone();
    if context.global.output.is_none() {
        let actions = std::env::var("GITHUB_ACTIONS").ok();
        context.global.format = Some(Format::for_files(context.global.format, actions.as_deref()));
    }
    context
}

fn options(context: &Context, args: &cli::DryRun, migration: &Migration, tables: Option<PathBuf>) -> Result<Options> {
    let read = |path: &PathBuf| Migration::read(std::slice::from_ref(path), &Selection::default());
    Ok(Options {
        session: session::Options {
            transactions: args.transaction,
            row_budget: args.row_budget,
            step_budget: args.step_budget,
            samples: context.global.samples,
            progress: None,
        },
        contract: args.expect.as_deref().map(|path| Contract::read(path, migration)).transpose()?,
        write_contract: args.write_expect.as_ref().map(|path| path.display().to_string()),
        rollback: args.rollback.as_ref().map(read).transpose()?,
        checks: args.check.as_ref().map(read).transpose()?,
        compare: args.compare.as_ref().map(read).transpose()?,
        drift: args.drift.as_deref().map(|source| database(context, source)).transpose()?,
        tables,
    })
}

/// The schema in a snapshot, under the snapshot's name.
fn database(context: &Context, source: &str) -> Result<(String, Catalog)> {
    let snapshot = context.open(source)?;
    let manifest = snapshot.manifest.as_ref().ok_or_else(|| {
        hinted(
            anyhow!("{source} has no catalog: keys, types and constraints aren't known"),
            "compare with a snapshot made by `rehearsal export`",
        )
    })?;
    Ok((source.to_owned(), Catalog::from_manifest(manifest)?))
}

/// A folder beside the one asked for, which appears only when whole.
fn stage(path: &Path) -> Result<tempfile::TempDir> {
    if path.exists() {
        return Err(hinted(anyhow!("{} exists", path.display()), "name a folder that doesn't, or remove it first"));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = || -> Result<tempfile::TempDir> {
        fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new().prefix(".rehearsal-").tempdir_in(parent)?;
        fs::create_dir(folder.path().join("tables"))?;
        Ok(folder)
    };
    made().with_context(|| format!("making {}", path.display()))
}

fn keep(folder: tempfile::TempDir, path: &Path, report: &DryRunReport, reference: &SnapshotRef) -> Result<()> {
    let target = Target { format: Format::Json, color: false, width: 100 };
    let outcome = if report.findings.is_empty() { Outcome::Clean } else { Outcome::Findings };
    staging::write_file(&folder.path().join("report.json"), |out| {
        let mut text = Vec::new();
        render::write_report(&mut text, report, Some(reference), outcome, target)?;
        Ok(out.write_all(&text)?)
    })?;
    let made = folder.keep();
    fs::rename(&made, path).with_context(|| format!("writing {}", path.display()))
}
