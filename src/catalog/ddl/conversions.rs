//! Conversions: ALTER COLUMN … TYPE.
//!
//! Input: one part of ALTER TABLE. Output: the column under its new type, the conversion of its rows, and all that must hold anew
//! afterwards: keys, foreign keys and checks over it. Invariant: without USING only an assignment cast converts. Left out: whether
//! USING's expression has the right type, which the translator tells.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, Node, a_const::Val};

use super::Change;
use super::columns::expect_identity_type;
use super::dependencies::{constraint_reads, index_reads};
use crate::catalog::lookup::quoted;
use crate::catalog::{AttNum, Column, ConstraintKind, Effect, Expression, Oid, Outcome, Problem, Type, tree};

impl Change {
    pub(super) fn alter_type(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let Some(NodeEnum::ColumnDef(definition)) = command.def.as_deref().and_then(|node| node.node.as_ref()) else {
            return Err(Problem::unsupported("ALTER COLUMN TYPE without a type"));
        };
        let owner = &self.catalog.tables[&table];
        let column = self.catalog.expect_column(owner, &command.name)?.clone();
        let type_name =
            definition.type_name.as_ref().ok_or_else(|| Problem::unsupported("ALTER COLUMN TYPE without a type"))?;
        let to = Type::from_name(type_name, &self.catalog)?;
        let using = definition.raw_default.as_deref().map(Expression::new).transpose()?;
        if let Some(node) = definition.raw_default.as_deref() {
            expect_no_query(node)?;
        }
        let name = &column.name;
        if column.generated.is_some() && using.is_some() {
            let message = "cannot specify USING when altering type of generated column";
            return Err(Problem::rejected("42611", message).detail(format!("Column \"{name}\" is a generated column.")));
        }
        let is_converted = |effect: &Effect| matches!(effect, Effect::ConvertColumn { table: t, attnum, .. } if *t == table && *attnum == column.attnum);
        if self.effects.iter().any(is_converted) {
            return Err(Problem::rejected("0A000", format!("cannot alter type of column \"{name}\" twice")));
        }
        self.expect_convertible(&column, &to, using.is_some())?;
        self.expect_unread(table, &column)?;
        let default = self.default_kept(&column, &to)?;
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let altered = owner.column_mut(column.attnum).expect("it was found by name");
        altered.ty = to.clone();
        altered.default = default;
        if column.ty != to || using.is_some() {
            self.effects.push(Effect::ConvertColumn { table, attnum: column.attnum, from: column.ty.clone(), using });
            self.verify_anew(table, &column)?;
        }
        Ok(())
    }

    /// A default stays a value of the type that its column had: one that the user made is still needed then.
    fn default_kept(&self, column: &Column, to: &Type) -> Outcome<Option<Expression>> {
        let is_text = |default: &&Expression| matches!(&default.node.node, Some(NodeEnum::AConst(constant)) if matches!(constant.val, Some(Val::Sval(_))));
        let text = column.default.as_ref().filter(|_| column.ty != *to && column.ty.is_own()).filter(is_text);
        let Some(text) = text else { return Ok(column.default.clone()) };
        let cast = Expression::parse(&format!("{}::{}", text.sql, column.ty.name(&self.catalog)));
        cast.map(Some).map_err(|_| Problem::unsupported("a default of this form in a column of a new type"))
    }

    fn expect_convertible(&self, column: &Column, to: &Type, has_using: bool) -> Outcome<()> {
        let (name, shown) = (&column.name, to.base_name(&self.catalog));
        if column.identity.is_some() {
            expect_identity_type(to)?;
        }
        if !has_using && !column.ty.assigns_to(to) {
            let message = format!("column \"{name}\" cannot be cast automatically to type {shown}");
            // A generated column takes no USING.
            let problem = Problem::rejected("42804", message);
            return Err(if column.generated.is_some() {
                problem
            } else {
                problem.hint(format!(
                    "You might need to specify \"USING {}::{}\".",
                    quoted(name),
                    to.name(&self.catalog)
                ))
            });
        }
        if let Some(default) = &column.default
            && !default_type(default, &column.ty, &self.catalog).assigns_to(to)
        {
            let message = format!("default for column \"{name}\" cannot be cast automatically to type {shown}");
            return Err(Problem::rejected("42804", message).hint(
                "drop the default before, and set it again after: ALTER COLUMN … DROP DEFAULT, TYPE …, SET DEFAULT",
            ));
        }
        Ok(())
    }

