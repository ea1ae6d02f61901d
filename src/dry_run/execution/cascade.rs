//! Referential actions: what deleting rows, or changing their keys, does to the rows that refer to them.
//!
//! Input: rows about to go or to change. Output: the same done to referring rows, level by level, counted apart. Invariants: it
//! ends, because every level deletes rows or changes them once; RESTRICT is judged at once, NO ACTION when all is done.

use std::collections::VecDeque;

use super::{Cascaded, Run, Touched};
use crate::catalog::{Action, AttNum, Catalog, Constraint, ConstraintKind, ForeignKey, Oid};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::store::{Change, column, columns_of};
use crate::dry_run::verification::{Side, violation};
use crate::translate::{column_name, equality, table_name};

/// Keys that are about to go, and who refers to them.
pub(super) struct Cascade {
    constraint: Constraint,
    key: ForeignKey,
    /// A temporary table: `k<n>` the old key, and for an update `m<n>` the new one.
    keys: String,
    /// What has happened to the key's row.
    action: Action,
    updated: bool,
}

impl Run<'_, '_> {
    /// Columns of a table that are loaded and worth showing.
    pub(super) fn loaded_columns(&self, table: Oid) -> Vec<AttNum> {
        self.store.loaded(table).into_iter().take(6).collect()
    }

    /// Remembers the keys of rows that are about to be deleted.
    pub(super) fn prepare_deletion(&mut self, table: Oid, rows: &str) -> Ran<Vec<Cascade>> {
        let mut cascades = Vec::new();
        for (constraint, key) in referring(self.catalog, table) {
            self.store.ensure(table, key.parent_columns.iter().copied())?;
            let list: Vec<String> =
                key.parent_columns.iter().enumerate().map(|(n, c)| format!("t.c{c} AS k{n}")).collect();
            let (keys, count) = self.keep(&format!(
                "SELECT DISTINCT {} FROM {} AS t SEMI JOIN {rows} AS s ON s._r = t._r WHERE {}",
                list.join(", "),
                table_name(table),
                not_null(&key.parent_columns, "t")
            ))?;
            if count > 0 {
                self.expect_followed(&constraint)?;
                let action = key.on_delete;
                cascades.push(Cascade { constraint, key, keys, action, updated: false });
            }
        }
        Ok(cascades)
    }

    /// Rows of a partition are its table's: a foreign key that it alone has isn't followed.
    fn expect_followed(&self, constraint: &Constraint) -> Ran<()> {
        match self.catalog.is_own_key(constraint) {
            true => {
                let what =
                    format!("a change of rows to which the foreign key {} of one partition refers", constraint.name);
                Err(crate::catalog::Problem::unsupported(what).into())
            }
            false => Ok(()),
        }
    }

    /// Remembers the keys that an update is about to change.
    pub(super) fn prepare_key_update(&mut self, table: Oid, stage: &str, columns: &[AttNum]) -> Ran<Vec<Cascade>> {
        let mut cascades = Vec::new();
        for (constraint, key) in referring(self.catalog, table) {
            if !key.parent_columns.iter().any(|c| columns.contains(c)) {
                continue;
            }
            self.store.ensure(table, key.parent_columns.iter().copied())?;
            let (mut list, mut changed) = (Vec::new(), Vec::new());
            for (n, c) in key.parent_columns.iter().enumerate() {
                let new = if columns.contains(c) { format!("s.n{c}") } else { format!("t.c{c}") };
                list.push(format!("t.c{c} AS k{n}, {new} AS m{n}"));
                changed.push(format!("t.c{c} IS DISTINCT FROM {new}"));
            }
            let (keys, count) = self.keep(&format!(
                "SELECT {} FROM {} AS t JOIN {stage} AS s ON s._r = t._r WHERE ({}) AND {}",
                list.join(", "),
                table_name(table),
                changed.join(" OR "),
                not_null(&key.parent_columns, "t")
            ))?;
            if count > 0 {
                self.expect_followed(&constraint)?;
                let action = key.on_update;
                cascades.push(Cascade { constraint, key, keys, action, updated: true });
            }
        }
        Ok(cascades)
    }

