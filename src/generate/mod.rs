//! Synthetic logs: the built-in demo, and archives of any size.
//!
//! Invariants: the same seed makes the same rows, whatever the platform or the number of threads; everything made here says that it
//! is synthetic.

pub mod archive;
pub mod batch;
pub mod calendar;
pub mod csv;
pub mod demo;
pub mod draw;
pub mod jsonb;
pub mod shape;
pub mod vocabulary;
pub mod write;

use chrono::{DateTime, SecondsFormat};

/// A time in UTC as a manifest writes it, to the millisecond.
pub fn rfc3339(us: i64) -> String {
    DateTime::from_timestamp_micros(us).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
