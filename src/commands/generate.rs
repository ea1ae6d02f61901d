//! `rehearsal generate`: make an archive, say what is in it.

use std::process::ExitCode;

use anyhow::Result;

use super::Context;
use crate::cli;
use crate::generate::write::{Options, write};
use crate::report::SnapshotRef;

/// Runs the command.
///
/// # Errors
/// As [`write`].
pub fn run(context: &Context, args: &cli::Generate) -> Result<ExitCode> {
    let options =
        Options { albums: args.albums, seed: args.seed, pathologies: args.pathologies, out: args.out.clone() };
    let bar = context.ui.bar(args.albums, "albums", "generating");
    let made = write(&options, |albums| bar.set_position(albums));
    bar.finish_and_clear();
    let (report, manifest) = made?;
    let reference = SnapshotRef {
        id: manifest.id,
        table: Some(crate::generate::shape::TABLE.to_owned()),
        rows: report.rows,
        captured_at: Some(manifest.captured_at),
        synthetic: true,
    };
    context.finish(&report, Some(&reference))
}
