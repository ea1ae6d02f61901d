//! Integration tests that need no server. One binary, so that DuckDB is linked once.

mod cli;
mod readme;
mod support;
mod tidy;