    /// 0A000, where a view or a generated column reads the column.
    fn expect_unread(&self, table: Oid, column: &Column) -> Outcome<()> {
        let name = &column.name;
        let reads = |expression: &Expression| expression.columns().iter().any(|read| read == name);
        let owner = &self.catalog.tables[&table];
        if let Some(generated) = owner.columns.iter().find(|c| c.generated.as_ref().is_some_and(reads)) {
            return Err(Problem::rejected("0A000", "cannot alter type of a column used by a generated column")
                .detail(format!("Column \"{name}\" is used by generated column \"{}\".", generated.name)));
        }
        let reading = self.triggers_reading(table, name).into_iter().chain(self.policies_reading(table, column.attnum));
        if let Some(reading) = reading.into_iter().next() {
            let what = if matches!(reading, super::dependencies::Object::Trigger(..)) { "trigger" } else { "policy" };
            let message = format!("cannot alter type of a column used in a {what} definition");
            return Err(Problem::rejected("0A000", message)
                .detail(format!("{} depends on column \"{name}\"", self.describe(reading))));
        }
        if let Some(view) = self.view_reading(table, column.attnum) {
            return Err(Problem::rejected("0A000", "cannot alter type of a column used by a view or rule")
                .detail(format!("rule _RETURN on {view} depends on column \"{name}\""))
                .hint("drop the view before, and create it again after"));
        }
        Ok(())
    }

    /// The server builds the column's indexes and constraints anew.
    fn verify_anew(&mut self, table: Oid, column: &Column) -> Outcome<()> {
        let (attnum, name) = (column.attnum, &column.name);
        if column.not_null {
            self.effects.push(Effect::VerifyNotNull(table, attnum));
        }
        let indexes: Vec<Oid> = self
            .catalog
            .unique_indexes(table)
            .filter(|index| index_reads(index, attnum, name))
            .map(|index| index.oid)
            .collect();
        self.effects.extend(indexes.into_iter().map(Effect::VerifyUnique));
        let mut again = Vec::new();
        // The table's own constraints are built before those of tables that refer to it.
        let own = self.catalog.constraints.values().filter(|constraint| constraint.table == table);
        let others = self.catalog.constraints.values().filter(|constraint| constraint.table != table);
        for constraint in own.chain(others) {
            let own = constraint.table == table && constraint_reads(constraint, attnum, name);
            let refers = matches!(&constraint.kind, ConstraintKind::ForeignKey(key)
                if key.parent == table && key.parent_columns.contains(&attnum));
            if !(own || refers) {
                continue;
            }
            if let ConstraintKind::ForeignKey(key) = &constraint.kind {
                self.expect_comparable(&constraint.name, constraint.table, key).map_err(|problem| {
                    // Whichever of the two is older fails first on the server.
                    let checked = self.catalog.constraints_of(table).any(|other| {
                        matches!(other.kind, ConstraintKind::Check(_)) && constraint_reads(other, attnum, name)
                    });
                    match checked {
                        true => Problem::unsupported(format!(
                            "a new type for the column {name}, which a check compares and a foreign key can't"
                        )),
                        false => problem,
                    }
                })?;
            }
            let verifiable = !matches!(constraint.kind, ConstraintKind::AbsentForeignKey(_));
            if constraint.validated && verifiable {
                again.push(Effect::VerifyConstraint(constraint.oid));
            }
        }
        self.effects.extend(again);
        Ok(())
    }

    /// A view that reads the column, as messages call it.
    fn view_reading(&self, table: Oid, attnum: AttNum) -> Option<String> {
        use super::dependencies::Object;
        let reads = |depends: &std::collections::BTreeMap<Oid, std::collections::BTreeSet<AttNum>>| {
            depends.get(&table).is_some_and(|columns| columns.contains(&attnum))
        };
        let view = self.catalog.views.values().find(|view| reads(&view.depends_on)).map(|view| Object::View(view.oid));
        let filled = || {
            let reading = |query: &Expression| reads(&self.catalog.dependencies(&query.node));
            let found = self.catalog.tables.values().find(|table| table.materialized.as_ref().is_some_and(reading));
            found.map(|table| Object::Table(table.oid))
        };
        view.or_else(filled).map(|object| self.describe(object))
    }
}

/// The type of a default before it was stored in its column, as far as its form tells; the column's where it doesn't.
fn default_type(default: &Expression, column: &Type, catalog: &crate::catalog::Catalog) -> Type {
    match &default.node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Ival(_)) => Type::Int4,
            Some(Val::Fval(_)) => Type::Numeric(None),
            Some(Val::Boolval(_)) => Type::Bool,
            _ => column.clone(),
        },
        Some(NodeEnum::TypeCast(cast)) => {
            let named = cast.type_name.as_ref().and_then(|name| Type::from_name(name, catalog).ok());
            named.unwrap_or_else(|| column.clone())
        }
        Some(NodeEnum::SqlvalueFunction(_)) => Type::Timestamptz(None),
        Some(NodeEnum::FuncCall(call)) => match tree::strings(&call.funcname).last().map(String::as_str) {
            Some("now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp") => {
                Type::Timestamptz(None)
            }
            Some("nextval") => Type::Int8,
            Some("gen_random_uuid" | "uuid_generate_v4") => Type::Uuid,
            _ => column.clone(),
        },
        _ => column.clone(),
    }
}

/// A conversion looks at its own row alone.
fn expect_no_query(using: &Node) -> Outcome<()> {
    let mut problem = Ok(());
    tree::walk(using, &mut |node| {
        if let (NodeEnum::SubLink(link), Ok(())) = (node, &problem) {
            problem = Err(Problem::rejected("0A000", "cannot use subquery in transform expression").at(link.location));
        }
    });
    problem
}
