//! The command line as clap types; the doc comments are the help text.
//!
//! Invariants: one verb a question; the help of each ends with examples that run on the built-in demo.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::dry_run::session::{DEFAULT_ROW_BUDGET, DEFAULT_STEP_BUDGET, Transactions};
use crate::render::Format;
use crate::report::Severity;
use crate::roots::Variant;

/// Rehearse data migrations offline.
///
/// Exports PostgreSQL tables to a Parquet snapshot and then, in an embedded DuckDB and without touching the server again, shows
/// what a migration will do to the rows: what the SQL does, what is true of the data, and every row where the two part.
#[derive(Debug, Parser)]
#[command(
    name = "rehearsal",
    version,
    propagate_version = true,
    after_help = "Start here:\n  rehearsal demo\n  rehearsal export --url postgresql://me@host/db --table llama_logs --out snap\n  rehearsal roots snap\n\nExit codes: 0 nothing to act on; 1 findings at or above --fail-on; 2 the question couldn't be answered."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// How to print the answer: table, json, markdown, github (annotations of a workflow) or sarif; for sql table, json, markdown
    /// or csv [default: table]
    #[arg(long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<Format>,
    /// Write the answer to FILE instead of stdout
    #[arg(long, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 1 when a finding is at least this grave: error, warning, note; or never [default: error]
    #[arg(long, global = true, value_enum, value_name = "SEVERITY", hide_possible_values = true)]
    pub fail_on: Option<FailOn>,
    /// Sample rows shown for each finding
    #[arg(long, global = true, default_value_t = 5, value_name = "N")]
    pub samples: usize,
    /// Read settings from FILE [default: rehearsal.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Threads of the engine [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Memory limit of the engine, e.g. 2GB
    #[arg(long, global = true, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// No warnings and no progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No colour (also NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// No progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// `--fail-on`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors only
    Error,
    /// Warnings and errors
    Warning,
    /// Any finding
    Note,
    /// Exit with 0 whatever is found
    Never,
}

impl FailOn {
    /// The least severity that fails the run.
    pub fn threshold(self) -> Option<Severity> {
        match self {
            FailOn::Error => Some(Severity::Error),
            FailOn::Warning => Some(Severity::Warning),
            FailOn::Note => Some(Severity::Note),
            FailOn::Never => None,
        }
    }
}

/// Which rows an analysis reads.
#[derive(Debug, Clone, Args)]
pub struct Input {
    /// Snapshot folder, Parquet file, folder or glob of Parquet files, or `demo`
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
    /// Table to analyse, where the snapshot holds several
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// The table's own name for a column, e.g. job_id=jobId (repeatable)
    #[arg(long = "column", value_name = "NAME=COLUMN")]
    pub columns: Vec<String>,
}

