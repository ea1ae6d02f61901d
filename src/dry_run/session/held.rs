//! What the snapshot holds otherwise than the server: columns left out, values masked.
//!
//! Input: a statement, and what the manifest says of its tables. Output: a statement that needs what isn't there is unsupported by name;
//! one that reads masked values is noted. Invariant: a name that is left out is never answered as if it weren't there.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, Token};

use super::Session;
use crate::catalog::definition::Style;
use crate::catalog::problem::{ServerError, Unsupported};
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
    /// Tables with a part of their rows.
    chosen_rows: BTreeSet<Oid>,
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
            if table.part.as_ref().is_some_and(|part| part.predicate.is_some()) {
                held.chosen_rows.insert(oid);
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
        let named = self.masked_names(statement);
        for (oid, column) in &named {
            let reads = self.held.masked_reads.entry((*oid, column.column.clone())).or_default();
            reads.insert(statement.index);
        }
        let shown = |(oid, column): &(Oid, MaskedColumn)| {
            let table = self.catalog.tables.get(oid).map_or("", |table| table.name.as_str());
            format!("{table}.{} ({})", column.shown(), column.rule)
        };
        let shown: Vec<String> = named.iter().map(shown).collect();
        (!shown.is_empty()).then(|| format!("It names masked values: {}.", shown.join(", ")))
    }

    /// An error that the server's own rows may not give: it comes of masked values, or of rows that aren't there.
    pub(super) fn unsure_of_held(&self, statement: &Statement, error: &ServerError) -> Option<Unsupported> {
        let by_rows = ["21", "22", "23", "P0"].iter().any(|class| error.sqlstate.starts_with(class));
        let unsupported =
            |what: String| Some(Unsupported { what: format!("{what} ({})", error.message), position: None });
        if !by_rows || (self.held.masked.is_empty() && self.held.chosen_rows.is_empty()) {
            return None;
        }
        let texts = [Some(error.message.as_str()), error.detail.as_deref()];
        let quoted: Vec<&str> =
            texts.into_iter().flatten().flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
        let masked_by = |oid: &Oid, text: &str| {
            let words = words(text);
            self.held.masked.get(oid)?.iter().find(|column| words.contains(&column.column.to_lowercase()))
        };
        // What a constraint or an index demands of masked values.
        let constraints = self.catalog.constraints.values().filter(|c| quoted.contains(&c.name.as_str()));
        let constraint = constraints.map(|c| (c.table, self.catalog.constraint_definition(c, Style::Written)));
        let indexes = self.catalog.indexes.values().filter(|index| quoted.contains(&index.name.as_str()));
        let index = indexes.map(|index| (index.table, self.catalog.index_definition(index, Style::Written)));
        if let Some(column) = constraint.chain(index).find_map(|(table, text)| masked_by(&table, &text)) {
            return unsupported(format!("what the server's own values of {}, masked here, would give", column.shown()));
        }
        if let Some((_, column)) = self.masked_names(statement).first() {
            return unsupported(format!("what the server's own values of {}, masked here, would give", column.shown()));
        }
        let chosen = self.held.chosen_rows.iter().filter_map(|oid| self.catalog.tables.get(oid));
        let chosen = chosen.map(|table| table.name.as_str()).find(|name| quoted.contains(name));
        match chosen {
            Some(name) if error.sqlstate == "23503" => {
                unsupported(format!("rows of {name} that the snapshot doesn't hold (it was exported with --where)"))
            }
            _ => None,
        }
    }

    /// Masked columns that a statement names.
    fn masked_names(&self, statement: &Statement) -> Vec<(Oid, MaskedColumn)> {
        if self.held.masked.is_empty() {
            return Vec::new();
        }
        let words = words(&format!("{}\n{}", unquoted(statement), self.bodies_named(&statement.sql)));
        let tables = self.held.masked.iter().filter(|(oid, _)| {
            self.catalog.tables.get(oid).is_some_and(|table| words.contains(&table.name.to_lowercase()))
        });
        let columns = tables.flat_map(|(oid, columns)| columns.iter().map(move |column| (*oid, column.clone())));
        columns.filter(|(_, column)| words.contains(&column.column.to_lowercase())).collect()
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
