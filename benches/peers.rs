//! Measures `roots` and `classify` against the floor and against DuckDB doing the same work itself, in one run.
//!
//! `cargo bench --bench peers -- [--large] [--albums N] [--archive none|some|all] [--runs N] [--recursive-limit SECONDS]`
//!
//! Three archives of 111,800 albums (a million rows) each: every chain sound, some defective, all defective; with `--large`, of
//! 1,118,000 albums (ten million rows; takes an hour). Every contender is a process of its own on the
//! same file: wall time start-up included, and peak memory as the kernel counts it (`VmHWM`). The median of the runs is shown.
//!
//! - The floor of `roots` is DuckDB counting the distinct job and parent ids; that of `classify`, a GROUP BY over operation and
//!   status.
//! - DuckDB's query is the recursion and DISTINCT ON alone, over the same file, its rows counted instead of written.
//! - DuckDB's backfill is the migration's recursive statement, as in `queries/postgres/roots/backfill_applied.sql`: the recursion
//!   over rows, DISTINCT ON, and the UPDATE of the table. Only that statement's time is compared; loading the table and the
//!   UPDATE of the root rows before it are shown beside it.
//!
//! DuckDB's query and backfill are repeated only as long as all their runs together stay within the limit (300 s unless given);
//! where one doesn't end by then, the limit is a lower bound, shown with `>`. DuckDB may use 8 GB of memory and 30 GB of disk: where
//! every chain may be defective the recursion makes more than a billion rows, and what doesn't fit is shown as failed.

// A benchmark prints what it measures; it is no part of the product.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use duckdb::Connection;
use rehearsal::query::{ROOTS_BACKFILL_APPLIED, ROOTS_BACKFILL_ROOT_ROWS, quote_literal};
use rehearsal::roots::DEFAULT_DEPTH_LIMIT;

const FLOOR: &str = "SELECT count(DISTINCT job_id), count(DISTINCT parent_job_id) FROM logs";
const GROUP_BY: &str = "SELECT operation, status, count(*) FROM logs GROUP BY ALL";
const ALBUMS: u64 = 111_800;
const LARGE_ALBUMS: u64 = 1_118_000;
const ARCHIVES: [&str; 3] = ["none", "some", "all"];

/// The recursion of the backfill as it was applied, and the choice of the deepest candidate, counted instead of written.
const RECURSION: &str = "
WITH RECURSIVE chain AS (
    SELECT id, parent_job_id AS candidate, parent_job_id AS next_job_id, 1 AS depth FROM logs WHERE parent_job_id IS NOT NULL
    UNION ALL
    SELECT chain.id, parent.job_id, parent.parent_job_id, chain.depth + 1
    FROM chain JOIN logs AS parent ON parent.job_id = chain.next_job_id
    WHERE chain.depth < 10
)
SELECT count(*), count(DISTINCT candidate)
FROM (SELECT DISTINCT ON (id) id, candidate FROM chain ORDER BY id, depth DESC)";

struct Arguments {
    albums: u64,
    archives: Vec<String>,
    runs: usize,
    recursive_limit: Duration,
}

/// What the runs of a contender took.
#[derive(Default)]
struct Measured {
    /// Median.
    wall_ms: f64,
    peak_mib: f64,
}