/// `rehearsal dry-run`
#[derive(Debug, Clone, Args)]
pub struct DryRun {
    /// Migration files, folders of them, a Prisma migrations folder, or - for stdin; in the order they run
    #[arg(value_name = "MIGRATION", required = true)]
    pub migrations: Vec<PathBuf>,
    /// Snapshot to rehearse on: a folder made by `rehearsal export`, or `demo`; or `empty`: a whole history from an empty database
    #[arg(long, value_name = "SNAP")]
    pub on: String,
    /// Contract of what the migration must do
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Write a contract of what the rehearsal gave, to be reviewed and kept
    #[arg(long, value_name = "FILE")]
    pub write_expect: Option<PathBuf>,
    /// Run FILE after the migration, and show what it doesn't bring back
    #[arg(long, value_name = "FILE")]
    pub rollback: Option<PathBuf>,
    /// Ask the queries of FILE after the migration; comments judge them: `expect: no rows`, `Expected: name=number`
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Run another version of the migration as well, and show the rows that end differently
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Compare the schema at the end with that of a snapshot: tables, columns, constraints, indexes and enums that drifted apart
    #[arg(long, value_name = "SNAP")]
    pub drift: Option<String>,
    /// What makes a transaction, and what an error ends
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub transaction: Transactions,
    /// Rows that a recursive query may make before it is stopped
    #[arg(long, default_value_t = DEFAULT_ROW_BUDGET, value_name = "N")]
    pub row_budget: u64,
    /// Statements and rounds of loops that a DO block or function may run before it is stopped
    #[arg(long, default_value_t = DEFAULT_STEP_BUDGET, value_name = "N")]
    pub step_budget: u64,
    /// The first migration to run, of several
    #[arg(long, value_name = "NAME")]
    pub from: Option<String>,
    /// The last migration to run
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// The only migration to run
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "to"])]
    pub only: Option<String>,
    /// Folder to create with report.json and the tables as Parquet, as the migration leaves them
    #[arg(long, value_name = "DIR")]
    pub output_run: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole story on the built-in snapshot: what the plan expected, what the migration does, why they differ
    #[command(after_help = "Examples:\n  rehearsal demo\n  rehearsal demo --format json")]
    Demo(Demo),
    /// Export tables of a PostgreSQL server to a consistent Parquet snapshot
    #[command(
        after_help = "Examples:\n  rehearsal export --url postgresql://me@localhost/shop --table llama_logs --out snap\n  DATABASE_URL=postgresql://me@db.example/shop?sslmode=verify-full rehearsal export --table public.llama_logs --table albums --out snap\n\nThe session is read-only at the server. Without a server at hand, look at a finished export: rehearsal inspect demo"
    )]
    Export(Export),
    /// Show what a snapshot holds and prove that it is intact
    #[command(after_help = "Examples:\n  rehearsal inspect demo\n  rehearsal inspect demo --format json")]
    Inspect(Inspect),
    /// Backfill classification: which rule decides each row, which rules are dead or shadowed
    #[command(
        after_help = "Examples:\n  rehearsal classify demo\n  rehearsal classify demo --rules backfill --against runtime"
    )]
    Classify(Classify),
    /// Root job resolution: the recursive backfill's answer beside the true one
    #[command(
        after_help = "Examples:\n  rehearsal roots demo\n  rehearsal roots demo --variant pattern-2 --depth-limit 5"
    )]
    Roots(Roots),
    /// Every circular reference among jobs, without a depth limit
    #[command(
        after_help = "Examples:\n  rehearsal cycles demo\n  rehearsal cycles demo --fail-on warning --format json"
    )]
    Cycles(Cycles),
    /// Capacity report: bytes per row, size at N albums, when a threshold is crossed
    #[command(
        after_help = "Examples:\n  rehearsal growth demo\n  rehearsal growth demo --albums 10000 --logs-per-album 9 --threshold 500MB"
    )]
    Growth(Growth),
    /// The real migration.sql on a snapshot: what each statement does to the rows, and whether that is what was expected
    #[command(
        after_help = "Examples:\n  echo \"UPDATE llama_logs SET reason = 'x' WHERE status = 'FAILED'\" | rehearsal dry-run - --on demo\n  rehearsal dry-run prisma/migrations --on snap --expect expect.toml --rollback down.sql\n  rehearsal dry-run prisma/migrations --on empty\n\nNothing is written but what --output, --write-expect and --output-run ask for; the snapshot is only read."
    )]
    DryRun(DryRun),
    /// Ad-hoc SQL over a snapshot: a query, a file, a named question, or a shell
    #[command(
        after_help = "Examples:\n  rehearsal sql demo \"SELECT status, count(*) FROM llama_logs GROUP BY ALL ORDER BY ALL\"\n  rehearsal sql demo --named failures-by-error-code\n  rehearsal sql demo --file questions.sql --format csv --output answers.csv\n  rehearsal sql demo            (opens a shell; .help lists what it knows)\n\nTables go by their own names; `log` is the table with canonical column names, which the named questions read. Nothing that SQL\ndoes changes a snapshot: tables and views of your own live in memory."
    )]
    Sql(Sql),
    /// Make a synthetic archive of any size
    #[command(
        after_help = "Examples:\n  rehearsal generate --albums 1000 --seed 7 --out archive\n  rehearsal roots demo          (no archive needed: the built-in snapshot)"
    )]
    Generate(Generate),
    /// Print shell completions
    #[command(
        after_help = "Examples:\n  rehearsal completions bash > rehearsal.bash\n  rehearsal completions zsh > _rehearsal"
    )]
    Completions(Completions),
    /// Print the man page (roff)
    #[command(after_help = "Examples:\n  rehearsal man > rehearsal.1\n  rehearsal man | man -l -")]
    Man,
}

