//! `rehearsal growth`: open, size and forecast, show.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use super::Context;
use crate::cli;
use crate::config::GrowthConfig;
use crate::growth::{self, Options, size};
use crate::ui::hinted;

/// Albums projected to where nobody says otherwise: the figure of the plan this tool was made for.
const DEFAULT_ALBUMS: u64 = 10_000;
/// Size dated where nobody says otherwise.
const DEFAULT_THRESHOLD: &str = "500MB";

/// Runs the command.
///
/// # Errors
/// A number or size that makes no sense; as [`Context::open_log`] and [`growth::analyze`].
pub fn run(context: &Context, args: &cli::Growth) -> Result<ExitCode> {
    let options = options(args, &context.config.growth)?;
    let (snapshot, table, columns) = context.open_log(&args.input, growth::REQUIRED_COLUMNS)?;
    let report = growth::analyze(&snapshot, &table, &columns, &options)?;
    context.finish(&report, Some(&snapshot.reference(Some(&table))))
}

/// The command line's figures, else the configuration's, else the defaults; sorted, each once.
fn options(args: &cli::Growth, config: &GrowthConfig) -> Result<Options> {
    let mut albums = first_given([&args.albums, &config.albums], &[DEFAULT_ALBUMS]);
    if albums.contains(&0) {
        return Err(hinted(
            anyhow!("a size at 0 albums says nothing"),
            "ask for at least one album, e.g. --albums 10000",
        ));
    }
    albums.sort_unstable();
    albums.dedup();
    let logs_per_album = args.logs_per_album.or(config.logs_per_album);
    if let Some(logs) = logs_per_album.filter(|logs| !logs.is_finite() || *logs <= 0.0) {
        return Err(hinted(
            anyhow!("an album can't write {logs} logs"),
            "give a number above 0, e.g. --logs-per-album 9",
        ));
    }
    let sizes = first_given([&args.threshold, &config.thresholds], &[DEFAULT_THRESHOLD.to_owned()]);
    let mut threshold_bytes =
        sizes.iter().map(|text| size::parse(text).context("reading a threshold")).collect::<Result<Vec<_>>>()?;
    threshold_bytes.sort_unstable();
    threshold_bytes.dedup();
    Ok(Options { albums, logs_per_album, threshold_bytes })
}

fn first_given<T: Clone>(given: [&Vec<T>; 2], default: &[T]) -> Vec<T> {
    given.into_iter().find(|list| !list.is_empty()).cloned().unwrap_or_else(|| default.to_vec())
}
