//! Indexes: CREATE INDEX.
//!
//! Input: the parser's statement, or `pg_get_indexdef` text read by it. Output: an index; a unique one demands its keys' uniqueness.
//! Left out: the access methods themselves; an index changes no row.

use pg_query::NodeEnum;
use pg_query::protobuf::{IndexElem, IndexStmt, Node, SortByDir, SortByNulls};

use super::Change;
use super::constraints::expect_row_expression;
use super::tables::named;
use crate::catalog::lookup::missing_column;
use crate::catalog::{
    AttNum, Effect, Expression, Index, IndexKey, IndexTarget, Oid, Outcome, Problem, Table, naming, tree,
};

/// Access methods of a server without extensions, and those of common ones.
const METHODS: &[&str] = &["btree", "hash", "gin", "gist", "spgist", "brin", "hnsw", "ivfflat", "bloom"];

impl Change {
    pub(super) fn create_index(&mut self, statement: &IndexStmt) -> Outcome<&'static str> {
        const TAG: &str = "CREATE INDEX";
        if statement.concurrent {
            self.expect_no_block("CREATE INDEX CONCURRENTLY")?;
        }
        let table = self.indexed_table(statement)?;
        if statement.if_not_exists && self.catalog.relation(&table.schema, &statement.idxname).is_some() {
            self.note(format!("relation \"{}\" already exists, skipping", statement.idxname));
            return Ok(TAG);
        }
        let mut index = read_index(table, statement)?;
        self.expect_indexable(table, &index)?;
        let partitioned = self.catalog.partitioned.contains_key(&table.oid);
        if partitioned && statement.concurrent {
            let message = format!("cannot create index on partitioned table \"{}\" concurrently", table.name);
            return Err(Problem::rejected("0A000", message));
        }
        if index.unique {
            let held: Vec<Option<AttNum>> = index.keys.iter().map(IndexKey::column).collect();
            self.expect_partition_key(table.oid, &held, "UNIQUE")?;
        }
        if index.name.is_empty() {
            let names = index_column_names(statement);
            index.name = self.catalog.choose_relation_name(
                &table.schema,
                &table.name,
                Some(&naming::addition(&names)),
                "idx",
                false,
            );
        }
        self.catalog.expect_free_relation(&index.schema, &index.name)?;
        let table = table.oid;
        let oid = self.insert_index(index);
        if statement.unique {
            self.demand(table, Effect::VerifyUnique(oid));
        }
        self.table = Some(table);
        if partitioned {
            self.index_partitions(table, statement)?;
        }
        Ok(TAG)
    }

    fn indexed_table(&self, statement: &IndexStmt) -> Outcome<&Table> {
        let relation = named(statement.relation.as_ref())?;
        self.catalog.expect_table(relation).map_err(|problem| match problem {
            Problem::Rejected(error) if error.sqlstate == "42809" => {
                let message = format!("cannot create index on relation \"{}\"", relation.relname);
                Problem::rejected("42809", message)
            }
            other => other,
        })
    }

    fn expect_indexable(&self, table: &Table, index: &Index) -> Outcome<()> {
        if !METHODS.contains(&index.method.as_str()) {
            return Err(Problem::rejected("42704", format!("access method \"{}\" does not exist", index.method)));
        }
        if index.unique && index.method != "btree" {
            let message = format!("access method \"{}\" does not support unique indexes", index.method);
            return Err(Problem::rejected("0A000", message));
        }
        if index.method == "hash" && index.keys.len() > 1 {
            return Err(Problem::rejected("0A000", "access method \"hash\" does not support multicolumn indexes"));
        }
        for key in index.keys.iter().filter(|key| key.operator_class.is_none()) {
            let IndexTarget::Column(attnum) = key.target else { continue };
            let ty = table.by_attnum(attnum).map(|column| &column.ty);
            if let Some(ty) = ty.filter(|ty| !ty.has_operator_class(&index.method)) {
                let extension = ty.operator_class_extension(&index.method);
                match extension {
                    Some(name) if self.catalog.extensions.contains(name) => {}
                    Some(name) if self.catalog.partial => {
                        return Err(Problem::unsupported(format!(
                            "an index with operator classes of {name}, as a snapshot doesn't list extensions,"
                        )));
                    }
                    _ => return Err(self.no_operator_class(&ty.base_name(&self.catalog), &index.method)),
                }
            }
        }
        Ok(())
    }

    /// Puts an index into the catalog under a number of its own.
    fn insert_index(&mut self, mut index: Index) -> Oid {
        index.oid = self.catalog.new_oid();
        let oid = index.oid;
        self.catalog.indexes.insert(oid, index);
        oid
    }
}

