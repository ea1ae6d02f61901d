//! Unique keys of the rows that a statement wrote.

use super::keys::KeySql;
use super::{MANY, Side, concerns, go_on, refused, violation};
use crate::catalog::{AttNum, Constraint, Index, Problem};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::execution::{Run, Touched};
use crate::translate::table_name;

impl Run<'_, '_> {
    pub(super) fn verify_unique_rows(&mut self, touched: &Touched) -> Ran<()> {
        let indexes: Vec<Index> =
            self.catalog.indexes.values().filter(|i| i.unique && i.table == touched.table).cloned().collect();
        let mut found = None;
        for index in indexes {
            let Some(key) = self.key_sql(&index)? else { continue };
            if !concerns(touched, &key.columns) {
                continue;
            }
            let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
            // Where most rows were written, the keys of all are counted faster than those of some are looked up.
            let written = self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?;
            let constraint = index.constraint.and_then(|oid| self.catalog.constraints.get(&oid));
            let waits = constraint.is_some_and(|constraint| self.catalog.is_deferred(constraint));
            let most = !waits && written > MANY && written * 2 > self.store.row_count(touched.table)?;
            let among = (!most).then_some(touched.rows.as_str());
            go_on(&mut found, self.verify_unique(&index, &key, among, message, "already exists"))?;
            if self.may_pend(touched, constraint) {
                self.pending.entry(index.table).or_insert(false);
            }
        }
        refused(found)
    }

    /// May a new value of a unique key that waits have met another for a moment, although it doesn't in the end?
    pub(super) fn may_pend(&self, touched: &Touched, constraint: Option<&Constraint>) -> bool {
        touched.columns.is_some() && constraint.is_some_and(|constraint| self.waits(constraint))
    }

    pub(super) fn key_sql(&mut self, index: &Index) -> Ran<Option<KeySql>> {
        match KeySql::of(&self.translator(), index) {
            Ok(key) => Ok(Some(key)),
            Err(Halt::Problem(Problem::Unsupported(unsupported))) => {
                self.unverified(&format!("unique index {}", index.name), &unsupported.what);
                Ok(None)
            }
            Err(halt) => Err(halt),
        }
    }

    /// No two rows agree on the key; with `among`, only keys that these rows have are looked at.
    pub(super) fn verify_unique(
        &mut self,
        index: &Index,
        key: &KeySql,
        among: Option<&str>,
        message: String,
        verb: &str,
    ) -> Ran<()> {
        self.store.ensure(index.table, key.columns.iter().copied())?;
        let name = table_name(index.table);
        let (keys, names) = (key.select(&name, &name), key.names());
        let looked_at = match among {
            None => "SELECT * FROM k".to_owned(),
            Some(rows) => format!(
                "SELECT k.* FROM k SEMI JOIN (SELECT DISTINCT {names} FROM k WHERE _r IN (SELECT _r FROM {rows})) AS w ON {}",
                key.join("k", "w")
            ),
        };
        let repeated = format!(
            "WITH k AS MATERIALIZED ({keys}), seen AS ({looked_at}) SELECT {names}, count(*) AS rows{} FROM seen GROUP BY {names} HAVING count(*) > 1",
            key.shown()
        );
        let found = self
            .store
            .engine
            .rows(&format!("SELECT rows, {} AS key FROM ({repeated}) ORDER BY key", key.text()), |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, String>(1)?))
            })?;
        let Some((_, first)) = found.first() else { return Ok(()) };
        let constraint = index.constraint.and_then(|oid| self.catalog.constraints.get(&oid));
        if let Some(constraint) = constraint.filter(|c| among.is_some() && self.waits(c)) {
            self.deferred.insert(constraint.oid, Side::Own);
            self.pending.insert(index.table, true);
            return Ok(());
        }
        let rows = found.iter().map(|(rows, _)| rows).sum();
        let detail = format!("Key ({})=({first}) {verb}.", key.label);
        let shown: Vec<AttNum> = key.columns.iter().copied().collect();
        let from = format!(
            "FROM {name} AS t WHERE t._r IN (SELECT k._r FROM ({keys}) AS k SEMI JOIN ({repeated}) AS d ON {})",
            key.join("k", "d")
        );
        let mut violation = violation("23505", message, Some(detail), rows);
        // Of equal rows the first one that comes in is well.
        let second = format!(
            "SELECT min(_r) FROM (SELECT k._r, row_number() OVER (PARTITION BY {names} ORDER BY k._r) AS n FROM ({keys}) AS k) WHERE n > 1"
        );
        violation.first = self.store.engine.rows(&second, |row| row.get(0))?.pop();
        self.refuse(index.table, &shown, &from, violation)
    }
}
