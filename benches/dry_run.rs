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

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

#[path = "../tests/postgres/server.rs"]
#[allow(dead_code)]
mod server;

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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn migration(name: &str) -> PathBuf {
    root().join("fixtures/migrations").join(name).join("migration.sql")
}

fn rehearsal(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    command.args(arguments);
    command
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
    let rows = load(&database, Path::new(snapshot))?;
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

/// Loads the snapshot's rows into the demo's table; returns how many.
fn load(database: &server::Database, snapshot: &Path) -> Result<i64> {
    let schema = std::fs::read_to_string(root().join("fixtures/demo/schema.sql"))?;
    let table: Vec<&str> = schema.split(';').filter(|s| !s.contains("CREATE INDEX")).collect();
    let mut client = database.client();
    client.batch_execute(&table.join(";"))?;
    let csv = snapshot.with_extension("csv");
    let connection = duckdb::Connection::open_in_memory()?;
    let file = snapshot.join("llama_logs.parquet");
    let list = |name: &str| {
        format!(
            "CASE WHEN {name} IS NOT NULL THEN '{{' || array_to_string(list_transform({name}, lambda x: '\"' || x || '\"'), ',') || '}}' END AS {name}"
        )
    };
    connection.execute_batch(&format!(
        "SET autoinstall_known_extensions = false; \
         COPY (SELECT * REPLACE ({}, {}) FROM read_parquet('{}')) TO '{}' (FORMAT csv, HEADER)",
        list("sources"),
        list("fields_enriched"),
        file.display(),
        csv.display()
    ))?;
    let mut copy = client.copy_in("COPY llama_logs FROM STDIN (FORMAT csv, HEADER)")?;
    std::io::copy(&mut std::fs::File::open(&csv)?, &mut copy)?;
    copy.flush()?;
    copy.finish()?;
    for index in INDEXES {
        client.batch_execute(index)?;
    }
    client.batch_execute("VACUUM ANALYZE llama_logs")?;
    client.batch_execute("CHECKPOINT")?;
    Ok(client.query_one("SELECT count(*) FROM llama_logs", &[])?.get(0))
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

fn peak_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
