//! Points: where an exception block or a SAVEPOINT leads back to.
//!
//! Input: the session at a point. Output: the same session again. Invariant: numbers taken from a sequence stay taken.

use std::collections::BTreeMap;

use super::Session;
use super::pending::Pending;
use crate::catalog::{Catalog, Oid};
use crate::dry_run::engine::Ran;
use crate::dry_run::recognition::Recognition;
use crate::dry_run::schema::Provenance;
use crate::dry_run::store;

/// A point within a transaction.
pub(super) struct Point {
    store: store::Point,
    catalog: Catalog,
    unreliable: BTreeMap<Oid, usize>,
    pending: Pending,
    waiting: usize,
    recognition: Recognition,
    provenance: Provenance,
}

impl Session<'_> {
    pub(super) fn set_point(&mut self) -> Point {
        Point {
            store: self.store.set_point(),
            catalog: self.catalog.clone(),
            unreliable: self.unreliable.clone(),
            pending: self.pending.clone(),
            waiting: self.waiting.len(),
            recognition: self.recognition.clone(),
            provenance: self.provenance.clone(),
        }
    }

    pub(super) fn go_back(&mut self, point: &Point) -> Ran<()> {
        let standing = std::mem::take(&mut self.catalog.sequences);
        self.store.go_back(&point.store)?;
        self.catalog = point.catalog.clone();
        self.unreliable.clone_from(&point.unreliable);
        self.pending.clone_from(&point.pending);
        self.waiting.truncate(point.waiting);
        self.recognition = point.recognition.clone();
        self.provenance = point.provenance.clone();
        self.catalog.keep_numbers(&standing);
        Ok(())
    }

    /// Gives a point up; what was done since stays.
    pub(super) fn release(&mut self, point: Point) -> Ran<()> {
        drop(point);
        self.store.release()
    }
}