    /// Carries the actions out, then judges what NO ACTION demands.
    pub(super) fn cascade(&mut self, pending: Vec<Cascade>) -> Ran<()> {
        // First in, first out: the server's triggers fire in the order of the constraints, what they cause comes behind.
        let mut pending = VecDeque::from(pending);
        let mut later = Vec::new();
        let mut cascaded = 0;
        while let Some(cascade) = pending.pop_front() {
            match cascade.action {
                Action::NoAction => {
                    if self.waits(&cascade.constraint) {
                        self.pending.insert(cascade.key.parent, true);
                    }
                    later.push(cascade);
                }
                Action::Restrict => self.refuse_if_referred(&cascade, false)?,
                action => {
                    let (rows, mut more) = self.act(&cascade)?;
                    cascaded += rows;
                    more.reverse();
                    pending.extend(more);
                    // The default may be the very key that goes.
                    if action == Action::SetDefault {
                        later.push(cascade);
                    }
                }
            }
        }
        for cascade in &later {
            self.refuse_if_referred(cascade, true)?;
        }
        if cascaded > 0 {
            *self.report.rows_cascaded.get_or_insert(0) += cascaded;
        }
        Ok(())
    }

    /// CASCADE, SET NULL or SET DEFAULT on the rows that refer to the keys; returns their number and what follows.
    fn act(&mut self, cascade: &Cascade) -> Ran<(u64, Vec<Cascade>)> {
        let child = cascade.constraint.table;
        let key = &cascade.key;
        self.store.ensure(child, key.columns.iter().copied())?;
        let joined = format!(
            "FROM {} AS t JOIN {} AS k ON {}",
            table_name(child),
            cascade.keys,
            matches(self.catalog, key, child, &key.columns, "t", "k")?
        );
        if cascade.action == Action::Cascade && !cascade.updated {
            let (rows, count) = self.keep(&format!("SELECT DISTINCT t._r {joined}"))?;
            self.watch(child, &rows, count, None)?;
            if count == 0 {
                return Ok((0, Vec::new()));
            }
            let more = self.prepare_deletion(child, &rows)?;
            self.store.delete(child, &rows)?;
            self.note_cascade(cascade, count, "deletes");
            return Ok((count, more));
        }
        let mut values = String::new();
        for (n, &attnum) in key.columns.iter().enumerate() {
            let value = match cascade.action {
                Action::Cascade => format!("k.m{n}"),
                Action::SetDefault => self.default_of(child, attnum)?,
                _ => "NULL".to_owned(),
            };
            let ty = crate::translate::physical_type(&column(self.catalog, child, attnum)?.ty)?;
            values.push_str(&format!(", CAST({value} AS {ty}) AS n{attnum}"));
        }
        let (rows, count) = self.keep(&format!("SELECT t._r{values} {joined}"))?;
        self.watch(child, &rows, count, Some(&key.columns))?;
        if count == 0 {
            return Ok((0, Vec::new()));
        }
        let more = self.prepare_key_update(child, &rows, &key.columns)?;
        let writer = self.writer(child, &key.columns);
        self.store.update(child, &Change { stage: &rows, rows: count, columns: &key.columns, writer })?;
        self.note_cascade(cascade, count, "updates");
        let columns = Some(key.columns.iter().copied().collect());
        self.touched.push(Touched { table: child, rows, columns });
        Ok((count, more))
    }

    /// Remembers rows that are about to be changed or deleted, as they are, where triggers will ask for them.
    fn watch(&mut self, table: Oid, rows: &str, count: u64, columns: Option<&[AttNum]>) -> Ran<()> {
        if !self.watched.contains(&table) {
            return Ok(());
        }
        self.store.ensure_all(self.catalog, table)?;
        let list: String =
            columns_of(self.catalog, table).iter().map(|c| format!(", t.c{0} AS o{0}", c.attnum)).collect();
        let (rows, _) = self.keep(&format!(
            "SELECT t._r AS _r{list} FROM {} AS t SEMI JOIN {rows} AS s ON s._r = t._r",
            table_name(table)
        ))?;
        self.cascaded.push(Cascaded { table, rows, count, columns: columns.map(<[_]>::to_vec) });
        Ok(())
    }

    fn note_cascade(&mut self, cascade: &Cascade, rows: u64, verb: &str) {
        let child = &self.catalog.tables[&cascade.constraint.table].name;
        self.report.notes.push(format!(
            "The foreign key {} {verb} {} rows of {child} as well.",
            cascade.constraint.name,
            crate::render::count(rows)
        ));
    }

