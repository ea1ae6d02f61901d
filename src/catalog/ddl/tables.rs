//! Tables: CREATE TABLE, CREATE TABLE AS and its kin, TRUNCATE, REFRESH.
//!
//! Input: the statements. Output: tables with their columns, keys and sequences. Invariants: constraints come in the server's order
//! (checks, then keys with the primary key first, then foreign keys), which decides the implicit names. Left out: partitions,
//! inheritance and typed tables, which are refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, ConstrType, CreateStmt, IntoClause, Node, ObjectType, OnCommitAction, RangeVar};

use super::columns::ColumnDraft;
use super::{Applied, Change, TransactionState, is_cascade};
use crate::catalog::lookup::{TEMPORARY_SCHEMA, schema_of};
use crate::catalog::{
    AttNum, Catalog, Column, Effect, Expression, Oid, Outcome, Problem, RelationKind, Table, Type, tree,
};

impl Catalog {
    /// CREATE TABLE AS, SELECT INTO or CREATE MATERIALIZED VIEW; `columns` are the query's (see [`table_query`]).
    ///
    /// # Errors
    /// As for [`Catalog::apply`].
    pub fn create_table_as(
        &mut self,
        node: &NodeEnum,
        columns: Vec<(String, Type)>,
        transaction: &TransactionState,
    ) -> Outcome<Option<Applied>> {
        self.change(transaction, |change| match node {
            NodeEnum::CreateTableAsStmt(statement) => {
                let into =
                    statement.into.as_deref().ok_or_else(|| Problem::unsupported("CREATE TABLE AS without a name"))?;
                let query = statement
                    .query
                    .as_deref()
                    .ok_or_else(|| Problem::unsupported("CREATE TABLE AS without a query"))?;
                let materialized = statement.objtype == ObjectType::ObjectMatview as i32;
                change.create_filled(into, query, columns, materialized, statement.if_not_exists).map(Some)
            }
            NodeEnum::SelectStmt(select) => match (select.into_clause.as_deref(), table_query(node)) {
                (Some(into), Some(query)) => change.create_filled(into, &query, columns, false, false).map(Some),
                _ => Ok(None),
            },
            _ => Ok(None),
        })
    }
}

/// The query that fills the table a statement makes; `None` for other statements.
pub fn table_query(node: &NodeEnum) -> Option<Node> {
    match node {
        NodeEnum::CreateTableAsStmt(statement) => statement.query.as_deref().cloned(),
        NodeEnum::SelectStmt(select) if select.into_clause.is_some() => {
            let query = protobuf::SelectStmt { into_clause: None, ..(**select).clone() };
            Some(Node { node: Some(NodeEnum::SelectStmt(Box::new(query))) })
        }
        _ => None,
    }
}

