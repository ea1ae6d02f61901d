//! Effects: what DDL does to rows.
//!
//! Input: an [`Effect`] and the catalogs before and after. Output: the same done to the physical tables, or the rows that forbid it.

use super::engine::Ran;
use super::execution::Run;
use super::store::{column, columns_in, columns_of};
use crate::catalog::partition::{Bound, Partition};
use crate::catalog::{Catalog, Column, Effect, Expression, Oid, Problem, Type};
use crate::query::quote_literal;
use crate::translate::{Taken, Tie, Translator, column_name, table_name};

impl Run<'_, '_> {
    /// Carries an effect out. `before` is the catalog as the statement found it: USING reads that one.
    pub(super) fn carry_out(&mut self, effect: &Effect, before: &Catalog) -> Ran<()> {
        match effect {
            Effect::CreateTable(table) => self.store.create(self.catalog, *table),
            Effect::Fill(table, query) => self.fill(*table, query),
            Effect::DropTable(table) => self.store.drop_table(*table),
            Effect::DropRows(table, condition) => self.drop_rows(*table, condition),
            Effect::AttachRows(partition) => self.attach_rows(*partition),
            Effect::MoveRows { from, to, condition } => self.move_rows(*from, *to, Some(condition)),
            Effect::Truncate(table) => {
                let rows = self.store.row_count(*table)?;
                self.store.create(self.catalog, *table)?;
                self.report.rows_deleted = Some(self.report.rows_deleted.unwrap_or(0) + rows);
                Ok(())
            }
            Effect::AddColumn(table, attnum) => self.add_column(*table, *attnum),
            Effect::AddColumnFilled(table, attnum, first) => self.add_column_filled(*table, *attnum, first.as_ref()),
            Effect::DropColumn(table, attnum) => self.store.drop_column(*table, *attnum),
            Effect::ConvertColumn { table, attnum, from, using } => {
                self.convert(*table, *attnum, from, using.as_ref(), before)
            }
            Effect::RenameLabel { oid, from, to } => self.rename_label(*oid, from, to),
            Effect::VerifyNotNull(table, attnum) => self.verify_not_null(*table, *attnum),
            Effect::VerifyUnique(index) => self.verify_index(*index),
            Effect::VerifyConstraint(constraint) => self.verify_constraint(*constraint),
            Effect::VerifyDomain(domain, check) => self.verify_domain(*domain, check.as_deref()),
        }
    }

    /// Every column of a domain, asked whether it breaks a rule.
    fn verify_domain(&mut self, domain: Oid, check: Option<&str>) -> Ran<()> {
        let tables: Vec<_> = self.catalog.tables.values().collect();
        for table in tables {
            for column in table.columns.iter().filter(|column| column.ty.uses_domain(domain)) {
                let broken = self.translator().breaks_domain(domain, check, &column_name(column.attnum))?;
                self.store.ensure(table.oid, [column.attnum])?;
                let sql = format!("SELECT _r FROM {} WHERE {broken} LIMIT 1", table_name(table.oid));
                let (_, count) = self.keep(&sql)?;
                if count > 0 {
                    let of = format!("column \"{}\" of table \"{}\" contains", column.name, table.name);
                    return Err(match check {
                        Some(_) => Problem::rejected("23514", format!("{of} values that violate the new constraint")),
                        None => Problem::rejected("23502", format!("{of} null values")),
                    }
                    .into());
                }
            }
        }
        Ok(())
    }

    /// The rows of a table that becomes a partition.
    fn attach_rows(&mut self, table: Oid) -> Ran<()> {
        let Some(partition) = self.catalog.partitions.get(&table).cloned() else { return Ok(()) };
        let Some(condition) = self.catalog.partition_condition(&partition) else {
            return match self.store.row_count(table)? {
                0 => Ok(()),
                _ => Err(Problem::unsupported("which partition rows go to by their hash").into()),
            };
        };
        let (sql, _) = self.translator().table_expression(table, &condition.node, Some(&Type::Bool))?;
        self.store.ensure(table, columns_in(&sql))?;
        let name = table_name(table);
        let outside = self.store.engine.count(&format!("SELECT count(*) FROM {name} WHERE ({sql}) IS NOT TRUE"))?;
        if outside > 0 {
            let shown = self.catalog.tables.get(&table).map_or("", |table| table.name.as_str());
            let message = format!("partition constraint of relation \"{shown}\" is violated by some row");
            return Err(Problem::rejected("23514", message).into());
        }
        self.expect_default_without(table, &partition)?;
        self.move_rows(table, partition.parent, None)
    }

