//! Enums: CREATE TYPE … AS ENUM and ALTER TYPE on labels.
//!
//! Input: the parser's statements. Output: types and labels in sort order. Invariant: a label added in a transaction is marked until
//! it commits: the server refuses to use it (55P04). Left out: composite types and domains.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{AlterEnumStmt, CreateEnumStmt, Node, TypeCast};

use super::{Change, qualified};
use crate::catalog::types::missing_type;
use crate::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Effect, EnumType, Expression, Oid, Outcome, Problem, Table, Type, tree,
};

impl Change {
    pub(super) fn create_enum(&mut self, statement: &CreateEnumStmt) -> Outcome<&'static str> {
        let (schema, name) = qualified(&statement.type_name)?;
        let schema = self.catalog.creation_schema(schema.as_deref())?;
        self.expect_free_type(&schema, &name)?;
        let labels = tree::strings(&statement.vals);
        for (index, label) in labels.iter().enumerate() {
            expect_label(label)?;
            if labels[..index].contains(label) {
                let message = "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
                return Err(Problem::rejected("23505", message).hint(format!("the label {label} is there twice")));
            }
        }
        let oid = self.catalog.new_oid();
        let ty = EnumType { oid, schema, name, labels, uncommitted: Default::default(), is_new: true };
        self.catalog.enums.insert(oid, ty);
        Ok("CREATE TYPE")
    }

    /// 42710, where a type of that name exists: an enum, or the row type of a table or view.
    pub(super) fn expect_free_type(&self, schema: &str, name: &str) -> Outcome<()> {
        let catalog = &self.catalog;
        let taken = catalog.enums.values().any(|e| e.schema == schema && e.name == name)
            || catalog.domains.values().any(|d| d.schema == schema && d.name == name)
            || catalog.composites.values().any(|c| c.schema == schema && c.name == name)
            || catalog.tables.values().any(|t| t.schema == schema && t.name == name)
            || catalog.views.values().any(|v| v.schema == schema && v.name == name);
        match taken {
            true => Err(Problem::rejected("42710", format!("type \"{name}\" already exists"))),
            false => Ok(()),
        }
    }

    pub(super) fn expect_enum(&self, schema: Option<&str>, name: &str) -> Outcome<Oid> {
        match self.catalog.enum_type(schema, name) {
            Some(found) => Ok(found.oid),
            None if self.catalog.table(schema, name).is_some() || self.catalog.composite(schema, name).is_some() => {
                Err(Problem::rejected("42809", format!("{name} is not an enum")))
            }
            None => Err(missing_type(schema, name, &self.catalog)),
        }
    }

    pub(super) fn alter_enum(&mut self, statement: &AlterEnumStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER TYPE";
        let (schema, name) = qualified(&statement.type_name)?;
        let oid = self.expect_enum(schema.as_deref(), &name)?;
        expect_label(&statement.new_val)?;
        let is_open = self.catalog.new_enums_are_open;
        let ty = self.catalog.enums.get_mut(&oid).expect("it was found by name");
        let new = &statement.new_val;
        if !statement.old_val.is_empty() {
            let old = &statement.old_val;
            let Some(place) = ty.labels.iter().position(|label| label == old) else {
                return Err(Problem::rejected("22023", format!("\"{old}\" is not an existing enum label")));
            };
            if ty.labels.contains(new) {
                return Err(Problem::rejected("42710", format!("enum label \"{new}\" already exists")));
            }
            ty.labels[place].clone_from(new);
            if ty.uncommitted.remove(old) {
                ty.uncommitted.insert(new.clone());
            }
            self.catalog.rename_label_in_rules(oid, old, new);
            self.effects.push(Effect::RenameLabel { oid, from: old.clone(), to: new.clone() });
            return Ok(TAG);
        }
        if ty.labels.contains(new) {
            if statement.skip_if_new_val_exists {
                self.note(format!("enum label \"{new}\" already exists, skipping"));
                return Ok(TAG);
            }
            return Err(Problem::rejected("42710", format!("enum label \"{new}\" already exists")));
        }
        let neighbor = &statement.new_val_neighbor;
        let place = if neighbor.is_empty() {
            ty.labels.len()
        } else {
            match ty.labels.iter().position(|label| label == neighbor) {
                Some(place) => place + usize::from(statement.new_val_is_after),
                None => {
                    return Err(Problem::rejected("22023", format!("\"{neighbor}\" is not an existing enum label")));
                }
            }
        };
        ty.labels.insert(place, new.clone());
        // On its own the statement commits at once.
        if self.in_block && !(ty.is_new && is_open) {
            ty.uncommitted.insert(new.clone());
        }
        Ok(TAG)
    }
}

