//! Integration tests that need no server. One binary, so that DuckDB is linked once.

mod cli;
mod fixtures;
mod generate;
mod hostile;
mod support;
