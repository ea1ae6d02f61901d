//! Physical facts: what does the server say about a table's place on the disk, and about its own settings?
//!
//! Input: a session in the export's transaction. Output: the manifest's [`Physical`], [`Capacity`] and [`Run`]. Invariant: nothing
//! here can end an export: what the role may not read is recorded as not readable. Left out: what to make of it.

use anyhow::{Context, Result, anyhow};

use super::connection::Session;
use crate::query::{self, Query};
use crate::snapshot::physical::{Capacity, Physical, PhysicalRelation, Run, Setting};

/// How a relation and its descendants lie on the disk.
///
/// # Errors
/// When the connection fails.
pub fn of_relation(session: &Session, oid: u32) -> Result<Physical> {
    let read = || -> Result<Vec<PhysicalRelation>> {
        let facts = session.fetch(&query::EXPORT_PHYSICAL, &[&oid], |row| row.try_get::<_, String>("facts"))?;
        let parsed = facts.iter().map(|facts| serde_json::from_str(facts).context("reading the server's facts"));
        parsed.collect()
    };
    Ok(match optional(session, read)? {
        Ok(relations) => Physical::Relations(relations),
        Err(reason) => Physical::NotReadable { not_readable: reason },
    })
}

/// What the server decides for all tables.
///
/// # Errors
/// When the connection fails.
pub fn capacity(session: &Session) -> Result<Capacity> {
    let settings = session.fetch(&query::EXPORT_CAPACITY_SETTINGS, &[], |row| {
        Ok(Setting { name: row.try_get("name")?, setting: row.try_get("setting")?, unit: row.try_get("unit")? })
    })?;
    let slots = || number(session, &query::EXPORT_REPLICATION_SLOTS, "slots");
    Ok(Capacity { settings, replication_slots: optional(session, slots)?.ok() })
}

/// How the export went; asked when all rows are read.
///
/// # Errors
/// When the connection fails.
pub fn run(session: &Session, connections: u64) -> Result<Run> {
    let rows = session.fetch(&query::EXPORT_HORIZON, &[], |row| {
        let held: Option<i64> = row.try_get("held_transactions")?;
        Ok(Run {
            ended_at: row.try_get("ended_at")?,
            horizon_held_ms: row.try_get::<_, i64>("held_ms")?.unsigned_abs(),
            horizon_held_transactions: held.map(i64::unsigned_abs),
            connections,
        })
    })?;
    rows.into_iter().next().ok_or_else(|| anyhow!("the server doesn't know its own session"))
}

fn number(session: &Session, query: &Query, column: &str) -> Result<u64> {
    let rows = session.fetch(query, &[], |row| row.try_get::<_, i64>(column))?;
    rows.first().map(|number| number.unsigned_abs()).context("a count without a row")
}

/// Asks what the server may refuse; the inner error is its reason.
fn optional<T>(session: &Session, ask: impl Fn() -> Result<T>) -> Result<Result<T, String>> {
    session.run(query::EXPORT_SAVEPOINT.text)?;
    match ask() {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => {
            session.run(query::EXPORT_ROLLBACK_TO_SAVEPOINT.text)?;
            Ok(Err(error.root_cause().to_string()))
        }
    }
}
