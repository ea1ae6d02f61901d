//! Integration tests that need no server. One binary, so that DuckDB is linked once.

mod bad_input;
mod classify;
mod cli;
mod contract;
mod dry_run;
mod fixtures;
mod formats;
mod fuzz;
mod generate;
mod growth;
mod history;
mod hostile;
mod readme;
mod roots;
mod sql;
mod support;
mod tidy;
