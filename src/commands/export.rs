//! `rehearsal export`

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::Context;
use crate::cli;
use crate::export::guard::{self, Limits};
use crate::export::mask::rules;
use crate::export::mask::salt::Salt;
use crate::export::{self, Options, since, wanted};
use crate::growth::size;

/// Where the masks' salt is looked for.
const SALT_VARIABLE: &str = "REHEARSAL_SALT";

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
        wanted: wanted(context, args)?,
        since: args.since.clone().map(|snapshot| since::Options { snapshot, column: args.since_column.clone() }),
        snapshot: args.snapshot.clone(),
        resume: args.resume,
        limits: Limits {
            snapshot_age: guard::parse_age(&args.max_snapshot_age).context("--max-snapshot-age")?,
            bytes_per_second: args.rate_limit.as_deref().map(size::parse).transpose().context("--rate-limit")?,
        },
        retries: args.retries,
        row_storage: args.row_storage,
    };
    let report = export::export(&options, &context.ui)?;
    context.finish(&report, Some(&report.reference()))
}

/// Columns, rows and masks: the command line's, and the masks of `rehearsal.toml`.
fn wanted(context: &Context, args: &cli::Export) -> Result<wanted::Options> {
    let mut masks = args.masks.iter().map(|text| rules::Wanted::parse(text)).collect::<Result<Vec<_>>>()?;
    for (target, rule) in context.config.export.masks()? {
        let rule = rule.parse().with_context(|| format!("[export.mask] {target} in the configuration"))?;
        masks.push(rules::Wanted { target, rule, from_file: true });
    }
    let variable = args.salt_env.as_deref().unwrap_or(SALT_VARIABLE);
    let salt = match (&args.salt_file, std::env::var(variable)) {
        (Some(path), _) => Salt::File(path.clone()),
        (None, Ok(value)) if !value.is_empty() => Salt::Variable(variable.to_owned(), value),
        (None, _) if args.salt_env.is_some() => bail!("--salt-env {variable}: the variable isn't set"),
        (None, _) => Salt::Absent,
    };
    Ok(wanted::Options { columns: args.columns.clone(), predicates: args.predicates.clone(), masks, salt })
}

/// One connection a core, and no more than four: a server has other guests.
fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}