/// What a long statement took; with a limit.
struct Limited {
    /// Medians of the steps before it, and of itself where it came to an end.
    steps_ms: Vec<f64>,
    /// Why it was ended.
    ended: Option<String>,
    peak_mib: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("--query") => run_query(&arguments[1..]),
        Some("--recursion") => run_recursion(&arguments[1..]),
        Some("--backfill") => run_backfill(&arguments[1..]),
        _ => parse(&arguments).and_then(|arguments| compare(&arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse(given: &[String]) -> Result<Arguments> {
    let mut arguments = Arguments {
        albums: ALBUMS,
        archives: ARCHIVES.map(str::to_owned).to_vec(),
        runs: 5,
        recursive_limit: Duration::from_secs(300),
    };
    // cargo adds --bench of its own.
    let mut given = given.iter().filter(|a| *a != "--bench");
    while let Some(name) = given.next() {
        if name == "--large" {
            arguments.albums = LARGE_ALBUMS;
            continue;
        }
        let value = given.next().with_context(|| format!("{name} takes a value"))?;
        let number = || value.parse::<u64>().with_context(|| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--albums" => arguments.albums = number()?,
            "--archive" if ARCHIVES.contains(&value.as_str()) => arguments.archives = vec![value.clone()],
            "--runs" => arguments.runs = number()?.max(1) as usize,
            "--recursive-limit" => arguments.recursive_limit = Duration::from_secs(number()?),
            _ => bail!("{name} {value} isn't known; the head of benches/peers.rs lists the options"),
        }
    }
    Ok(arguments)
}

fn engine() -> Result<Connection> {
    let connection = Connection::open_in_memory()?;
    let spill = quote_literal(&std::env::temp_dir().join("rehearsal-peers-spill").display().to_string());
    connection.execute_batch(&format!(
        "SET autoinstall_known_extensions = false; SET preserve_insertion_order = false; SET temp_directory = {spill}; \
         SET memory_limit = '8GB'; SET max_temp_directory_size = '30GB'"
    ))?;
    Ok(connection)
}

fn view(file: &str) -> String {
    format!("CREATE VIEW logs AS SELECT * FROM read_parquet({})", quote_literal(file))
}

fn execute(engine: &Connection, sql: &str) -> duckdb::Result<()> {
    let mut statement = engine.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// The child's side of a floor: one query in DuckDB over one Parquet file.
fn run_query(arguments: &[String]) -> Result<()> {
    let [file, sql] = arguments else { bail!("--query FILE SQL") };
    let engine = engine()?;
    engine.execute_batch(&view(file))?;
    Ok(execute(&engine, sql)?)
}

/// The child's side of DuckDB's query.
fn run_recursion(arguments: &[String]) -> Result<()> {
    let [file, limit] = arguments else { bail!("--recursion FILE SECONDS") };
    run_limited(&[view(file)], limit, |engine| execute(engine, RECURSION))
}

/// The child's side of DuckDB's backfill.
fn run_backfill(arguments: &[String]) -> Result<()> {
    let [file, limit] = arguments else { bail!("--backfill FILE SECONDS") };
    let load = format!(
        "CREATE TABLE llama_logs AS SELECT *, NULL::VARCHAR AS root_job_id FROM read_parquet({})",
        quote_literal(file)
    );
    run_limited(&[load, ROOTS_BACKFILL_ROOT_ROWS.text.to_owned()], limit, |engine| {
        engine.execute(ROOTS_BACKFILL_APPLIED.text, [DEFAULT_DEPTH_LIMIT]).map(drop)
    })
}

/// Runs statements, and one more that is ended at the limit; prints what each took, in milliseconds, a line each, or why it ended.
fn run_limited(before: &[String], limit: &str, last: impl FnOnce(&Connection) -> duckdb::Result<()>) -> Result<()> {
    let limit = Duration::from_secs(limit.parse()?);
    let engine = engine()?;
    let milliseconds = |started: Instant| started.elapsed().as_secs_f64() * 1000.0;
    for statement in before {
        let started = Instant::now();
        engine.execute_batch(statement)?;
        println!("{}", milliseconds(started));
    }
    let handle = engine.interrupt_handle();
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        handle.interrupt();
    });
    let started = Instant::now();
    match last(&engine) {
        Ok(()) => println!("{}", milliseconds(started)),
        Err(error) => println!("{}", error.to_string().lines().next().unwrap_or_default()),
    }
    // Giving back some gigabytes is no part of it.
    std::mem::forget(engine);
    Ok(())
}

fn compare(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for pathologies in &arguments.archives {
        let archive = folder.path().join(pathologies);
        generate(arguments, pathologies, &archive)?;
        let bench = Bench { archive: &archive, runs: arguments.runs };
        bench.roots(arguments.recursive_limit)?;
        bench.classify()?;
        bench.others(folder.path())?;
        std::fs::remove_dir_all(&archive)?;
    }
    Ok(())
}

fn generate(arguments: &Arguments, pathologies: &str, archive: &Path) -> Result<()> {
    let albums = arguments.albums.to_string();
    let command = ["generate", "--albums", &albums, "--seed", "1", "--pathologies", pathologies, "--format", "json"];
    let mut process = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
    process.args(command).arg("--out").arg(archive);
    let (run, answer) = watch(process)?;
    let generated: serde_json::Value = serde_json::from_str(&answer)?;
    let rows = generated["snapshot"]["rows"].as_u64().context("rows of the archive")?;
    println!(
        "\n=== --pathologies {pathologies}: {rows} rows, generated in {:.1} s and {:.0} MiB; median of {} runs",
        run.wall_ms / 1000.0,
        run.peak_mib,
        arguments.runs
    );
    Ok(())
}

/// Contenders over one archive.
struct Bench<'a> {
    archive: &'a Path,
    runs: usize,
}

impl Bench<'_> {
    fn file(&self) -> PathBuf {
        self.archive.join("llama_logs.parquet")
    }

