//! Measures a dry run of both recorded backfills against PostgreSQL running them, in one run on one machine.
//!
//! `cargo bench --bench dry_run -- [--albums N] [--runs N]`
//!
//! An archive of 111,800 albums (a million rows) is generated; its rows are loaded into a temporary PostgreSQL with the demo's
//! table and indexes (eight of them, the primary key among them), vacuumed and analysed. Then:
//!
//! - PostgreSQL runs `fixtures/migrations/category/migration.sql` and `fixtures/migrations/roots-applied/migration.sql` through
//!   `psql`, one transaction each, once; what it takes is one figure a file;
//! - `rehearsal dry-run` rehearses the same two files on the snapshot, as a process of its own, with all its reports; the median
//!   of the runs, and its peak memory as the kernel counts it.
//!
//! Needs the PostgreSQL server's binaries, as the tests do.

// A benchmark prints what it measures; it is no part of the product.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

#[path = "shared/mod.rs"]
#[allow(dead_code)]
mod shared;

use shared::{load, peak_mib, rehearsal, root, server};

const ALBUMS: u64 = 111_800;
const MIGRATIONS: [&str; 2] = ["category", "roots-applied"];
/// Indexes of the demo's table that the table of the measurement keeps, beside its key.
const INDEXES: [&str; 7] = [
    "CREATE INDEX ON llama_logs (album_id)",
    "CREATE INDEX ON llama_logs (artist_id)",
    "CREATE INDEX ON llama_logs (entity_type, entity_id)",
    "CREATE INDEX ON llama_logs (is_root_job, created_at)",
    "CREATE INDEX ON llama_logs (operation)",
    "CREATE INDEX ON llama_logs (parent_job_id)",
    "CREATE INDEX ON llama_logs (status, created_at)",
];

fn main() -> ExitCode {
    match parse().and_then(|(albums, runs)| compare(albums, runs)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<(u64, usize)> {
    let (mut albums, mut runs) = (ALBUMS, 5);
    let mut given = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().with_context(|| format!("{name} takes a value"))?;
        let number: u64 = value.parse().with_context(|| format!("{name} takes a number, not {value}"))?;
        match name.as_str() {
            "--albums" => albums = number,
            "--runs" => runs = number.max(1) as usize,
            _ => bail!("{name} isn't known; the head of benches/dry_run.rs lists the options"),
        }
    }
    Ok((albums, runs))
}

fn migration(name: &str) -> PathBuf {
    root().join("fixtures/migrations").join(name).join("migration.sql")
}

fn compare(albums: u64, runs: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let snapshot = folder.path().join("snapshot");
    let snapshot = snapshot.to_str().context("a path in Unicode")?;
    let made = rehearsal(&["generate", "--albums", &albums.to_string(), "--seed", "1", "--out", snapshot, "-q"])
        .stdout(Stdio::null())
        .status()?;
    if !made.success() {
        bail!("generating the archive failed");
    }
    let server = server::Server::start(&server::Options { settings: &[("max_wal_size", "4GB")], ..Default::default() });
    let database = server.database();
    let rows = load(&database, Path::new(snapshot), &INDEXES)?;
    println!("{rows} rows, {} indexes with the primary key", INDEXES.len() + 1);
    println!();
    println!("{:<28} {:>12} {:>10}", "", "wall ms", "peak MiB");
    let mut on_server = 0.0;
    for name in MIGRATIONS {
        let text = std::fs::read_to_string(migration(name))?;
        let mut client = database.client();
        let begun = Instant::now();
        client.batch_execute(&text).with_context(|| format!("running {name} on the server"))?;
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        println!("{:<28} {took:>12.0}", format!("PostgreSQL: {name}"));
        on_server += took;
    }
    let mut walls = Vec::new();
    let mut peak = 0.0_f64;
    for _ in 0..runs {
        let (wall, memory) = dry_run(snapshot)?;
        walls.push(wall);
        peak = peak.max(memory);
    }
    walls.sort_by(f64::total_cmp);
    let median = walls[walls.len() / 2];
    println!("{:<28} {median:>12.0} {peak:>10.0}", "rehearsal dry-run, both");
    println!();
    println!("PostgreSQL takes {:.0} ms for both, {:.0} times as long", on_server, on_server / median);
    Ok(())
}

/// One rehearsal: milliseconds and mebibytes.
fn dry_run(snapshot: &str) -> Result<(f64, f64)> {
    let paths = MIGRATIONS.map(migration);
    let paths = paths.each_ref().map(|p| p.to_str().expect("a path in Unicode"));
    let begun = Instant::now();
    let mut child =
        rehearsal(&["dry-run", paths[0], paths[1], "--on", snapshot, "--fail-on", "never", "--format", "json"])
            .stdout(Stdio::piped())
            .spawn()?;
    let mut peak = 0.0;
    let mut out = BufReader::new(child.stdout.take().context("the rehearsal's output")?);
    let mut line = String::new();
    // The peak can be read while the process lives: at its first output, when all the work is done.
    while out.read_line(&mut line)? > 0 {
        if peak == 0.0 {
            peak = peak_mib(child.id()).unwrap_or(0.0);
        }
        line.clear();
    }
    if !child.wait()?.success() {
        bail!("the rehearsal failed");
    }
    Ok((begun.elapsed().as_secs_f64() * 1000.0, peak))
}