/// An index as a statement describes it, without a number, and without a name where none is given.
pub(crate) fn read_index(table: &Table, statement: &IndexStmt) -> Outcome<Index> {
    let elements = |nodes: &[Node]| -> Vec<IndexElem> {
        nodes
            .iter()
            .filter_map(|node| match &node.node {
                Some(NodeEnum::IndexElem(element)) => Some((**element).clone()),
                _ => None,
            })
            .collect()
    };
    let keys = elements(&statement.index_params).iter().map(|e| read_key(table, e)).collect::<Outcome<Vec<_>>>()?;
    let include = elements(&statement.index_including_params)
        .iter()
        .map(|element| Ok(indexed_column(table, &element.name)?.attnum))
        .collect::<Outcome<Vec<_>>>()?;
    let predicate = match statement.where_clause.as_deref() {
        Some(condition) => {
            expect_row_expression(table, condition, "index predicate")?;
            Some(Expression::of_table(condition, &table.name)?)
        }
        None => None,
    };
    let method = if statement.access_method.is_empty() { "btree" } else { &statement.access_method };
    Ok(Index {
        oid: 0,
        schema: table.schema.clone(),
        name: statement.idxname.clone(),
        table: table.oid,
        method: method.to_owned(),
        unique: statement.unique,
        nulls_not_distinct: statement.nulls_not_distinct,
        keys,
        include,
        predicate,
        constraint: None,
    })
}

fn read_key(table: &Table, element: &IndexElem) -> Outcome<IndexKey> {
    let target = match element.expr.as_deref() {
        Some(node) => {
            expect_row_expression(table, node, "index expression")?;
            // A column in parentheses is that column.
            match &node.node {
                Some(NodeEnum::ColumnRef(column)) if column.fields.len() == 1 => {
                    let name = tree::strings(&column.fields).pop().unwrap_or_default();
                    IndexTarget::Column(indexed_column(table, &name)?.attnum)
                }
                _ => IndexTarget::Expression(Expression::of_table(node, &table.name)?),
            }
        }
        None => IndexTarget::Column(indexed_column(table, &element.name)?.attnum),
    };
    let descending = element.ordering == SortByDir::SortbyDesc as i32;
    let nulls_first = match SortByNulls::try_from(element.nulls_ordering) {
        Ok(SortByNulls::SortbyNullsFirst) => true,
        Ok(SortByNulls::SortbyNullsLast) => false,
        // As in ORDER BY: NULLs are greater than everything.
        _ => descending,
    };
    let operator_class = tree::strings(&element.opclass).pop();
    Ok(IndexKey { target, descending, nulls_first, operator_class })
}

fn indexed_column<'a>(table: &'a Table, name: &str) -> Outcome<&'a crate::catalog::Column> {
    // The server says it without the table.
    table.column(name).ok_or_else(|| match missing_column(table, name) {
        Problem::Rejected(mut error) => {
            error.message = format!("column \"{name}\" does not exist");
            Problem::Rejected(error)
        }
        other => other,
    })
}

/// What the index's columns are called, expressions included: parts of its implicit name.
pub(super) fn index_column_names(statement: &IndexStmt) -> Vec<String> {
    let elements = statement.index_params.iter().chain(&statement.index_including_params);
    naming::distinct_names(elements.filter_map(|node| match &node.node {
        Some(NodeEnum::IndexElem(element)) => Some(match element.expr.as_deref() {
            Some(expression) => naming::expression_name(expression).unwrap_or_else(|| "expr".to_owned()),
            None => element.name.clone(),
        }),
        _ => None,
    }))
}