    fn query(&self, sql: &str) -> Result<Measured> {
        self.measure(|| {
            let mut process = Command::new(std::env::current_exe()?);
            process.arg("--query").arg(self.file()).arg(sql);
            Ok(process)
        })
    }

    fn own(&self, command: &str, more: &[&Path]) -> Result<Measured> {
        self.measure(|| {
            let mut process = Command::new(env!("CARGO_BIN_EXE_rehearsal"));
            process.arg(command).arg(self.archive).args(["--fail-on", "never"]);
            if let [file] = more {
                process.arg("--output-rows").arg(file);
            }
            Ok(process)
        })
    }

    fn measure(&self, process: impl Fn() -> Result<Command>) -> Result<Measured> {
        let runs: Vec<Measured> = (0..self.runs).map(|_| Ok(watch(process()?)?.0)).collect::<Result<_>>()?;
        let peak_mib = runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max);
        Ok(Measured { wall_ms: median(runs.iter().map(|run| run.wall_ms)), peak_mib })
    }

    fn roots(&self, limit: Duration) -> Result<()> {
        let floor = self.query(FLOOR)?;
        let roots = self.own("roots", &[])?;
        let recursion = self.limited("--recursion", 2, limit)?;
        let backfill = self.limited("--backfill", 3, limit)?;
        println!("\n{:<46} {:>10} {:>10} {:>9} {:>9}", "roots", "wall ms", "peak MiB", "x floor", "x roots");
        show("floor: DuckDB, count distinct job and parent", &floor, &floor);
        show("rehearsal roots: oracle, replay, report", &roots, &floor);
        for (name, limited, steps) in
            [("DuckDB: the recursive query, counted", &recursion, 2), ("DuckDB: the recursive UPDATE", &backfill, 3)]
        {
            let (ms, bound) = match (limited.steps_ms.get(steps - 1), &limited.ended) {
                (Some(ms), _) => (*ms, ""),
                (None, Some(why)) if !why.starts_with("INTERRUPT") => {
                    println!("{name:<46} {:>10} {:>10.0}  {why}", "failed", limited.peak_mib);
                    continue;
                }
                _ => (limit.as_secs_f64() * 1000.0, ">"),
            };
            let times = |of: &Measured| format!("{bound}{:.1}", ms / of.wall_ms);
            let (wall, peak) = (format!("{bound}{ms:.0}"), limited.peak_mib);
            println!("{name:<46} {wall:>10} {peak:>10.0} {:>9} {:>9}", times(&floor), times(&roots));
        }
        let [load_ms, root_rows_ms, ..] = backfill.steps_ms[..] else { bail!("the table was loaded and updated") };
        println!(
            "  before the UPDATE, not counted: loading the table {load_ms:.0} ms, the UPDATE of the root rows {root_rows_ms:.0} ms"
        );
        Ok(())
    }

    /// Runs a contender of `steps` steps, the last of which has a limit.
    fn limited(&self, contender: &str, steps: usize, limit: Duration) -> Result<Limited> {
        let begun = Instant::now();
        let mut runs: Vec<Vec<f64>> = vec![Vec::new(); steps];
        let mut limited = Limited { steps_ms: Vec::new(), ended: None, peak_mib: 0.0 };
        while limited.ended.is_none() && runs[0].len() < self.runs && (runs[0].is_empty() || begun.elapsed() < limit) {
            let mut process = Command::new(std::env::current_exe()?);
            process.arg(contender).arg(self.file()).arg(limit.as_secs().to_string());
            let (run, answer) = watch(process)?;
            limited.peak_mib = limited.peak_mib.max(run.peak_mib);
            for (step, line) in runs.iter_mut().zip(answer.lines()) {
                match line.parse::<f64>() {
                    Ok(ms) => step.push(ms),
                    Err(_) => limited.ended = Some(line.to_owned()),
                }
            }
        }
        limited.steps_ms = runs.into_iter().filter(|ms| !ms.is_empty()).map(|ms| median(ms.into_iter())).collect();
        Ok(limited)
    }

    fn classify(&self) -> Result<()> {
        let floor = self.query(GROUP_BY)?;
        let classify = self.own("classify", &[])?;
        println!("\n{:<46} {:>10} {:>10} {:>9}", "classify", "wall ms", "peak MiB", "x floor");
        show("floor: DuckDB, GROUP BY operation, status", &floor, &floor);
        show("rehearsal classify: ladder, replay, report", &classify, &floor);
        Ok(())
    }

    fn others(&self, folder: &Path) -> Result<()> {
        let rows = folder.join("rows.parquet");
        println!("\n{:<46} {:>10} {:>10}", "other commands", "wall ms", "peak MiB");
        for (command, more) in
            [("inspect", None), ("cycles", None), ("growth", None), ("classify", Some(&rows)), ("roots", Some(&rows))]
        {
            let more: Vec<&Path> = more.map(PathBuf::as_path).into_iter().collect();
            let Measured { wall_ms, peak_mib } = self.own(command, &more)?;
            let option = if more.is_empty() { "" } else { " --output-rows" };
            println!("{:<46} {wall_ms:>10.0} {peak_mib:>10.0}", format!("rehearsal {command}{option}"));
        }
        Ok(())
    }
}

