//! Bindings: the expressions that a definition keeps for later are read when it is made.
//!
//! Input: a statement that the catalog has applied. Output: the server's refusal where a default, check, index, generated column, USING
//! or view wouldn't bind. Invariant: what can't be read here isn't refused: it is kept, and refused where it is used.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::Session;
use crate::catalog::{Applied, Catalog, Column, ConstraintKind, Effect, IndexTarget, Oid, Outcome, Problem};
use crate::dry_run::engine::Ran;
use crate::translate::{Purpose, Tie, Translator};

impl Session<'_> {
    /// Reads what a definition has added to the catalog.
    pub(super) fn bind(&self, node: &NodeEnum, applied: &Applied, before: &Catalog) -> Ran<()> {
        let translator = Translator { catalog: &self.catalog, settings: &self.settings, tie: Tie::Least };
        let bound = match node {
            NodeEnum::CreateStmt(_) | NodeEnum::AlterTableStmt(_) => match applied.table {
                Some(table) => {
                    self.bind_conversions(applied, before).and_then(|()| self.bind_table(&translator, table, before))
                }
                None => Ok(()),
            },
            NodeEnum::IndexStmt(_) => {
                applied.table.map_or(Ok(()), |table| self.bind_indexes(&translator, table, before))
            }
            NodeEnum::ViewStmt(_) => self.bind_views(&translator, before),
            _ => Ok(()),
        };
        Ok(bound?)
    }

    /// USING reads the table as it was.
    fn bind_conversions(&self, applied: &Applied, before: &Catalog) -> Outcome<()> {
        let then = Translator { catalog: before, settings: &self.settings, tie: Tie::Least };
        for effect in &applied.effects {
            let Effect::ConvertColumn { table, attnum, using: Some(using), .. } = effect else { continue };
            let Some(column) = self.column(*table, *attnum) else { continue };
            if before.tables.contains_key(table) {
                readable(then.bind(*table, &using.node, Purpose::Using(&column.name, &column.ty)))?;
            }
        }
        Ok(())
    }

    fn bind_table(&self, translator: &Translator<'_>, table: Oid, before: &Catalog) -> Outcome<()> {
        let Some(now) = self.catalog.tables.get(&table) else { return Ok(()) };
        let had = |attnum| before.tables.get(&table)?.columns.iter().find(|column| column.attnum == attnum);
        for column in &now.columns {
            let old: Option<&Column> = had(column.attnum);
            if let Some(generated) = &column.generated
                && old.is_none()
            {
                readable(translator.bind(table, &generated.node, Purpose::Generated(column)))?;
            }
            let is_new = old.is_none_or(|old| old.default != column.default);
            if column.default.is_some() && is_new {
                readable(translator.default(table, column.attnum).map(|_| ()))?;
            }
        }
        let constraints = self.catalog.constraints.values().filter(|constraint| constraint.table == table);
        for constraint in constraints.filter(|constraint| !before.constraints.contains_key(&constraint.oid)) {
            if let ConstraintKind::Check(check) = &constraint.kind {
                readable(translator.bind(table, &check.node, Purpose::Check))?;
            }
        }
        Ok(())
    }

    fn bind_indexes(&self, translator: &Translator<'_>, table: Oid, before: &Catalog) -> Outcome<()> {
        let indexes = self.catalog.indexes.values().filter(|index| index.table == table);
        for index in indexes.filter(|index| !before.indexes.contains_key(&index.oid)) {
            let bind = |node: &Node, purpose| readable(translator.bind(table, node, purpose));
            if let Some(predicate) = &index.predicate {
                bind(&predicate.node, Purpose::IndexPredicate)?;
            }
            for key in &index.keys {
                if let IndexTarget::Expression(expression) = &key.target {
                    bind(&expression.node, Purpose::IndexKey)?;
                }
            }
        }
        Ok(())
    }

    fn bind_views(&self, translator: &Translator<'_>, before: &Catalog) -> Outcome<()> {
        let is_new = |oid: &Oid, sql: &str| before.views.get(oid).is_none_or(|had| had.query.sql != sql);
        for (oid, view) in &self.catalog.views {
            if let (true, Some(query)) = (is_new(oid, &view.query.sql), &view.query.node.node) {
                readable(translator.select(query).map(|_| ()))?;
            }
        }
        Ok(())
    }

    fn column(&self, table: Oid, attnum: u16) -> Option<&Column> {
        self.catalog.tables.get(&table)?.columns.iter().find(|column| column.attnum == attnum)
    }
}

/// What can't be read here may be right on the server.
fn readable(bound: Outcome<()>) -> Outcome<()> {
    match bound {
        Err(Problem::Unsupported(_)) => Ok(()),
        bound => bound,
    }
}
