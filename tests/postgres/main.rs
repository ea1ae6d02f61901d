//! Integration tests against a real PostgreSQL server. One binary, so that DuckDB is linked once.

// Each topic uses a part of these; the whole is used by all of them together.
#[allow(dead_code)]
mod cases;
#[allow(dead_code)]
mod fixtures;
#[allow(dead_code)]
mod server;
#[allow(dead_code)]
#[path = "../it/support.rs"]
mod support;

mod beside;
mod catalog;
mod classify;
mod demo;
mod dry_run;
mod export;
mod export_certificate;
mod export_errors;
mod export_faults;
mod export_masks;
mod export_parallel;
mod export_resume;
mod export_since;
mod export_tls;
mod export_values;
mod expressions;
mod generated;
mod growth;
mod history;
mod migrations;
mod pg_catalog;
mod pooler;
mod refusals;
mod resolution;
mod roots;
mod scenarios;
mod schemas;
mod snapshots;
mod steps;