fn show(name: &str, measured: &Measured, floor: &Measured) {
    let Measured { wall_ms, peak_mib } = measured;
    println!("{name:<46} {wall_ms:>10.0} {peak_mib:>10.0} {:>9.1}", wall_ms / floor.wall_ms);
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a process to its end; returns what it took, and its standard output.
fn watch(mut process: Command) -> Result<(Measured, String)> {
    let started = Instant::now();
    let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (answer, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let mut run = Measured::default();
    let status = wait(&mut child, &mut run)?;
    run.wall_ms = started.elapsed().as_secs_f64() * 1000.0;
    let [answer, errors] = [answer, errors].map(|reader| reader.join().unwrap_or_default());
    if !status.success() {
        bail!("{process:?} failed ({status}): {errors}");
    }
    Ok((run, answer))
}

/// Reads a pipe beside, so that the process never waits for room in it.
fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        // What can't be read is missed by whoever asks for it.
        let _ = pipe.map(|mut pipe| pipe.read_to_string(&mut text));
        text
    })
}

/// Waits for the child and follows its peak memory.
fn wait(child: &mut Child, run: &mut Measured) -> Result<std::process::ExitStatus> {
    let path = format!("/proc/{}/status", child.id());
    loop {
        if let Ok(text) = std::fs::read_to_string(&path) {
            let kib =
                text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
            run.peak_mib = run.peak_mib.max(kib.unwrap_or(0.0) / 1024.0);
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
