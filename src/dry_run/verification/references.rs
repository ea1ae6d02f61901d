//! Foreign keys, of the rows that point and of those that are pointed at.

use super::keys::{quoted_where_needed, text_of};
use super::{Side, concerns, violation};
use crate::catalog::{Constraint, ConstraintKind, ForeignKey};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution::{Run, Touched};
use crate::dry_run::store::column;
use crate::translate::{equality, has_equality, table_name};

impl Run<'_, '_> {
    pub(super) fn verify_foreign_keys(&mut self, touched: &Touched) -> Ran<()> {
        let keys: Vec<(Constraint, ForeignKey)> = self
            .catalog
            .constraints
            .values()
            .filter(|constraint| constraint.table == touched.table)
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::ForeignKey(key) => Some((constraint.clone(), key.clone())),
                _ => None,
            })
            .collect();
        for (constraint, key) in keys {
            if concerns(touched, &key.columns.iter().copied().collect()) {
                if self.waits(&constraint) {
                    let rows = self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?;
                    // Of an update nobody says here whether the key was another before.
                    if rows > 0 {
                        *self.pending.entry(touched.table).or_insert(false) |= touched.columns.is_none();
                    }
                }
                self.verify_foreign_key(&constraint, &key, Some(&touched.rows))?;
            }
        }
        Ok(())
    }

    pub(super) fn verify_foreign_key(
        &mut self,
        constraint: &Constraint,
        key: &ForeignKey,
        among: Option<&str>,
    ) -> Ran<()> {
        let child = constraint.table;
        let types = key.columns.iter().map(|&attnum| column(self.catalog, child, attnum).map(|c| c.ty.clone()));
        if let Some(Ok(ty)) = types.into_iter().find(|ty| ty.as_ref().is_ok_and(|ty| !has_equality(ty))) {
            let what = format!("a comparison of {}", ty.name(self.catalog));
            self.unverified(&format!("foreign key {}", constraint.name), &what);
            return Ok(());
        }
        self.store.ensure(child, key.columns.iter().copied())?;
        self.store.ensure(key.parent, key.parent_columns.iter().copied())?;
        let mut pairs = Vec::new();
        for (c, p) in key.columns.iter().zip(&key.parent_columns) {
            let (own, parent) = (&column(self.catalog, child, *c)?.ty, &column(self.catalog, key.parent, *p)?.ty);
            pairs.push(equality((&format!("t.c{c}"), own), (&format!("p.c{p}"), parent)));
        }
        let present: Vec<String> = key.columns.iter().map(|c| format!("t.c{c} IS NOT NULL")).collect();
        let of_rows = among.is_some();
        let among = among.map(|rows| format!(" AND t._r IN (SELECT _r FROM {rows})")).unwrap_or_default();
        let from = format!(
            "FROM {} AS t ANTI JOIN {} AS p ON {} WHERE {}{among}",
            table_name(child),
            table_name(key.parent),
            pairs.join(" AND "),
            present.join(" AND ")
        );
        let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
        if rows == 0 {
            return Ok(());
        }
        if of_rows && self.waits(constraint) {
            self.deferred.insert(constraint.oid, Side::Own);
            return Ok(());
        }
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for &attnum in &key.columns {
            let column = column(self.catalog, child, attnum)?;
            names.push(quoted_where_needed(&column.name));
            values.push(text_of(&column.ty, &format!("t.c{attnum}")));
        }
        let least = format!("SELECT concat_ws(', ', {}) {from} ORDER BY 1 LIMIT 1", values.join(", "));
        let least = self.store.engine.rows(&least, |row| row.get::<_, String>(0))?;
        let detail = format!(
            "Key ({})=({}) is not present in table \"{}\".",
            names.join(", "),
            least.first().map_or("", String::as_str),
            self.relation(key.parent)
        );
        let message = format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            self.relation(child),
            constraint.name
        );
        self.refuse(child, &key.columns, &from, violation("23503", message, Some(detail), rows))
    }
}