/// `rehearsal demo`
#[derive(Debug, Args)]
pub struct Demo {}

/// `rehearsal export`
#[derive(Debug, Args)]
pub struct Export {
    /// Connection URL or key=value string; the password is never shown
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub url: String,
    /// Table to export, optionally with its schema (repeatable; all in one server snapshot)
    #[arg(long = "table", required = true, value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Folder to create; it must not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Connections that read at once, all on one snapshot of the server [default: a connection a core, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: Option<u8>,
    /// Columns to export, all others are left out: COLUMN, or TABLE.COLUMN where there are several tables (comma-separated,
    /// repeatable)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Rows to export: a condition as behind SQL's WHERE, or `TABLE: condition` where there are several tables (repeatable)
    #[arg(long = "where", value_name = "CONDITION")]
    pub predicates: Vec<String>,
    /// Values that never leave as they are: COLUMN=RULE, TABLE.COLUMN=RULE or, in documents, COLUMN.KEY[].KEY=RULE; RULE is hash
    /// (equal stays equal, unequal stays unequal), null, redact, keep-length or fake (repeatable; also [export.mask] in
    /// rehearsal.toml)
    #[arg(long = "mask", value_name = "COLUMN=RULE")]
    pub masks: Vec<String>,
    /// Environment variable with the masks' secret salt; exports with one salt have the same masked values [default:
    /// REHEARSAL_SALT, else a random one]
    #[arg(long, value_name = "NAME")]
    pub salt_env: Option<String>,
    /// File with the masks' secret salt
    #[arg(long, value_name = "FILE", conflicts_with = "salt_env")]
    pub salt_file: Option<PathBuf>,
    /// Earlier snapshot to continue: its rows, and those of the server that are newer (its files are linked, not read again)
    #[arg(long, value_name = "SNAP")]
    pub since: Option<PathBuf>,
    /// Column that tells what is newer: it only grows, and has no NULL
    #[arg(long, value_name = "COLUMN", default_value = "created_at", requires = "since")]
    pub since_column: String,
    /// Server snapshot to read: the name that a session of yours got from pg_export_snapshot() and keeps its transaction open for
    #[arg(long, value_name = "NAME", conflicts_with = "since")]
    pub snapshot: Option<String>,
    /// Keep the tables that are finished when the export is cut short, and go on with the others when it is run again, as long as
    /// the server's snapshot is held (see --snapshot)
    #[arg(long, conflicts_with = "since")]
    pub resume: bool,
    /// How long the server's snapshot may be held, since that keeps VACUUM from cleaning up, e.g. 30m or 2h; or none
    #[arg(long, value_name = "TIME", default_value = "6h")]
    pub max_snapshot_age: String,
    /// Bytes a second that all connections together may read, e.g. 20MB [default: no limit]
    #[arg(long, value_name = "SIZE")]
    pub rate_limit: Option<String>,
    /// How often to begin again, with a new snapshot, where a standby ends the export (conflict with recovery)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=100))]
    pub retries: u32,
    /// Record each row's address (ctid) and the stored size of its long values in columns of their own, which no analysis shows
    #[arg(long)]
    pub row_storage: bool,
}

/// `rehearsal inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// Snapshot folder, Parquet file, folder or glob of Parquet files, or `demo`
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
}

/// `rehearsal classify`
#[derive(Debug, Args)]
pub struct Classify {
    /// The rows.
    #[command(flatten)]
    pub input: Input,
    /// Ladder: a TOML file, or the built-in `backfill` or `runtime` [default: backfill]
    #[arg(long, value_name = "LADDER")]
    pub rules: Option<String>,
    /// Second ladder to compare with, row by row
    #[arg(long, value_name = "LADDER")]
    pub against: Option<String>,
    /// Write id, category and rule of every row to a Parquet file
    #[arg(long, value_name = "FILE")]
    pub output_rows: Option<PathBuf>,
}