impl Catalog {
    /// What the catalog keeps names a label by its text; on the server it holds the label itself.
    fn rename_label_in_rules(&mut self, ty: Oid, from: &str, to: &str) {
        let Some(enum_name) = self.enums.get(&ty).map(|ty| ty.name.clone()) else { return };
        let array = Type::Array(Box::new(Type::Enum(ty)));
        let holds = |column: &Column| column.ty == Type::Enum(ty);
        let holders: BTreeMap<Oid, Vec<String>> = self
            .tables
            .iter()
            .map(|(oid, table)| (*oid, table.columns.iter().filter(|c| holds(c)).map(|c| c.name.clone()).collect()))
            .collect();
        let rename = |expression: &mut Expression, columns: &[String]| {
            rename_beside(std::sync::Arc::make_mut(&mut expression.node), columns, &enum_name, from, to);
            expression.rewrite();
        };
        let of_table = |table: &Oid| holders.get(table).cloned().unwrap_or_default();
        let is_concerned = |table: &Table| {
            let is_text = |default: &Option<Expression>| default.as_ref().is_some_and(|d| d.sql.contains(from));
            table.columns.iter().any(|c| holds(c) || c.ty == array || is_text(&c.default) || is_text(&c.generated))
        };
        self.tables.change(is_concerned, |table| {
            for column in &mut table.columns {
                let of_type = column.ty == Type::Enum(ty) || column.ty == array;
                if let Some(default) = column.default.as_mut().filter(|_| of_type) {
                    rename_constants(std::sync::Arc::make_mut(&mut default.node), from, to);
                    default.rewrite();
                }
                for expression in [&mut column.default, &mut column.generated].into_iter().flatten() {
                    rename(expression, &of_table(&table.oid));
                }
            }
        });
        let is_check = |constraint: &Constraint| matches!(&constraint.kind, ConstraintKind::Check(check) if check.sql.contains(from));
        self.constraints.change(is_check, |constraint| {
            let columns = of_table(&constraint.table);
            if let ConstraintKind::Check(check) = &mut constraint.kind {
                rename(check, &columns);
            }
        });
        self.indexes.change(
            |index| index.predicate.is_some(),
            |index| {
                let columns = of_table(&index.table);
                if let Some(predicate) = &mut index.predicate {
                    rename(predicate, &columns);
                }
            },
        );
        self.views.change(
            |view| view.query.sql.contains(from),
            |view| {
                let columns: Vec<String> = view.depends_on.keys().flat_map(of_table).collect();
                rename(&mut view.query, &columns);
            },
        );
    }
}

/// Renames every string constant in an expression.
fn rename_constants(node: &mut Node, from: &str, to: &str) {
    tree::walk_mut(node, &mut |node| {
        if let NodeEnum::AConst(constant) = node
            && let Some(Val::Sval(text)) = &mut constant.val
        {
            text.sval = renamed(&text.sval, from, to);
        }
    });
}

/// A label, or the literal of an array of labels, with one of them renamed.
fn renamed(text: &str, from: &str, to: &str) -> String {
    match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        None if text == from => to.to_owned(),
        None => text.to_owned(),
        Some(elements) => {
            let quoted = format!("\"{}\"", to.replace('\\', "\\\\").replace('"', "\\\""));
            let rename = |element: &str| match element.trim().trim_matches('"') == from {
                true => quoted.clone(),
                false => element.to_owned(),
            };
            format!("{{{}}}", elements.split(',').map(rename).collect::<Vec<_>>().join(","))
        }
    }
}

/// Renames the string constants that are cast to the enum, and those on the other side of an operator from one of the columns or from
/// such a cast.
fn rename_beside(node: &mut Node, columns: &[String], enum_name: &str, from: &str, to: &str) {
    let is_cast = |cast: &TypeCast| {
        let name = cast.type_name.as_ref().and_then(|name| name.names.last());
        name.and_then(tree::string).is_some_and(|name| name == enum_name)
    };
    tree::walk_mut(node, &mut |node| match node {
        NodeEnum::TypeCast(cast) if is_cast(cast) => {
            if let Some(arg) = cast.arg.as_deref_mut().filter(|arg| matches!(arg.node, Some(NodeEnum::AConst(_)))) {
                rename_constants(arg, from, to);
            }
        }
        NodeEnum::AExpr(operation) => {
            let is_holder = |side: &Option<Box<Node>>| {
                side.as_deref().is_some_and(|side| match &side.node {
                    Some(NodeEnum::ColumnRef(column)) => {
                        column.fields.last().and_then(tree::string).is_some_and(|name| columns.contains(&name))
                    }
                    Some(NodeEnum::TypeCast(cast)) => is_cast(cast),
                    _ => false,
                })
            };
            let (left, right) = (is_holder(&operation.lexpr), is_holder(&operation.rexpr));
            if left && let Some(side) = operation.rexpr.as_deref_mut() {
                rename_constants(side, from, to);
            }
            if right && let Some(side) = operation.lexpr.as_deref_mut() {
                rename_constants(side, from, to);
            }
        }
        _ => {}
    });
}

fn expect_label(label: &str) -> Outcome<()> {
    if label.len() > crate::catalog::naming::NAME_BYTES {
        return Err(Problem::rejected("42602", format!("invalid enum label \"{label}\""))
            .detail("Labels must be 63 bytes or less."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_labels_in_literals() {
        fn check(text: &str, expected: &str) {
            assert_eq!(renamed(text, "x", "new"), expected, "{text}");
        }
        check("x", "new");
        check("xx", "xx");
        check("{}", "{}");
        check("{x,y}", "{\"new\",y}");
        check("{y, \"x\"}", "{y,\"new\"}");
    }
}