    /// The default partition has no row that is the new one's.
    fn expect_default_without(&mut self, table: Oid, partition: &Partition) -> Ran<()> {
        let mut others = self.catalog.partitions_of(partition.parent);
        let default = others.find(|(oid, other)| *oid != table && other.bound == Bound::Default).map(|(oid, _)| oid);
        let condition = self.catalog.bound_condition(partition.parent, &partition.bound);
        let (Some(default), Some(condition)) = (default, condition) else { return Ok(()) };
        let condition = Expression::parse(&condition).map_err(|_| Problem::unsupported("a bound of this form"))?;
        let parent = partition.parent;
        let (sql, _) = self.translator().table_expression(parent, &condition.node, Some(&Type::Bool))?;
        self.store.ensure(parent, columns_in(&sql))?;
        if self.store.engine.count(&format!("SELECT count(*) FROM {} WHERE {sql}", table_name(parent)))? == 0 {
            return Ok(());
        }
        let shown = self.catalog.tables.get(&default).map_or("", |table| table.name.as_str());
        let message =
            format!("updated partition constraint for default partition \"{shown}\" would be violated by some row");
        Err(Problem::rejected("23514", message).into())
    }

    /// Rows go from one table to another with the same columns.
    fn move_rows(&mut self, from: Oid, to: Oid, condition: Option<&Expression>) -> Ran<()> {
        self.store.ensure_all(self.catalog, from)?;
        self.store.ensure_all(self.catalog, to)?;
        let condition = match condition {
            Some(condition) => self.translator().table_expression(from, &condition.node, Some(&Type::Bool))?.0,
            None => "true".to_owned(),
        };
        let first = self.store.take_row_numbers(to, 0);
        let columns: String = columns_of(self.catalog, to)
            .iter()
            .map(|c| format!(", {} AS n{}", column_name(c.attnum), c.attnum))
            .collect();
        let source = format!("FROM {} WHERE {condition}", table_name(from));
        let (gone, _) = self.keep(&format!("SELECT _r {source}"))?;
        let (moved, rows) = self.keep(&format!(
            "SELECT CAST(row_number() OVER (ORDER BY _r) - 1 + {first} AS BIGINT) AS _r{columns} {source}"
        ))?;
        self.store.take_row_numbers(to, rows);
        self.store.insert(self.catalog, to, &moved)?;
        self.store.delete(from, &gone)
    }

    /// The rows of a partition that is dropped.
    fn drop_rows(&mut self, table: Oid, condition: &Expression) -> Ran<()> {
        let (sql, _) = self.translator().table_expression(table, &condition.node, Some(&Type::Bool))?;
        self.store.ensure(table, columns_in(&sql))?;
        let (rows, count) = self.keep(&format!("SELECT _r FROM {} WHERE {sql}", table_name(table)))?;
        self.store.delete(table, &rows)?;
        self.report.rows_deleted = Some(self.report.rows_deleted.unwrap_or(0) + count);
        Ok(())
    }

    /// Adds a column with the default that it has at first.
    fn add_column_filled(&mut self, table: Oid, attnum: u16, first: Option<&Expression>) -> Ran<()> {
        let mut then = self.catalog.clone();
        if let Some(column) = then.tables.get_mut(&table).and_then(|table| table.column_mut(attnum)) {
            column.default = first.cloned();
        }
        let added = column(&then, table, attnum)?.clone();
        if first.is_none() || !then.domains_of(&added.ty).is_empty() || then.sequence_of(table, &added).is_some() {
            return match first {
                None => self.store.add_column(table, attnum, &added.ty, None),
                Some(_) => {
                    Err(Problem::unsupported("a column added with a default that the same statement changes").into())
                }
            };
        }
        let translator = Translator { catalog: &then, settings: self.settings, tie: Tie::Least };
        let value = translator.default(table, attnum)?;
        self.store.engine.run(&format!("SELECT {value}"))?;
        self.add_with(table, &added, &value)
    }

    fn add_column(&mut self, table: Oid, attnum: u16) -> Ran<()> {
        let added = column(self.catalog, table, attnum)?.clone();
        if let Some(generated) = &added.generated {
            let (value, _) = self.translator().table_expression(table, &generated.node, Some(&added.ty))?;
            self.store.add_column(table, attnum, &added.ty, None)?;
            self.store.ensure(table, columns_in(&value))?;
            return self.store.replace_column(table, attnum, &added.ty, &value);
        }
        if !self.catalog.domains_of(&added.ty).is_empty() {
            // A domain's rules are asked of each row, and of none where there is none.
            let value = self.translator().default(table, attnum)?;
            self.store.add_column(table, attnum, &added.ty, None)?;
            return self.store.replace_column(table, attnum, &added.ty, &value);
        }
        if added.default.is_none() && added.identity.is_none() {
            return self.store.add_column(table, attnum, &added.ty, None);
        }
        let value = self.translator().default(table, attnum)?;
        // The server computes a default once for all rows that are there, be there none.
        self.store.engine.run(&format!("SELECT {value}"))?;
        if let Some(sequence) = self.catalog.sequence_of(table, &added) {
            let rows = self.store.row_count(table)?;
            if rows > 1 && (self.catalog.partial || self.catalog.moved.contains(&table)) {
                let name = self.catalog.tables.get(&table).map_or("", |table| table.name.as_str());
                let words = "rows get their numbers in the order in which they lie on disk, which can't be told";
                self.report.notes.push(format!("{name}: {words}."));
                self.report.plan_dependent_rows += rows;
            }
            self.store.take_numbers(&[(sequence, Taken::EachRow)].into(), rows);
        }
        self.add_with(table, &added, &value)
    }

