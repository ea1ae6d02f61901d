//! Measures `rehearsal export` against the floor and against other ways to Parquet, in one run on one machine.
//!
//! `cargo bench --bench export -- [--large] [--albums N] [--runs N] [--jobs N]`
//!
//! An archive of 111,800 albums (a million rows; with `--large`, 1,118,000 and ten million) is loaded into a temporary PostgreSQL
//! with the demo's table and vacuumed. Every contender is a process of its own, start-up included, but for the floor:
//!
//! - the floor is the same binary COPY over as many connections, ranges of pages each, its bytes thrown away;
//! - DuckDB's postgres extension writes zstd Parquet;
//! - ConnectorX and the ADBC driver read into Arrow, which pyarrow writes as zstd Parquet.
//!
//! The median of the runs is shown: wall time, CPU time of the process (the server's is not in it), peak memory, size of the file.
//! The peers come from the Python registry into an environment of their own; one that can't be had is shown as such.

// A benchmark prints what it measures; it is no part of the product.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::unwrap_used)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

#[path = "shared/mod.rs"]
#[allow(dead_code)]
mod shared;

use shared::{load, peak_mib, rehearsal, server};

const ALBUMS: u64 = 111_800;
const LARGE_ALBUMS: u64 = 1_118_000;

/// DuckDB's extension comes as a package of the registry for some of its versions only.
const DUCKDB: &str = "1.5.5";

/// A way to Parquet in Python: name, packages, program. `{url}` and `{out}` are filled in.
const PEERS: [(&str, &[&str], &str); 3] = [
    (
        "DuckDB's postgres extension",
        &["duckdb=={duckdb}", "duckdb-extensions", "duckdb-extension-postgres-scanner=={duckdb}"],
        "import duckdb\n\
         from duckdb_extensions import import_extension\n\
         import_extension('postgres_scanner')\n\
         c = duckdb.connect()\n\
         c.execute('LOAD postgres_scanner')\n\
         c.execute(\"ATTACH '{url}' AS pg (TYPE postgres, READ_ONLY)\")\n\
         c.execute(\"COPY pg.public.llama_logs TO '{out}' (FORMAT parquet, COMPRESSION zstd)\")",
    ),
    (
        "ConnectorX, pyarrow",
        &["connectorx", "pyarrow"],
        "import connectorx, pyarrow.parquet\n\
         t = connectorx.read_sql('{url}', 'SELECT * FROM llama_logs', return_type='arrow', protocol='binary')\n\
         pyarrow.parquet.write_table(t, '{out}', compression='zstd')",
    ),
    (
        "ADBC driver, pyarrow",
        &["adbc-driver-postgresql", "adbc-driver-manager", "pyarrow"],
        "import adbc_driver_postgresql.dbapi as d, pyarrow.parquet\n\
         with d.connect('{url}') as c, c.cursor() as k:\n    \
             k.execute('SELECT * FROM llama_logs')\n    \
             pyarrow.parquet.write_table(k.fetch_arrow_table(), '{out}', compression='zstd')",
    ),
];

struct Arguments {
    albums: u64,
    runs: usize,
    jobs: usize,
}

/// One run of a contender.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
    peak_mib: f64,
    bytes: u64,
}

