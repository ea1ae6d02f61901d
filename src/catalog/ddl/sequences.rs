//! Sequences: CREATE and ALTER SEQUENCE.
//!
//! Input: the parser's statements. Output: names, owners, and where the numbers begin. Left out: limits and cycles.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterSeqStmt, CreateSeqStmt, Node};

use super::Change;
use super::columns::nextval_sequence;
use super::tables::named;
use crate::catalog::lookup::schema_of;
use crate::catalog::{AttNum, Catalog, Column, Numbers, Oid, Outcome, Problem, Sequence, tree};

impl Catalog {
    /// The sequence that a text like `app.t_id_seq` or `"T_id_seq"` names, as `nextval` reads it.
    pub fn sequence_by_text(&self, text: &str) -> Option<Oid> {
        let (schema, name) = named_by(text)?;
        self.sequence(schema.as_deref(), &name).map(|sequence| sequence.oid)
    }

    /// The sequence that a column's values come from by default.
    pub fn sequence_of(&self, table: Oid, column: &Column) -> Option<Oid> {
        match column.default.as_ref().and_then(nextval_sequence) {
            Some(text) => self.default_sequence(&text),
            None if column.identity.is_some() => {
                let owner = Some((table, column.attnum));
                self.sequences.values().find(|sequence| sequence.owner == owner).map(|sequence| sequence.oid)
            }
            None => None,
        }
    }

    /// The same for a stored default: a name without a schema is `public`'s, as snapshots write it, whatever the search path.
    pub(crate) fn default_sequence(&self, text: &str) -> Option<Oid> {
        let (schema, name) = named_by(text)?;
        let stored = self.sequence(Some(schema.as_deref().unwrap_or("public")), &name);
        stored.or_else(|| self.sequence(schema.as_deref(), &name)).map(|sequence| sequence.oid)
    }
}

/// START, INCREMENT and RESTART.
fn set_numbers(numbers: &mut Numbers, options: &[Node]) {
    for option in options {
        let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
        let given = option.arg.as_deref().and_then(|node| match &node.node {
            Some(NodeEnum::Integer(value)) => Some(i64::from(value.ival)),
            Some(NodeEnum::Float(value)) => value.fval.parse().ok(),
            _ => None,
        });
        match (option.defname.as_str(), given) {
            ("start", Some(start)) => numbers.start = start,
            ("increment", Some(step)) => numbers.step = step,
            ("restart", Some(next)) => numbers.next = next,
            ("restart", None) => numbers.next = numbers.start,
            _ => {}
        }
    }
}

/// Schema and name out of a qualified name's text.
fn named_by(text: &str) -> Option<(Option<String>, String)> {
    let node = super::super::expression::parse(text).ok()?;
    let Some(NodeEnum::ColumnRef(names)) = &node.node else { return None };
    let mut names = tree::strings(&names.fields);
    let name = names.pop()?;
    Some((names.pop(), name))
}

impl Change {
    pub(super) fn create_sequence(&mut self, statement: &CreateSeqStmt) -> Outcome<&'static str> {
        const TAG: &str = "CREATE SEQUENCE";
        let relation = named(statement.sequence.as_ref())?;
        let schema = self.schema_for(relation)?;
        if statement.if_not_exists && self.catalog.relation(&schema, &relation.relname).is_some() {
            self.note(format!("relation \"{}\" already exists, skipping", relation.relname));
            return Ok(TAG);
        }
        self.catalog.expect_free_relation(&schema, &relation.relname)?;
        let owner = self.read_owner(&statement.options)?.flatten();
        let oid = self.catalog.new_oid();
        let mut numbers = Numbers::default();
        set_numbers(&mut numbers, &statement.options);
        numbers.next = numbers.start;
        let name = relation.relname.clone();
        self.catalog.sequences.insert(oid, Sequence { oid, schema, name, owner, numbers: Some(numbers) });
        Ok(TAG)
    }

    pub(super) fn alter_sequence(&mut self, statement: &AlterSeqStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER SEQUENCE";
        let relation = named(statement.sequence.as_ref())?;
        let schema = schema_of(relation);
        let Some(oid) = self.catalog.sequence(schema, &relation.relname).map(|sequence| sequence.oid) else {
            if statement.missing_ok {
                self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
                return Ok(TAG);
            }
            if self.catalog.partial {
                self.note(format!(
                    "the snapshot lists no sequences but its columns': {} is taken as existing",
                    relation.relname
                ));
                return Ok(TAG);
            }
            return Err(self.catalog.missing_relation(schema, &relation.relname).at(relation.location));
        };
        if let Some(owner) = self.read_owner(&statement.options)?
            && let Some(sequence) = self.catalog.sequences.get_mut(&oid)
        {
            sequence.owner = owner;
        }
        if let Some(numbers) = self.catalog.sequences.get_mut(&oid).and_then(|sequence| sequence.numbers.as_mut()) {
            set_numbers(numbers, &statement.options);
        }
        Ok(TAG)
    }

    /// OWNED BY: a column or NONE; `None` where the statement doesn't say.
    fn read_owner(&self, options: &[Node]) -> Outcome<Option<Option<(Oid, AttNum)>>> {
        for option in options {
            let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
            if option.defname != "owned_by" {
                continue;
            }
            let Some(NodeEnum::List(list)) = option.arg.as_deref().and_then(|node| node.node.as_ref()) else {
                continue;
            };
            let mut names = tree::strings(&list.items);
            let column = names.pop().unwrap_or_default();
            let Some(table) = names.pop() else {
                if column == "none" {
                    return Ok(Some(None));
                }
                return Err(Problem::rejected("42601", "invalid OWNED BY option")
                    .hint("Specify OWNED BY table.column or OWNED BY NONE."));
            };
            let schema = names.pop();
            let Some(found) = self.catalog.table(schema.as_deref(), &table) else {
                return Err(self.catalog.missing_relation(schema.as_deref(), &table));
            };
            return Ok(Some(Some((found.oid, self.catalog.expect_column(found, &column)?.attnum))));
        }
        Ok(None)
    }
}
