//! What the snapshot holds otherwise than the server: columns left out, values masked.
//!
//! Input: a statement, and what the manifest says of its tables. Output: a statement that needs what isn't there is unsupported by name;
//! one that reads masked values is noted. Invariant: a name that is left out is never answered as if it weren't there.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, Token};

use super::Session;
use crate::catalog::{Catalog, Oid, Problem, tree};
use crate::dry_run::engine::Ran;
use crate::migration::Statement;
use crate::snapshot::manifest::Manifest;
use crate::snapshot::part::{MaskedColumn, Part};

/// The tables of a snapshot that aren't as the server has them.
#[derive(Debug, Clone, Default)]
pub(in crate::dry_run) struct Held {
    parts: BTreeMap<Oid, Part>,
    masked: BTreeMap<Oid, Vec<MaskedColumn>>,
    /// Statements that name masked columns, by table and column.
    pub(in crate::dry_run) masked_reads: BTreeMap<(Oid, String), BTreeSet<usize>>,
}

impl Held {
    /// What a manifest says; `catalog` was made of it.
    pub(super) fn of(manifest: &Manifest, catalog: &Catalog) -> Held {
        let mut held = Held::default();
        for table in &manifest.tables {
            let Some(oid) = catalog.table(Some(&table.schema), &table.name).map(|table| table.oid) else { continue };
            if let Some(part) = table.part.as_ref().filter(|part| !part.left_out.is_empty()) {
                held.parts.insert(oid, part.clone());
            }
            if !table.masked.is_empty() {
                held.masked.insert(oid, table.masked.clone());
            }
        }
        held
    }

    /// Are there columns that aren't there?
    pub(super) fn leaves_out(&self) -> bool {
        !self.parts.is_empty()
    }
}

impl Session<'_> {
    /// Unsupported, where a statement needs a column that the snapshot leaves out.
    pub(super) fn expect_held(&self, statement: &Statement) -> Ran<()> {
        if !self.held.leaves_out() {
            return Ok(());
        }
        let bodies = self.bodies_named(&statement.sql);
        let words = words(&format!("{}\n{bodies}", unquoted(statement)));
        let missing = |table: &str, name: &str| {
            Problem::unsupported(format!(
                "{name} of {table}, which the snapshot leaves out (it was exported with --columns)"
            ))
        };
        for (oid, part) in &self.held.parts {
            let name = self.table_name(*oid).unwrap_or_default();
            if let Some(object) = part.left_out_objects.iter().find(|object| words.contains(&object.to_lowercase())) {
                return Err(missing(&name, object).into());
            }
            let Some(table) = self.catalog.tables.get(oid) else { continue };
            if !words.contains(&table.name.to_lowercase()) {
                continue;
            }
            let named = part.left_out.iter().find(|column| words.contains(&column.name.to_lowercase()));
            if let Some(column) = named {
                return Err(missing(&name, &column.name).into());
            }
            if needs_all(&statement.node) || !bodies.is_empty() {
                let left: Vec<&str> = part.left_out.iter().map(|column| column.name.as_str()).collect();
                return Err(missing(&name, &left.join(", ")).into());
            }
        }
        Ok(())
    }

    /// Remembers that a statement names masked columns, and says so in its report.
    pub(super) fn note_masked(&mut self, statement: &Statement) -> Option<String> {
        if self.held.masked.is_empty() {
            return None;
        }
        let words = words(&format!("{}\n{}", unquoted(statement), self.bodies_named(&statement.sql)));
        let mut named = Vec::new();
        for (oid, columns) in &self.held.masked {
            let Some(table) = self.catalog.tables.get(oid) else { continue };
            if !words.contains(&table.name.to_lowercase()) {
                continue;
            }
            for column in columns.iter().filter(|column| words.contains(&column.column.to_lowercase())) {
                let key = (*oid, column.column.clone());
                self.held.masked_reads.entry(key).or_default().insert(statement.index);
                named.push(format!("{}.{} ({})", table.name, column.shown(), column.rule));
            }
        }
        (!named.is_empty()).then(|| format!("It names masked values: {}.", named.join(", ")))
    }
}

/// Does a statement need whole rows of its tables: `*`, a row by its table's name, a new row?
fn needs_all(node: &NodeEnum) -> bool {
    let writes = [
        matches!(node, NodeEnum::InsertStmt(_) | NodeEnum::MergeStmt(_)),
        matches!(node, NodeEnum::CopyStmt(_) | NodeEnum::DoStmt(_)),
        matches!(node, NodeEnum::CreateStmt(create) if !create.inh_relations.is_empty()
            || create.table_elts.iter().any(|e| matches!(e.node, Some(NodeEnum::TableLikeClause(_))))),
    ];
    if writes.contains(&true) {
        return true;
    }
    let (mut whole, mut named, mut alone) = (false, BTreeSet::new(), BTreeSet::new());
    tree::walk(&Node { node: Some(node.clone()) }, &mut |node| match node {
        NodeEnum::ColumnRef(column) => {
            whole |= column.fields.iter().any(|field| matches!(field.node, Some(NodeEnum::AStar(_))));
            if let [only] = column.fields.as_slice() {
                alone.extend(tree::string(only));
            }
        }
        NodeEnum::JoinExpr(join) => whole |= join.is_natural,
        NodeEnum::RangeVar(relation) => {
            named.insert(relation.relname.clone());
            named.extend(relation.alias.iter().map(|alias| alias.aliasname.clone()));
        }
        _ => {}
    });
    whole || alone.intersection(&named).next().is_some()
}

/// The statement without its literals and comments, which name nothing; a body is a literal that does.
fn unquoted(statement: &Statement) -> String {
    let sql = &statement.sql;
    let has_body = matches!(statement.node, NodeEnum::DoStmt(_) | NodeEnum::CreateFunctionStmt(_));
    let Some(scanned) = (!has_body).then(|| pg_query::scan(sql).ok()).flatten() else { return sql.clone() };
    let silent = |token: &&pg_query::protobuf::ScanToken| {
        matches!(token.token(), Token::Sconst | Token::SqlComment | Token::CComment)
    };
    let plain = scanned.tokens.iter().filter(|token| !silent(token));
    plain.filter_map(|token| sql.get(token.start as usize..token.end as usize)).collect::<Vec<_>>().join(" ")
}

/// The words of a text, in lower case.
fn words(sql: &str) -> BTreeSet<String> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_lowercase).collect()
}
