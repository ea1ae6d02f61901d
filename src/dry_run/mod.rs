//! Dry run: what will this migration do to these rows?
//!
//! Input: a snapshot and a migration. Output: [`DryRunReport`]: for each statement a verdict and what it did to the rows, then the
//! state it all ends in, beside what was expected. Invariants: nothing changes the snapshot; a figure is the server's or the
//! statement is reported as unsupported; what the server leaves to its plan is counted apart. Left out: time on the server.

mod analyze;
mod checks;
mod decoding;
mod difference;
mod effects;
mod engine;
mod execution;
pub mod expect;
mod findings;
mod locks;
mod recognition;
mod recursion;
pub mod report;
mod schema;
pub mod session;
mod store;
mod verification;
mod view;

pub use analyze::{Options, analyze};
pub use expect::Contract;
pub use report::DryRunReport;
