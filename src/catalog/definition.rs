//! Definitions: constraints and indexes in words, as `pg_get_constraintdef` and `pg_get_indexdef` put them.
//!
//! Input: objects of the catalog. Output: SQL text. Invariant: expressions stand as their statement wrote them, where the server
//! adds casts and brackets of its own. Left out: making two ways of writing the same thing equal.

use super::lookup::quoted;
use super::{
    Action, AttNum, Catalog, Constraint, ConstraintKind, Expression, ForeignKey, Index, IndexKey, IndexTarget, Oid,
};

/// How expressions stand in a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As their statement wrote them.
    Written,
    /// As [`Expression::canonical`] has them, and without operator classes that are the default: to be compared.
    Canonical,
}

/// Operator classes that an index has by itself on columns of their type.
const DEFAULT_CLASSES: &[&str] = &[
    "array_ops",
    "bool_ops",
    "bytea_ops",
    "bpchar_ops",
    "date_ops",
    "enum_ops",
    "float4_ops",
    "float8_ops",
    "int2_ops",
    "int4_ops",
    "int8_ops",
    "interval_ops",
    "jsonb_ops",
    "name_ops",
    "numeric_ops",
    "text_ops",
    "time_ops",
    "timestamp_ops",
    "timestamptz_ops",
    "tsvector_ops",
    "uuid_ops",
    "varchar_ops",
];

impl Style {
    fn text(self, expression: &Expression) -> String {
        match self {
            Style::Written => expression.sql.clone(),
            Style::Canonical => expression.canonical(),
        }
    }
}

impl Catalog {
    /// What a constraint demands: `FOREIGN KEY (a) REFERENCES p(id) ON DELETE CASCADE`.
    pub fn constraint_definition(&self, constraint: &Constraint, style: Style) -> String {
        let mut text = match &constraint.kind {
            ConstraintKind::PrimaryKey(index) => self.key_definition("PRIMARY KEY", *index),
            ConstraintKind::Unique(index) => self.key_definition("UNIQUE", *index),
            ConstraintKind::ForeignKey(key) => self.foreign_key_definition(constraint.table, key),
            ConstraintKind::AbsentForeignKey(key) => return key.definition.clone(),
            ConstraintKind::Check(expression) => format!("CHECK ({})", style.text(expression)),
            ConstraintKind::Exclusion(text) => return text.clone(),
        };
        text.push_str(constraint.timing.as_str());
        if !constraint.validated {
            text.push_str(" NOT VALID");
        }
        text
    }

    fn key_definition(&self, words: &str, index: Oid) -> String {
        let Some(index) = self.indexes.get(&index) else { return words.to_owned() };
        let nulls = if index.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        let columns = self.names(index.table, &index.key_columns().unwrap_or_default());
        format!("{words}{nulls} ({columns}){}", self.include_words(index))
    }

    fn include_words(&self, index: &Index) -> String {
        match index.include.as_slice() {
            [] => String::new(),
            columns => format!(" INCLUDE ({})", self.names(index.table, columns)),
        }
    }

