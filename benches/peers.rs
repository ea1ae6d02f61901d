//! Measures `roots` and `classify` against the floor and against DuckDB doing the same work itself, in one run.
//!
//! `cargo bench --bench peers -- [--albums N] [--runs N] [--recursive-limit SECONDS]`
//!
//! Every contender is a process of its own on the same generated archive: whole-process wall time (start-up included), and
//! peak memory as the kernel counts it (`VmHWM`). The median of the runs is shown. The floor for `roots` is DuckDB counting the
//! distinct job and parent ids; for `classify`, a GROUP BY over operation and status.

// A benchmark prints what it measures; it is no part of the product.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const FLOOR: &str = "SELECT count(DISTINCT job_id), count(DISTINCT parent_job_id) FROM logs";
const GROUP_BY: &str = "SELECT operation, status, count(*) FROM logs GROUP BY ALL";
/// The recursive backfill as it was applied, counted instead of written.
const RECURSIVE: &str = "
WITH RECURSIVE chain AS (
    SELECT id, parent_job_id, parent_job_id AS root_candidate, 1 AS depth FROM logs WHERE parent_job_id IS NOT NULL
    UNION ALL
    SELECT chain.id, parent.parent_job_id, parent.job_id, chain.depth + 1
    FROM chain JOIN logs AS parent ON parent.job_id = chain.parent_job_id
    WHERE chain.depth < 10
)
SELECT count(*), count(DISTINCT root_candidate)
FROM (SELECT DISTINCT ON (id) id, root_candidate FROM chain ORDER BY id, depth DESC)";

struct Arguments {
    albums: u64,
    runs: usize,
    recursive_limit: Duration,
}

struct Measured {
    /// Median of the runs; `None` where the limit ended it.
    wall_ms: Option<f64>,
    peak_mib: f64,
}

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("--query") => run_query(),
        _ => arguments().and_then(|arguments| compare(&arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { albums: 111_800, runs: 5, recursive_limit: Duration::from_secs(300) };
    // cargo adds --bench of its own.
    let mut given = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(name) = given.next() {
        let value: u64 = given.next().with_context(|| format!("{name} takes a number"))?.parse()?;
        match name.as_str() {
            "--albums" => arguments.albums = value,
            "--runs" => arguments.runs = value.max(1) as usize,
            "--recursive-limit" => arguments.recursive_limit = Duration::from_secs(value),
            _ => bail!("unknown option {name}: --albums N, --runs N, --recursive-limit SECONDS"),
        }
    }
    Ok(arguments)
}

/// The child's side: one query in DuckDB over one Parquet file.
fn run_query() -> Result<()> {
    let [file, sql] = [2, 3].map(|n| std::env::args().nth(n).unwrap_or_default());
    let connection = duckdb::Connection::open_in_memory()?;
    connection.execute_batch("SET autoinstall_known_extensions = false; SET preserve_insertion_order = false")?;
    connection.execute_batch(&format!("CREATE VIEW logs AS SELECT * FROM read_parquet('{file}')"))?;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn compare(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("archive");
    let binary = Path::new(env!("CARGO_BIN_EXE_rehearsal"));
    let generate = ["generate", "--albums", &arguments.albums.to_string(), "--seed", "1", "--format", "json", "--out"];
    let started = Instant::now();
    let output = Command::new(binary).args(generate).arg(&archive).output()?;
    if !output.status.success() {
        bail!("generate: {}", String::from_utf8_lossy(&output.stderr));
    }
    let generated: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let rows = generated["snapshot"]["rows"].as_u64().context("rows of the archive")?;
    println!("{rows} rows, generated in {:.1} s; median of {} runs\n", started.elapsed().as_secs_f64(), arguments.runs);

    let file = archive.join("llama_logs.parquet");
    let me = std::env::current_exe()?;
    let query = |sql: &str| (me.clone(), vec!["--query".to_owned(), file.display().to_string(), sql.to_owned()]);
    let own = |command: &str| {
        (
            binary.to_owned(),
            vec![command.to_owned(), archive.display().to_string(), "--fail-on".to_owned(), "never".to_owned()],
        )
    };
    let quick = Duration::from_secs(600);

    let floor = measure(&query(FLOOR), arguments.runs, quick)?;
    let roots = measure(&own("roots"), arguments.runs, quick)?;
    // One run: it is long, and only its order of magnitude matters.
    let recursive = measure(&query(RECURSIVE), 1, arguments.recursive_limit)?;
    println!("{:<44} {:>10} {:>10} {:>9}", "roots", "wall ms", "peak MiB", "x floor");
    show("floor: DuckDB, count distinct job and parent", &floor, &floor);
    show("rehearsal roots (oracle, replay, report)", &roots, &floor);
    show("DuckDB running the recursive backfill", &recursive, &floor);

    let group_by = measure(&query(GROUP_BY), arguments.runs, quick)?;
    let classify = measure(&own("classify"), arguments.runs, quick)?;
    println!("\n{:<44} {:>10} {:>10} {:>9}", "classify", "wall ms", "peak MiB", "x floor");
    show("floor: DuckDB, GROUP BY operation, status", &group_by, &group_by);
    show("rehearsal classify (ladder, replay, report)", &classify, &group_by);
    Ok(())
}

fn show(name: &str, measured: &Measured, floor: &Measured) {
    let wall = measured.wall_ms.map_or("stopped".to_owned(), |ms| format!("{ms:.0}"));
    let ratio = match (measured.wall_ms, floor.wall_ms) {
        (Some(ms), Some(floor)) => format!("{:.1}", ms / floor),
        _ => "-".to_owned(),
    };
    println!("{name:<44} {wall:>10} {:>10.0} {ratio:>9}", measured.peak_mib);
}

fn measure((program, arguments): &(PathBuf, Vec<String>), runs: usize, limit: Duration) -> Result<Measured> {
    let mut walls = Vec::with_capacity(runs);
    let mut peak_mib = 0.0_f64;
    for _ in 0..runs {
        let started = Instant::now();
        let mut child = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let ended = watch(&mut child, started, limit, &mut peak_mib)?;
        let Some(wall) = ended else {
            return Ok(Measured { wall_ms: None, peak_mib });
        };
        walls.push(wall.as_secs_f64() * 1000.0);
    }
    walls.sort_by(f64::total_cmp);
    Ok(Measured { wall_ms: Some(walls[walls.len() / 2]), peak_mib })
}

/// Waits for the child and follows its peak memory; kills it at the limit.
fn watch(child: &mut Child, started: Instant, limit: Duration, peak_mib: &mut f64) -> Result<Option<Duration>> {
    let status = format!("/proc/{}/status", child.id());
    loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let kib =
                text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
            *peak_mib = peak_mib.max(kib.unwrap_or(0.0) / 1024.0);
        }
        if let Some(status) = child.try_wait()? {
            let wall = started.elapsed();
            if !status.success() {
                let mut text = String::new();
                std::io::Read::read_to_string(child.stderr.as_mut().context("stderr")?, &mut text)?;
                bail!("a contender failed: {text}");
            }
            return Ok(Some(wall));
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
