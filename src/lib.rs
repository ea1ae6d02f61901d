//! `rehearsal`: rehearse data migrations offline.
//!
//! ```text
//!  PostgreSQL ──export──▶ snapshot (Parquet + manifest) ──open──▶ DuckDB, view `log`
//!                                                        │
//!         queries/*.sql ────────────────────────────────▶│
//!                                                        ▼
//!      classify · roots · cycles · growth · dry_run · sql          (analyses: data in, report out)
//!                                                        │
//!                                                        ▼
//!                                   report (findings, result, view) ──▶ table · JSON · Markdown
//! ```
//!
//! Data goes one way. An analysis never prints, never reads the environment or the clock, and never knows a format.
//!
//! Modules in reading order:
//!
//! 1. [`cli`]: the commands and their options; the doc comments are the help text.
//! 2. [`commands`]: one short file a command: open, analyse, render.
//! 3. [`snapshot`]: what a snapshot is on disk, and how it becomes views in DuckDB.
//! 4. [`report`]: findings, the JSON envelope and the neutral view; [`render`] turns those into bytes.
//! 5. [`query`]: the registry of embedded SQL.
//! 6. [`inspect`]: the certificate of a snapshot; the smallest analysis, and the pattern of all others.
//! 7. [`export`] and [`generate`]: where snapshots come from.
//! 8. [`classify`], [`roots`], [`cycles`] (both over [`job_graph`]), [`growth`], [`sql`]: the analyses, all with the same face.
//! 9. The dry run, in the order a statement takes: [`migration`] reads files into statements, [`catalog`] knows what PostgreSQL
//!    would know of the schema, [`translate`] types a statement and says it in DuckDB's SQL, [`plpgsql`] runs the bodies of blocks, functions
//!    and triggers, [`dry_run`] carries it all out on copies of the rows and reports.
//! 10. [`config`], [`staging`] and [`ui`]: the project's settings; files that appear whole; the terminal.
//!
//! Invariants:
//!
//! - Nothing writes to the source database: sessions are read-only at the server.
//! - Nothing writes to a snapshot: the engine reads views over its files, after their hashes are proven.
//! - Files appear under their name only when whole.
//! - A replay is bug for bug what the server would do; the oracle beside it never looks at the migration's SQL.
//! - A statement's answer in a dry run is the server's, or the statement is reported as one that couldn't be rehearsed.
//! - What the server leaves open (ties) is reported as a set of possible answers, never as one of them.

pub mod catalog;
pub mod classify;
pub mod cli;
pub mod commands;
pub mod config;
pub mod cycles;
pub mod demo;
pub mod dry_run;
pub mod export;
pub mod generate;
pub mod growth;
pub mod inspect;
pub mod job_graph;
pub mod migration;
mod native;
pub mod plpgsql;
pub mod query;
pub mod render;
pub mod report;
pub mod roots;
pub mod snapshot;
pub mod sql;
pub mod staging;
pub mod translate;
pub mod ui;
