//! Expressions that DDL brings: they must mean something before any row is seen.
//!
//! Input: a DDL statement, the catalogs before and after it. Output: nothing, or the server's error in a USING, CHECK, default, generated
//! column or index. Left out: expressions that can't be read here; whoever needs their values says so.

use pg_query::NodeEnum;

use super::Session;
use crate::catalog::{Catalog, Column, ConstraintKind, Expression, IndexTarget, Oid, Problem, Type};
use crate::dry_run::engine::Ran;
use crate::translate::{Purpose, Settings, Tie, Translator};

impl Session<'_> {
    /// What USING gives must fit the new type: the server asks that before it looks at defaults and keys.
    pub(super) fn expect_using_casts(&self, node: &NodeEnum) -> Ran<()> {
        let NodeEnum::AlterTableStmt(alter) = node else { return Ok(()) };
        let Some(relation) = &alter.relation else { return Ok(()) };
        let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
        let Some(table) = self.catalog.table(schema, &relation.relname) else { return Ok(()) };
        for command in &alter.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &command.node else { continue };
            let Some(NodeEnum::ColumnDef(definition)) = command.def.as_deref().and_then(|def| def.node.as_ref()) else {
                continue;
            };
            let altered = table.columns.iter().any(|column| column.name == command.name);
            let (Some(using), Some(ty)) = (&definition.raw_default, &definition.type_name) else { continue };
            let Ok(to) = Type::from_name(ty, &self.catalog) else { continue };
            let translator = self.translator(Tie::Least);
            match altered {
                true => {
                    self.refuse_rejected(translator.bind(table.oid, using, Purpose::Using(&command.name, &to)))?;
                    self.expect_constant(table.oid, using, &to)?;
                }
                // The server reads it before it looks for the column.
                false => self.refuse_rejected(translator.table_expression(table.oid, using, None))?,
            }
        }
        Ok(())
    }

    /// What reads no row is computed before anything else about the statement is looked at.
    fn expect_constant(&self, table: Oid, using: &pg_query::protobuf::Node, to: &Type) -> Ran<()> {
        let Ok((sql, _)) = self.translator(Tie::Least).table_expression(table, using, Some(to)) else { return Ok(()) };
        let is_constant = self.translator(Tie::Least).is_fixed(table, using).unwrap_or(false);
        match is_constant.then(|| self.store.engine.error_of(&format!("SELECT {sql}"))).flatten() {
            Some(error) => Err(Problem::Rejected(error).into()),
            None => Ok(()),
        }
    }

    /// Reads the expressions that are new in the catalog; `table` is the one that the statement was about.
    pub(super) fn bind_what_is_new(&self, before: &Catalog, table: Option<Oid>) -> Ran<()> {
        if let Some(table) = table.and_then(|table| self.catalog.tables.get(&table)) {
            let old = before.tables.get(&table.oid);
            for column in &table.columns {
                let same = |old: &&Column| {
                    old.attnum == column.attnum && old.default == column.default && old.generated == column.generated
                };
                let old = old.and_then(|old| old.columns.iter().find(|c| c.attnum == column.attnum));
                if !old.is_some_and(|old| same(&old)) {
                    self.bind_column(table.oid, column)?;
                }
                if old.is_some_and(|old| !alike(&old.ty, &column.ty)) {
                    let old = old.map(|old| &old.ty);
                    self.expect_uncompared(
                        table.oid,
                        column,
                        old.is_some_and(Type::is_number) && column.ty.is_number(),
                    )?;
                }
            }
        }
        self.bind_policies(before)?;
        for domain in self.catalog.domains.values() {
            let rules = |domain: &crate::catalog::domain::Domain| (domain.checks.len(), domain.default.clone());
            if before.domains.get(&domain.oid).map(rules) != Some(rules(domain)) {
                self.translator(Tie::Least).bind_domain(domain.oid)?;
            }
        }
        for constraint in self.catalog.constraints.values().filter(|c| !before.constraints.contains_key(&c.oid)) {
            if let ConstraintKind::Check(check) = &constraint.kind {
                let settings = self.trusting();
                let translator = Translator { catalog: &self.catalog, settings: &settings, tie: Tie::Least };
                self.refuse_rejected(translator.bind(constraint.table, &check.node, Purpose::Check))?;
            }
        }
        for index in self.catalog.indexes.values().filter(|index| !before.indexes.contains_key(&index.oid)) {
            for key in &index.keys {
                if let IndexTarget::Expression(expression) = &key.target {
                    let read = self.translator(Tie::Least).bind(index.table, &expression.node, Purpose::IndexKey);
                    self.refuse_rejected(read)?;
                }
            }
            if let Some(predicate) = &index.predicate {
                let translator = self.translator(Tie::Least);
                self.refuse_rejected(translator.bind(index.table, &predicate.node, Purpose::IndexPredicate))?;
            }
        }
        Ok(())
    }

    /// A check or a partial index holds its literals in the column's old type, which only the server knows to compare with the new.
    /// Between numbers there is an operator for either; only a function may be missing.
    fn expect_uncompared(&self, table: Oid, column: &Column, between_numbers: bool) -> Ran<()> {
        let calls = |condition: &Expression| {
            let mut found = false;
            crate::catalog::tree::walk(&condition.node, &mut |node| found |= matches!(node, NodeEnum::FuncCall(_)));
            found
        };
        let reads = |condition: &Expression| {
            condition.columns().contains(&column.name) && (!between_numbers || calls(condition))
        };
        let checked = self.catalog.constraints.values().any(|constraint| {
            constraint.table == table && matches!(&constraint.kind, ConstraintKind::Check(check) if reads(check))
        });
        let partial =
            self.catalog.indexes.values().any(|i| i.table == table && i.predicate.as_ref().is_some_and(reads));
        if checked || partial {
            let what = format!("a new type for the column {}, which a check or a partial index compares", column.name);
            return Err(Problem::unsupported(what).into());
        }
        Ok(())
    }

    fn bind_column(&self, table: Oid, column: &Column) -> Ran<()> {
        let translator = self.translator(Tie::Least);
        if let Some(generated) = &column.generated {
            self.expect_no_generated(table, generated)?;
            return self.refuse_rejected(translator.bind(table, &generated.node, Purpose::Generated(column)));
        }
        if column.default.is_some() {
            let settings = self.trusting();
            let translator = Translator { catalog: &self.catalog, settings: &settings, tie: Tie::Least };
            let read = translator.default(table, column.attnum);
            // A notation of times that isn't read here may be none of the server's either.
            if let (Err(problem @ Problem::Unsupported(_)), Type::Date | Type::Timestamp(_) | Type::Timestamptz(_)) =
                (&read, &column.ty)
            {
                return Err(problem.clone().into());
            }
            return self.refuse_rejected(read);
        }
        Ok(())
    }

    /// A generated column is computed from others, none of them generated.
    fn expect_no_generated(&self, table: Oid, expression: &Expression) -> Ran<()> {
        let Some(table) = self.catalog.tables.get(&table) else { return Ok(()) };
        let read = expression.columns();
        match table.columns.iter().find(|column| column.generated.is_some() && read.contains(&column.name)) {
            Some(column) => {
                let message =
                    format!("cannot use generated column \"{}\" in column generation expression", column.name);
                Err(Problem::rejected("42P17", message)
                    .detail("A generated column cannot reference another generated column.")
                    .into())
            }
            None => Ok(()),
        }
    }

    /// A policy's conditions read columns that are there.
    fn bind_policies(&self, before: &Catalog) -> Ran<()> {
        for policy in self.catalog.policies.iter().filter(|policy| !before.policies.contains(policy)) {
            let Some(table) = self.catalog.tables.get(&policy.table) else { continue };
            for condition in [&policy.using, &policy.check].into_iter().flatten() {
                let name = [&table.schema, &table.name].map(|name| crate::query::quote_identifier(name)).join(".");
                let parsed = pg_query::parse(&format!("SELECT FROM {name} WHERE {}", condition.sql), 0);
                let node = parsed.ok().and_then(|parsed| parsed.protobuf.stmts.into_iter().next()?.stmt?.node);
                let Some(node) = node else { continue };
                if let Err(Problem::Rejected(error)) = self.translator(Tie::Least).select(&node)
                    && error.sqlstate == "42703"
                {
                    return Err(
                        Problem::Rejected(crate::catalog::problem::ServerError { position: None, ..error }).into()
                    );
                }
            }
        }
        Ok(())
    }

    /// A default and a CHECK are only read when they are made: what they call is looked into when it is called.
    fn trusting(&self) -> Settings {
        Settings { trusts_functions: true, ..self.settings.clone() }
    }

    /// What can't be read is left to those who need it.
    fn refuse_rejected<T>(&self, read: Result<T, Problem>) -> Ran<()> {
        match read {
            Err(problem @ Problem::Rejected(_)) => Err(problem.into()),
            _ => Ok(()),
        }
    }
}

/// Types between which comparisons with literals stay what they are.
fn alike(one: &Type, other: &Type) -> bool {
    let number = |ty: &Type| matches!(ty, Type::Int2 | Type::Int4 | Type::Int8 | Type::Numeric(_));
    let text = |ty: &Type| matches!(ty, Type::Text | Type::Varchar(_));
    let same = std::mem::discriminant(one) == std::mem::discriminant(other);
    match (one, other) {
        (Type::Enum(_), Type::Enum(_)) | (Type::Array(_), Type::Array(_)) => one == other,
        _ => same || (number(one) && number(other)) || (text(one) && text(other)),
    }
}