    fn default_of(&self, table: Oid, attnum: AttNum) -> Ran<String> {
        Ok(self.translator().default(table, attnum)?)
    }

    /// Fails where a row still refers to a key that is gone for good.
    fn refuse_if_referred(&mut self, cascade: &Cascade, unless_replaced: bool) -> Ran<()> {
        let Cascade { constraint, key, keys, .. } = cascade;
        let (child, parent) = (constraint.table, key.parent);
        self.store.ensure(child, key.columns.iter().copied())?;
        let mut gone = format!("SELECT * FROM {keys} AS k");
        if unless_replaced {
            let same = matches(self.catalog, key, parent, &key.parent_columns, "p", "k")?;
            gone = format!("{gone} ANTI JOIN {} AS p ON {same}", table_name(parent));
        }
        let same = matches(self.catalog, key, child, &key.columns, "t", "k")?;
        let referring = format!("FROM {} AS t SEMI JOIN ({gone}) AS k ON {same}", table_name(child));
        let rows = self.store.engine.count(&format!("SELECT count(*) {referring}"))?;
        if rows == 0 {
            return Ok(());
        }
        // RESTRICT waits for nothing.
        if unless_replaced && self.waits(constraint) {
            self.deferred.insert(constraint.oid, Side::Parent);
            return Ok(());
        }
        let name = |oid: Oid| self.catalog.tables.get(&oid).map_or_else(String::new, |t| t.name.clone());
        let message = format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            name(parent),
            constraint.name,
            name(child)
        );
        let detail = self.key_detail(child, &key.columns, parent, &key.parent_columns, &referring)?;
        let detail = detail.map(|(columns, values)| {
            format!("Key ({columns})=({values}) is still referenced from table \"{}\".", name(child))
        });
        let mut found = violation("23503", message, detail, rows);
        found.samples = self.samples_of(child, &key.columns, &referring)?;
        Err(Halt::Violation(Box::new(found)))
    }

    /// Names of a parent's key columns and the values of the first row that refers to them.
    fn key_detail(
        &mut self,
        child: Oid,
        columns: &[AttNum],
        parent: Oid,
        parent_columns: &[AttNum],
        from: &str,
    ) -> Ran<Option<(String, String)>> {
        let mut values = Vec::new();
        for &attnum in columns {
            values.push(crate::dry_run::verification::keys::text_of(
                &column(self.catalog, child, attnum)?.ty,
                &format!("t.c{attnum}"),
            ));
        }
        let sql = format!("SELECT concat_ws(', ', {}) {from} ORDER BY 1 LIMIT 1", values.join(", "));
        let first = self.store.engine.rows(&sql, |row| row.get::<_, String>(0))?;
        let names: Vec<String> = parent_columns
            .iter()
            .filter_map(|&c| column(self.catalog, parent, c).ok().map(|c| c.name.clone()))
            .collect();
        Ok(first.into_iter().next().map(|value| (names.join(", "), value)))
    }
}

/// Foreign keys that refer to a table.
fn referring(catalog: &Catalog, table: Oid) -> Vec<(Constraint, ForeignKey)> {
    catalog
        .constraints
        .values()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) if key.parent == table => Some((constraint.clone(), key.clone())),
            _ => None,
        })
        .collect()
}

/// Columns of a table, which goes by `alias`, equal the keys `k<n>` of `keys`, which have the types of the parent's columns.
fn matches(
    catalog: &Catalog,
    key: &ForeignKey,
    table: Oid,
    columns: &[AttNum],
    alias: &str,
    keys: &str,
) -> Ran<String> {
    let mut list = Vec::new();
    for (n, (&attnum, &parent)) in columns.iter().zip(&key.parent_columns).enumerate() {
        let own = &column(catalog, table, attnum)?.ty;
        let theirs = &column(catalog, key.parent, parent)?.ty;
        let (value, sought) = (format!("{alias}.{}", column_name(attnum)), format!("{keys}.k{n}"));
        list.push(equality((&value, own), (&sought, theirs)));
    }
    Ok(list.join(" AND "))
}

fn not_null(columns: &[AttNum], alias: &str) -> String {
    let list: Vec<String> = columns.iter().map(|c| format!("{alias}.c{c} IS NOT NULL")).collect();
    list.join(" AND ")
}