impl Change {
    pub(super) fn create_table(&mut self, statement: &CreateStmt) -> Outcome<&'static str> {
        const TAG: &str = "CREATE TABLE";
        refuse_unknown_forms(statement)?;
        expect_options(&statement.options)?;
        let relation = named(statement.relation.as_ref())?;
        let schema = self.schema_for(relation)?;
        if statement.if_not_exists && self.catalog.relation(&schema, &relation.relname).is_some() {
            self.note(format!("relation \"{}\" already exists, skipping", relation.relname));
            return Ok(TAG);
        }
        if statement.partbound.is_some() {
            self.create_partition(statement)?;
            return Ok(TAG);
        }
        let (mut drafts, constraints) = self.draft_table(statement, &relation.relname)?;
        let sequences: Vec<Option<Oid>> = drafts
            .iter_mut()
            .map(|draft| self.create_column_sequence(&schema, &relation.relname, draft))
            .collect::<Outcome<_>>()?;
        let columns = drafts.into_iter().map(|draft| draft.column).collect();
        let oid = self.insert_table(schema, &relation.relname, columns, None)?;
        self.note_end(oid, statement.oncommit)?;
        self.note_partitioning(oid, statement)?;
        for (index, sequence) in sequences.into_iter().enumerate() {
            if let Some(sequence) = sequence.and_then(|oid| self.catalog.sequences.get_mut(&oid)) {
                sequence.owner = Some((oid, (index + 1) as AttNum));
            }
        }
        self.add_constraints(oid, &constraints)?;
        for element in &statement.table_elts {
            if let Some(NodeEnum::TableLikeClause(like)) = &element.node {
                for index in self.indexes_like(like, relation)? {
                    self.create_index(&index)?;
                }
            }
        }
        self.table = Some(oid);
        Ok(TAG)
    }

    /// The schema of a new relation: the temporary one for TEMP.
    pub(super) fn schema_for(&self, relation: &RangeVar) -> Outcome<String> {
        if relation.relpersistence == "t" {
            return Ok(TEMPORARY_SCHEMA.to_owned());
        }
        self.catalog.creation_schema(schema_of(relation)).map_err(|problem| problem.at(relation.location))
    }

    fn draft_table(
        &self,
        statement: &CreateStmt,
        table: &str,
    ) -> Outcome<(Vec<ColumnDraft>, Vec<protobuf::Constraint>)> {
        let mut drafts: Vec<ColumnDraft> = Vec::new();
        let mut constraints = Vec::new();
        let elements = statement.table_elts.iter().chain(&statement.constraints);
        for element in elements.filter_map(|node| node.node.as_ref()) {
            let new = match element {
                NodeEnum::ColumnDef(definition) => vec![self.draft_column(definition, table)?],
                NodeEnum::TableLikeClause(like) => self.draft_like(like)?,
                NodeEnum::Constraint(constraint) => {
                    constraints.push((**constraint).clone());
                    continue;
                }
                _ => return Err(Problem::unsupported("a table element of this form")),
            };
            for mut draft in new {
                let name = &draft.column.name;
                if drafts.iter().any(|other| other.column.name == *name) {
                    return Err(Problem::rejected("42701", format!("column \"{name}\" specified more than once")));
                }
                // Where it stands decides which of two long names is numbered.
                constraints.append(&mut draft.constraints);
                drafts.push(draft);
            }
        }
        Ok((drafts, constraints))
    }

    /// Puts a table into the catalog; numbers its columns.
    pub(super) fn insert_table(
        &mut self,
        schema: String,
        name: &str,
        mut columns: Vec<Column>,
        materialized: Option<Expression>,
    ) -> Outcome<Oid> {
        self.catalog.expect_free_relation(&schema, name)?;
        self.expect_free_row_type(&schema, name)?;
        for (index, column) in columns.iter_mut().enumerate() {
            column.attnum = (index + 1) as AttNum;
        }
        let oid = self.catalog.new_oid();
        let last_attnum = columns.len() as AttNum;
        let table = Table {
            oid,
            schema,
            name: name.to_owned(),
            columns,
            snapshot_table: None,
            materialized,
            populated: true,
            last_attnum,
        };
        self.catalog.tables.insert(oid, table);
        self.effects.push(Effect::CreateTable(oid));
        Ok(oid)
    }

    /// 42710, where a type bears the name that a relation's rows would have as their type.
    pub(super) fn expect_free_row_type(&self, schema: &str, name: &str) -> Outcome<()> {
        if self.catalog.composites.values().any(|c| c.schema == schema && c.name == name) {
            return Err(Problem::rejected("42P07", format!("relation \"{name}\" already exists")));
        }
        let domain = self.catalog.domains.values().any(|d| d.schema == schema && d.name == name);
        if domain || self.catalog.enums.values().any(|e| e.schema == schema && e.name == name) {
            return Err(Problem::rejected("42710", format!("type \"{name}\" already exists")).hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any \
                 existing type.",
            ));
        }
        Ok(())
    }

    /// A new table's constraints, in the server's order.
    fn add_constraints(&mut self, table: Oid, constraints: &[protobuf::Constraint]) -> Outcome<()> {
        let of = |kind: ConstrType| constraints.iter().filter(move |c| c.contype == kind as i32);
        let mut taken: Vec<String> = of(ConstrType::ConstrCheck).map(|c| c.conname.clone()).collect();
        for (index, name) in taken.iter().enumerate() {
            if !name.is_empty() && taken[..index].contains(name) {
                return Err(Problem::rejected("42710", format!("check constraint \"{name}\" already exists")));
            }
        }
        for check in of(ConstrType::ConstrCheck) {
            self.add_check(table, check, &mut taken)?;
        }
        let mut keys: Vec<protobuf::Constraint> = of(ConstrType::ConstrPrimary).cloned().collect();
        if let [_, second, ..] = keys.as_slice() {
            return Err(self.second_primary_key(table).at(second.location));
        }
        for unique in of(ConstrType::ConstrUnique) {
            // A key that is there already isn't made again; it may lend its name.
            match keys.iter_mut().find(|key| is_same_key(key, unique)) {
                Some(key) if key.conname.is_empty() => key.conname = unique.conname.clone(),
                Some(_) => {}
                None => keys.push(unique.clone()),
            }
        }
        for key in &keys {
            self.add_key(table, key)?;
        }
        for constraint in constraints {
            match ConstrType::try_from(constraint.contype) {
                Ok(ConstrType::ConstrForeign) => self.add_foreign_key(table, constraint)?,
                Ok(ConstrType::ConstrExclusion) => self.add_exclusion(table, constraint)?,
                Ok(ConstrType::ConstrCheck | ConstrType::ConstrPrimary | ConstrType::ConstrUnique) => {}
                _ => return Err(Problem::unsupported("a table constraint of this form").at(constraint.location)),
            }
        }
        Ok(())
    }

    fn create_filled(
        &mut self,
        into: &IntoClause,
        query: &Node,
        columns: Vec<(String, Type)>,
        materialized: bool,
        if_not_exists: bool,
    ) -> Outcome<String> {
        let tag = if materialized { "CREATE MATERIALIZED VIEW" } else { "SELECT" };
        let relation = named(into.rel.as_ref())?;
        let schema = self.schema_for(relation)?;
        if if_not_exists && self.catalog.relation(&schema, &relation.relname).is_some() {
            self.note(format!("relation \"{}\" already exists, skipping", relation.relname));
            return Ok(tag.to_owned());
        }
        let is_row = |ty: &Type| matches!(ty, Type::Composite(oid) if self.catalog.tables.contains_key(oid));
        if columns.iter().any(|(_, ty)| is_row(ty)) {
            return Err(Problem::unsupported("a column of the type of a table's rows"));
        }
        let given = tree::strings(&into.col_names);
        if given.len() > columns.len() {
            return Err(Problem::rejected("42601", "too many column names were specified"));
        }
        let mut all: Vec<Column> = Vec::new();
        for (index, (name, ty)) in columns.into_iter().enumerate() {
            let name = given.get(index).cloned().unwrap_or(name);
            if all.iter().any(|column| column.name == name) {
                return Err(Problem::rejected("42701", format!("column \"{name}\" specified more than once")));
            }
            // A literal of no type becomes text.
            let ty = if ty == Type::Unknown { Type::Text } else { ty };
            all.push(Column::plain(0, name, ty));
        }
        let query = if materialized { self.settled_query(query)? } else { Expression::new(query)? };
        let oid = self.insert_table(schema, &relation.relname, all, materialized.then(|| query.clone()))?;
        self.note_end(oid, into.on_commit)?;
        if !into.skip_data {
            self.effects.push(Effect::Fill(oid, query));
        } else if let Some(table) = self.catalog.tables.get_mut(&oid) {
            table.populated = !materialized;
        }
        self.table = Some(oid);
        Ok(tag.to_owned())
    }

    /// ON COMMIT
    fn note_end(&mut self, table: Oid, action: i32) -> Outcome<()> {
        let drops = action == OnCommitAction::OncommitDrop as i32;
        if !drops && action != OnCommitAction::OncommitDeleteRows as i32 {
            return Ok(());
        }
        if self.catalog.tables[&table].schema != TEMPORARY_SCHEMA {
            return Err(Problem::rejected("42P16", "ON COMMIT can only be used on temporary tables"));
        }
        self.catalog.on_commit.insert(table, drops);
        Ok(())
    }

    pub(super) fn truncate(&mut self, statement: &protobuf::TruncateStmt) -> Outcome<&'static str> {
        let mut tables: Vec<Oid> = Vec::new();
        for node in &statement.relations {
            let Some(NodeEnum::RangeVar(relation)) = &node.node else { continue };
            let table = self.catalog.expect_table(relation)?;
            if table.materialized.is_some() {
                return Err(Problem::rejected("42809", format!("\"{}\" is not a table", table.name)));
            }
            if self.catalog.partitions.contains_key(&table.oid) {
                return Err(Problem::unsupported("TRUNCATE of a partition"));
            }
            tables.push(table.oid);
        }
        let mut index = 0;
        while let Some(parent) = tables.get(index).copied() {
            index += 1;
            let referring: Vec<Oid> = self.catalog.foreign_keys_to(parent).map(|c| c.table).collect();
            for child in referring {
                if tables.contains(&child) {
                    continue;
                }
                let name = self.catalog.tables[&child].name.clone();
                if !is_cascade(statement.behavior) {
                    let parent = &self.catalog.tables[&parent].name;
                    return Err(Problem::rejected(
                        "0A000",
                        "cannot truncate a table referenced in a foreign key constraint",
                    )
                    .detail(format!("Table \"{name}\" references \"{parent}\"."))
                    .hint(format!("Truncate table \"{name}\" at the same time, or use TRUNCATE ... CASCADE.")));
                }
                self.note(format!("truncate cascades to table \"{name}\""));
                tables.push(child);
            }
        }
        self.table = tables.first().copied();
        if statement.restart_seqs {
            let owned = self.catalog.sequences.values_mut();
            for sequence in owned.filter(|s| s.owner.is_some_and(|(table, _)| tables.contains(&table))) {
                let mut numbers = sequence.numbers.unwrap_or_default();
                numbers.restart();
                sequence.replace(numbers);
            }
        }
        self.effects.extend(tables.into_iter().map(Effect::Truncate));
        Ok("TRUNCATE TABLE")
    }

    pub(super) fn refresh(&mut self, statement: &protobuf::RefreshMatViewStmt) -> Outcome<&'static str> {
        let relation = named(statement.relation.as_ref())?;
        let schema = schema_of(relation);
        let oid = match self.catalog.find_relation(schema, &relation.relname) {
            Some((RelationKind::MaterializedView, oid)) => oid,
            Some(_) => {
                let message = format!("\"{}\" is not a materialized view", relation.relname);
                return Err(Problem::rejected("0A000", message).at(relation.location));
            }
            None => return Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location)),
        };
        if statement.concurrent && !self.catalog.tables[&oid].populated {
            let message = "CONCURRENTLY cannot be used when the materialized view is not populated";
            return Err(Problem::rejected("0A000", message));
        }
        if statement.concurrent && statement.skip_data {
            let message = "CONCURRENTLY and WITH NO DATA options cannot be used together";
            return Err(Problem::rejected("42601", message));
        }
        let is_unique = |index: &crate::catalog::Index| index.predicate.is_none() && index.key_columns().is_some();
        if statement.concurrent && !self.catalog.unique_indexes(oid).any(is_unique) {
            let table = &self.catalog.tables[&oid];
            let shown = format!("{}.{}", table.schema, table.name);
            let message = format!("cannot refresh materialized view \"{shown}\" concurrently");
            return Err(Problem::rejected("55000", message)
                .hint("Create a unique index with no WHERE clause on one or more columns of the materialized view."));
        }
        if let Some(table) = self.catalog.tables.get_mut(&oid) {
            table.populated = !statement.skip_data;
        }
        self.effects.push(Effect::Truncate(oid));
        if let Some(query) = self.catalog.tables[&oid].materialized.clone().filter(|_| !statement.skip_data) {
            self.effects.push(Effect::Fill(oid, query));
        }
        self.table = Some(oid);
        Ok("REFRESH MATERIALIZED VIEW")
    }
}