    /// Adds a column whose rows hold a default's value.
    fn add_with(&mut self, table: Oid, added: &Column, value: &str) -> Ran<()> {
        // Numbers of a sequence are a window over all rows, which no column default can be; nor can a query.
        if value.to_uppercase().contains(" OVER ") || value.contains("SELECT ") {
            self.store.add_column(table, added.attnum, &added.ty, None)?;
            return self.store.replace_column(table, added.attnum, &added.ty, value);
        }
        self.store.add_column(table, added.attnum, &added.ty, Some(value))
    }

    fn convert(
        &mut self,
        table: Oid,
        attnum: u16,
        from: &Type,
        using: Option<&Expression>,
        before: &Catalog,
    ) -> Ran<()> {
        let converted = column(self.catalog, table, attnum)?.clone();
        self.store.ensure(table, [attnum])?;
        let value = match using {
            None => self.translator().assign(&column_name(attnum), from, &converted.ty, &converted.name)?,
            Some(using) => {
                let then = Translator { catalog: before, settings: self.settings, tie: Tie::Least };
                let (value, _) = then.table_expression(table, &using.node, Some(&converted.ty))?;
                let columns = columns_in(&value);
                if then.is_fixed(table, &using.node)? {
                    self.store.engine.run(&format!("SELECT {value}"))?;
                }
                self.store.ensure(table, columns)?;
                value
            }
        };
        self.store.replace_column(table, attnum, &converted.ty, &value)
    }

    fn rename_label(&mut self, ty: Oid, from: &str, to: &str) -> Ran<()> {
        let holders: Vec<(Oid, u16, bool)> = self
            .catalog
            .tables
            .values()
            .flat_map(|table| table.columns.iter().map(move |column| (table.oid, column.attnum, &column.ty)))
            .filter_map(|(table, attnum, held)| match held {
                Type::Enum(oid) if *oid == ty => Some((table, attnum, false)),
                Type::Array(element) if **element == Type::Enum(ty) => Some((table, attnum, true)),
                _ => None,
            })
            .collect();
        let (from, to) = (quote_literal(from), quote_literal(to));
        for (table, attnum, is_array) in holders {
            self.store.ensure(table, [attnum])?;
            let column = column_name(attnum);
            let renamed = |value: &str| format!("CASE WHEN {value} = {from} THEN {to} ELSE {value} END");
            let value = if is_array {
                format!("list_transform({column}, lambda x: {})", renamed("x"))
            } else {
                renamed(&column)
            };
            let held = self.catalog.tables[&table].columns.iter().find(|c| c.attnum == attnum).map(|c| c.ty.clone());
            let held = held.ok_or_else(|| Problem::unsupported("a column that has been dropped"))?;
            self.store.replace_column(table, attnum, &held, &value)?;
        }
        Ok(())
    }

    /// CREATE TABLE AS, REFRESH: the query's columns are the table's, in order.
    fn fill(&mut self, table: Oid, query: &Expression) -> Ran<()> {
        let node = query.node.node.as_ref().ok_or_else(|| Problem::unsupported("a table without a query"))?;
        let plan = self.translator().select(node)?;
        if plan.outputs.len() != columns_of(self.catalog, table).len() {
            return Err(Problem::unsupported("a query whose * stood for other columns when its view was made").into());
        }
        let outputs: Vec<String> = columns_of(self.catalog, table)
            .iter()
            .zip(&plan.outputs)
            .map(|(column, output)| format!("q.{} AS {}", output.column, column_name(column.attnum)))
            .collect();
        let sql = format!(
            "SELECT CAST(row_number() OVER () - 1 AS BIGINT) AS _r, {} FROM ({}) AS q",
            outputs.join(", "),
            plan.sql
        );
        self.compute(&plan.remarks)?;
        let (stage, rows) = self.stage_plan(&plan.remarks, &plan.steps, &sql)?;
        self.store.take_row_numbers(table, rows);
        let list: Vec<String> =
            columns_of(self.catalog, table).iter().map(|column| column_name(column.attnum)).collect();
        let list = list.join(", ");
        let name = table_name(table);
        self.store.engine.run(&format!("INSERT INTO {name} (_r, {list}) SELECT _r, {list} FROM {stage}"))?;
        // REFRESH has no count in its command tag.
        if self.report.kind != "REFRESH MATERIALIZED VIEW" {
            self.report.rows_affected = Some(rows);
        }
        self.report.rows_inserted = Some(rows);
        Ok(())
    }
}