fn main() -> ExitCode {
    match parse().and_then(|arguments| compare(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<Arguments> {
    let mut arguments = Arguments { albums: ALBUMS, runs: 5, jobs: 2 };
    let mut given = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(name) = given.next() {
        if name == "--large" {
            arguments.albums = LARGE_ALBUMS;
            continue;
        }
        let value = given.next().with_context(|| format!("{name} takes a value"))?;
        let number: u64 = value.parse().with_context(|| format!("{name} takes a number, not {value}"))?;
        match name.as_str() {
            "--albums" => arguments.albums = number,
            "--runs" => arguments.runs = number.max(1) as usize,
            "--jobs" => arguments.jobs = number.max(1) as usize,
            _ => bail!("{name} isn't known; the head of benches/export.rs lists the options"),
        }
    }
    Ok(arguments)
}

fn compare(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let snapshot = folder.path().join("snapshot");
    let shown = snapshot.to_str().context("a path in Unicode")?;
    let made = rehearsal(&["generate", "--albums", &arguments.albums.to_string(), "--seed", "1", "--out", shown, "-q"])
        .stdout(Stdio::null())
        .status()?;
    if !made.success() {
        bail!("generating the archive failed");
    }
    let server = server::Server::start(&server::Options { settings: &[("max_wal_size", "4GB")], ..Default::default() });
    let database = server.database();
    // Over TCP, which every contender knows.
    let url = server.url("postgres", &database.name);
    let rows = load(&database, &snapshot, &[])?;
    std::fs::remove_file(snapshot.with_extension("csv"))?;
    println!("{rows} rows; median of {} runs", arguments.runs);
    println!();
    println!("{:<34} {:>9} {:>9} {:>9} {:>9} {:>8}", "", "wall ms", "CPU ms", "peak MiB", "MB", "x floor");
    for jobs in [1, arguments.jobs] {
        let floor = median(&repeat(arguments.runs, || floor(&url, jobs))?);
        line(&format!("floor: COPY, {jobs} connection(s)"), Ok(floor), floor.wall);
        let ours = || {
            let out = folder.path().join("export");
            let shown = out.to_str().context("a path in Unicode")?;
            let jobs = jobs.to_string();
            let arguments = ["export", "--url", &url, "--table", "llama_logs", "--out", shown, "-q", "--jobs", &jobs];
            let run = measure(rehearsal(&arguments), &out.join("llama_logs.parquet"));
            let _ = std::fs::remove_dir_all(&out);
            run
        };
        line(
            &format!("rehearsal export --jobs {jobs}"),
            repeat(arguments.runs, ours).map(|runs| median(&runs)),
            floor.wall,
        );
        if jobs == arguments.jobs {
            peers(arguments, &url, folder.path(), floor.wall);
            break;
        }
    }
    Ok(())
}

fn peers(arguments: &Arguments, url: &str, folder: &Path, floor: Duration) {
    for (name, packages, program) in PEERS {
        let runs = python(folder, packages).and_then(|python| {
            let out = folder.join("peer.parquet");
            let program = program.replace("{url}", url).replace("{out}", &out.display().to_string());
            repeat(arguments.runs, || {
                let mut command = Command::new(&python);
                command.args(["-c", &program]);
                measure(command, &out)
            })
        });
        line(name, runs.map(|runs| median(&runs)), floor);
    }
}

/// An interpreter with these packages, in an environment that the run leaves behind with its folder.
fn python(folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let environment = folder.join("python");
    let interpreter = environment.join("bin/python");
    let quiet = |command: &mut Command| -> Result<()> {
        let output = command.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no reason given"));
        }
        Ok(())
    };
    if !interpreter.exists() {
        quiet(Command::new("python3").args(["-m", "venv"]).arg(&environment)).context("no Python environment")?;
    }
    let packages = packages.iter().map(|package| package.replace("{duckdb}", DUCKDB));
    quiet(Command::new(&interpreter).args(["-m", "pip", "install", "-q"]).args(packages))
        .context("can't be installed")?;
    Ok(interpreter)
}

/// The table's bytes over so many connections on one snapshot, each a share of its pages, thrown away.
fn floor(url: &str, jobs: usize) -> Result<Run> {
    let begun = Instant::now();
    let connect = || postgres::Client::connect(url, postgres::NoTls);
    let mut first = connect()?;
    first.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let snapshot: String = first.query_one("SELECT pg_export_snapshot()", &[])?.get(0);
    let pages: i64 = first.query_one("SELECT pg_relation_size('llama_logs') / 8192", &[])?.get(0);
    let share = |n: usize| pages * n as i64 / jobs as i64;
    let bytes = std::thread::scope(|scope| -> Result<u64> {
        let readers: Vec<_> = (0..jobs)
            .map(|n| {
                let snapshot = &snapshot;
                scope.spawn(move || -> Result<u64> {
                    let mut client = connect()?;
                    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
                    client.batch_execute(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'"))?;
                    let until = if n + 1 == jobs { i64::from(u32::MAX) } else { share(n + 1) };
                    let mut stream = client.copy_out(&format!(
                        "COPY (SELECT * FROM llama_logs WHERE ctid >= '({},0)' AND ctid < '({until},0)') TO STDOUT (FORMAT binary)",
                        share(n)
                    ))?;
                    Ok(std::io::copy(&mut stream, &mut std::io::sink())?)
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader")).sum()
    })?;
    Ok(Run { wall: begun.elapsed(), cpu: Duration::ZERO, peak_mib: 0.0, bytes })
}

/// Runs a process to its end.
fn measure(mut command: Command, out: &Path) -> Result<Run> {
    let _ = std::fs::remove_file(out);
    let before = children_cpu()?;
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = peak.max(peak_mib(child.id()).unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(2));
    };
    let wall = begun.elapsed();
    if !status.success() {
        let mut errors = String::new();
        child.stderr.take().context("its errors")?.read_to_string(&mut errors)?;
        bail!("{}", errors.trim().lines().last().unwrap_or("it failed without a word"));
    }
    Ok(Run { wall, cpu: children_cpu()?.saturating_sub(before), peak_mib: peak, bytes: std::fs::metadata(out)?.len() })
}

/// CPU time of all children that have ended, from the kernel's clock ticks (a hundred a second on Linux).
fn children_cpu() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("fields")?.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
    Ok(Duration::from_millis((ticks(13)? + ticks(14)?) * 10))
}

fn repeat(runs: usize, mut run: impl FnMut() -> Result<Run>) -> Result<Vec<Run>> {
    (0..runs).map(|_| run()).collect()
}

/// The run in the middle, by wall time.
fn median(runs: &[Run]) -> Run {
    let mut runs = runs.to_vec();
    runs.sort_by_key(|run| run.wall);
    runs[runs.len() / 2]
}

fn line(name: &str, run: Result<Run>, floor: Duration) {
    match run {
        Ok(run) => println!(
            "{name:<34} {:>9.0} {:>9.0} {:>9.0} {:>9.1} {:>8.2}",
            run.wall.as_secs_f64() * 1000.0,
            run.cpu.as_secs_f64() * 1000.0,
            run.peak_mib,
            run.bytes as f64 / 1e6,
            run.wall.as_secs_f64() / floor.as_secs_f64()
        ),
        Err(error) => println!("{name:<34} not measured: {error:#}"),
    }
}