    fn foreign_key_definition(&self, table: Oid, key: &ForeignKey) -> String {
        let parent = self.tables.get(&key.parent).map_or_else(String::new, |t| qualified(&t.schema, &t.name));
        let mut text = format!(
            "FOREIGN KEY ({}) REFERENCES {parent}({})",
            self.names(table, &key.columns),
            self.names(key.parent, &key.parent_columns)
        );
        for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
            if action != Action::NoAction {
                text.push_str(&format!(" ON {event} {}", action.as_str()));
            }
        }
        text
    }

    /// The statement that would make the index again.
    pub fn index_definition(&self, index: &Index, style: Style) -> String {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let table = self.tables.get(&index.table);
        let on = table.map_or_else(String::new, |t| format!("{}.{}", quoted(&t.schema), quoted(&t.name)));
        let keys: Vec<String> = index.keys.iter().map(|key| self.index_key(index, key, style)).collect();
        let mut text = format!(
            "CREATE {unique}INDEX {} ON {on} USING {} ({}){}",
            quoted(&index.name),
            index.method,
            keys.join(", "),
            self.include_words(index)
        );
        if index.nulls_not_distinct {
            text.push_str(" NULLS NOT DISTINCT");
        }
        if let Some(predicate) = &index.predicate {
            text.push_str(&format!(" WHERE ({})", style.text(predicate)));
        }
        text
    }

    /// `EXCLUDE USING gist (room WITH =, during WITH &&)`
    pub(super) fn exclusion_definition(&self, index: &Index, operators: &[String]) -> String {
        let keys = index.keys.iter().zip(operators);
        let keys =
            keys.map(|(key, operator)| format!("{} WITH {operator}", self.index_key(index, key, Style::Written)));
        let mut text = format!("EXCLUDE USING {} ({})", index.method, keys.collect::<Vec<_>>().join(", "));
        if let Some(predicate) = &index.predicate {
            text.push_str(&format!(" WHERE ({})", predicate.sql));
        }
        text
    }

    fn index_key(&self, index: &Index, key: &IndexKey, style: Style) -> String {
        let mut text = match &key.target {
            IndexTarget::Column(attnum) => self.names(index.table, &[*attnum]),
            // A function call stands bare.
            IndexTarget::Expression(expression) if is_call(expression) => style.text(expression),
            IndexTarget::Expression(expression) => format!("({})", style.text(expression)),
        };
        let named = |class: &&String| style == Style::Written || !DEFAULT_CLASSES.contains(&class.as_str());
        if let Some(class) = key.operator_class.as_ref().filter(named) {
            text.push_str(&format!(" {}", quoted(class)));
        }
        match (key.descending, key.nulls_first) {
            (true, true) => text.push_str(" DESC"),
            (true, false) => text.push_str(" DESC NULLS LAST"),
            (false, true) => text.push_str(" NULLS FIRST"),
            (false, false) => {}
        }
        text
    }

    fn names(&self, table: Oid, columns: &[AttNum]) -> String {
        let names = self.tables.get(&table).map(|table| table.names_of(columns)).unwrap_or_default();
        names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}

impl Action {
    /// As SQL says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::NoAction => "NO ACTION",
            Action::Restrict => "RESTRICT",
            Action::Cascade => "CASCADE",
            Action::SetNull => "SET NULL",
            Action::SetDefault => "SET DEFAULT",
        }
    }
}

fn is_call(expression: &super::Expression) -> bool {
    matches!(expression.node.node, Some(pg_query::NodeEnum::FuncCall(_)))
}

/// A name with its schema where that isn't `public`, quoted where it must be.
pub fn qualified(schema: &str, name: &str) -> String {
    if schema == "public" { quoted(name) } else { format!("{}.{}", quoted(schema), quoted(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TransactionState;

    #[test]
    fn definitions_read_as_the_server_writes_them() {
        let mut catalog = Catalog::empty();
        let sql =
            "CREATE TABLE p (id int PRIMARY KEY, \"User\" text, UNIQUE NULLS NOT DISTINCT (\"User\") INCLUDE (id));
                   CREATE TABLE c (a int REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE, b int CHECK (b > 0));
                   CREATE INDEX i ON c USING btree (a DESC, abs(b), (a + b) NULLS FIRST) WHERE a > 1";
        for statement in pg_query::parse(sql, 0).expect(sql).protobuf.stmts {
            let node = statement.stmt.and_then(|node| node.node).expect("a statement");
            catalog.apply(&node, &TransactionState::default()).expect(sql);
        }
        let mut found: Vec<String> = catalog
            .constraints
            .values()
            .map(|constraint| catalog.constraint_definition(constraint, Style::Written))
            .collect();
        found.extend(
            catalog
                .indexes
                .values()
                .filter(|i| i.constraint.is_none())
                .map(|i| catalog.index_definition(i, Style::Written)),
        );
        found.sort();
        assert_eq!(
            found,
            [
                "CHECK (b > 0)",
                "CREATE INDEX i ON public.c USING btree (a DESC, abs(b), (a + b) NULLS FIRST) WHERE (a > 1)",
                "FOREIGN KEY (a) REFERENCES p(id) ON UPDATE CASCADE ON DELETE SET NULL",
                "PRIMARY KEY (id)",
                "UNIQUE NULLS NOT DISTINCT (\"User\") INCLUDE (id)",
            ]
        );
    }
}