/// What `--depth-limit` may be.
pub const DEPTH_LIMITS: std::ops::RangeInclusive<i64> = 1..=1_000_000;

/// `rehearsal roots`
#[derive(Debug, Args)]
pub struct Roots {
    /// The rows.
    #[command(flatten)]
    pub input: Input,
    /// Depth at which the backfill's recursion stops [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(DEPTH_LIMITS))]
    pub depth_limit: Option<u32>,
    /// Which recorded form of the backfill to replay [default: applied]
    #[arg(long, value_enum)]
    pub variant: Option<Variant>,
    /// Write the outcome, root, depth and replayed root of every row to a Parquet file
    #[arg(long, value_name = "FILE")]
    pub output_rows: Option<PathBuf>,
}

/// `rehearsal cycles`
#[derive(Debug, Args)]
pub struct Cycles {
    /// The rows.
    #[command(flatten)]
    pub input: Input,
}

/// `rehearsal growth`
#[derive(Debug, Args)]
pub struct Growth {
    /// The rows.
    #[command(flatten)]
    pub input: Input,
    /// Album counts to project the size to (comma-separated, repeatable) [default: 10000]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub albums: Vec<u64>,
    /// What if an album wrote this many logs?
    #[arg(long, value_name = "X")]
    pub logs_per_album: Option<f64>,
    /// Sizes whose crossing is dated, e.g. 500MB or 1GiB (comma-separated, repeatable) [default: 500MB]
    #[arg(long, value_name = "SIZE", value_delimiter = ',')]
    pub threshold: Vec<String>,
}

/// `rehearsal sql`
#[derive(Debug, Args)]
pub struct Sql {
    /// Snapshot folder, Parquet file, folder or glob of Parquet files, or `demo`
    #[arg(value_name = "SNAP", required_unless_present_any = ["list", "explain"])]
    pub snapshot: Option<String>,
    /// SQL to run (DuckDB's dialect); `-` reads stdin; none opens a shell
    #[arg(value_name = "QUERY", conflicts_with_all = ["named", "file", "list"])]
    pub query: Option<String>,
    /// Run a named question; --list shows them
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "list"])]
    pub named: Option<String>,
    /// Parameter of a named question (repeatable)
    #[arg(long = "param", value_name = "NAME=VALUE", requires = "named")]
    pub params: Vec<String>,
    /// Run the statements of a file
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    pub file: Option<PathBuf>,
    /// List the named questions with their parameters
    #[arg(long)]
    pub list: bool,
    /// Print the SQL of a named question instead of running it
    #[arg(long, requires = "named")]
    pub explain: bool,
    /// Write the result to a Parquet file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "explain", "output"])]
    pub parquet: Option<PathBuf>,
    /// Let the SQL read this file or folder too (repeatable); it can read nothing else but the snapshot, and write nowhere
    #[arg(long, value_name = "PATH")]
    pub read: Vec<PathBuf>,
    /// Table that named questions read, where the snapshot holds several
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// The table's own name for a column, e.g. job_id=jobId (repeatable)
    #[arg(long = "column", value_name = "NAME=COLUMN")]
    pub columns: Vec<String>,
}

/// `rehearsal generate`
#[derive(Debug, Args)]
pub struct Generate {
    /// Albums; each writes about nine rows
    #[arg(long, value_name = "N")]
    pub albums: u64,
    /// The same seed makes the same archive
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Defects in the job chains
    #[arg(long, value_enum, default_value_t = Pathologies::None)]
    pub pathologies: Pathologies,
    /// Folder to create; it must not exist
    #[arg(long, value_name = "SNAP")]
    pub out: PathBuf,
}

/// `--pathologies`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pathologies {
    /// Every chain is sound
    None,
    /// About one album in a hundred has a defect
    Some,
    /// About one album in three has a defect
    All,
}

/// `rehearsal completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}