/// Parameters of a table's storage.
const OPTIONS: &[&str] = &["fillfactor", "parallel_workers", "toast_tuple_target", "user_catalog_table"];

/// Those that its TOAST table has as well.
const SHARED_OPTIONS: &[&str] = &["vacuum_index_cleanup", "vacuum_truncate", "log_autovacuum_min_duration"];

/// WITH (…): 22023 for what PostgreSQL 15 doesn't know.
fn expect_options(options: &[Node]) -> Outcome<()> {
    for node in options {
        let Some(NodeEnum::DefElem(option)) = &node.node else { continue };
        let name = option.defname.as_str();
        let of_vacuum = SHARED_OPTIONS.contains(&name) || name.starts_with("autovacuum_");
        let is_known = match option.defnamespace.as_str() {
            "" => of_vacuum || OPTIONS.contains(&name) || name == "oids",
            "toast" => of_vacuum,
            other => {
                let message = format!("unrecognized parameter namespace \"{other}\"");
                return Err(Problem::rejected("22023", message));
            }
        };
        if !is_known {
            let prefix = if option.defnamespace.is_empty() { "" } else { "toast." };
            return Err(Problem::rejected("22023", format!("unrecognized parameter \"{prefix}{name}\"")));
        }
    }
    Ok(())
}

fn refuse_unknown_forms(statement: &CreateStmt) -> Outcome<()> {
    let what = if !statement.inh_relations.is_empty() && statement.partbound.is_none() {
        "a table that inherits"
    } else if statement.of_typename.is_some() {
        "a table of a composite type"
    } else {
        return Ok(());
    };
    Err(Problem::unsupported(what).at(statement.relation.as_ref().map_or(-1, |relation| relation.location)))
}

fn is_same_key(one: &protobuf::Constraint, other: &protobuf::Constraint) -> bool {
    tree::strings(&one.keys) == tree::strings(&other.keys)
        && tree::strings(&one.including) == tree::strings(&other.including)
        && one.nulls_not_distinct == other.nulls_not_distinct
        && (one.deferrable, one.initdeferred) == (other.deferrable, other.initdeferred)
}

/// The relation that every statement on one names.
pub(super) fn named(relation: Option<&RangeVar>) -> Outcome<&RangeVar> {
    relation.ok_or_else(|| Problem::unsupported("a statement without a table"))
}
