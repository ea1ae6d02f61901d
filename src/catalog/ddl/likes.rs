//! LIKE: what a new table takes over from another.
//!
//! Input: the parser's clause. Output: columns with what INCLUDING asks for, and statements for the indexes. Invariant: checks keep
//! their names, keys and indexes get new ones, as on the server. Left out: comments, compression, statistics and storage, which
//! have no bearing here; exclusion constraints, which are refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, ConstrType, DefElem, Float, IndexElem, IndexStmt, Node, RangeVar, SortByDir, SortByNulls, TableLikeClause,
};

use super::Change;
use super::columns::ColumnDraft;
use super::tables::named;
use crate::catalog::lookup::schema_of;
use crate::catalog::{
    Column, ConstraintKind, Index, IndexKey, IndexTarget, Numbers, Outcome, Problem, Table, Timing, Type, View, tree,
};

const CONSTRAINTS: u32 = 1 << 2;
const DEFAULTS: u32 = 1 << 3;
const GENERATED: u32 = 1 << 4;
const IDENTITY: u32 = 1 << 5;
const INDEXES: u32 = 1 << 6;

impl Change {
    /// The columns of the other table; keys and checks hang on the last one.
    pub(super) fn draft_like(&self, like: &TableLikeClause) -> Outcome<Vec<ColumnDraft>> {
        let relation = named(like.relation.as_ref())?;
        if let Some(view) = self.catalog.view(schema_of(relation), &relation.relname) {
            return like_view(view);
        }
        let table = self.catalog.expect_table(relation)?;
        let includes = |option: u32| like.options & option != 0;
        let mut drafts: Vec<ColumnDraft> = Vec::new();
        for column in &table.columns {
            let identity = column.identity.filter(|_| includes(IDENTITY));
            let numbers = identity.and_then(|_| self.catalog.sequence_of(table.oid, column));
            let numbers = numbers.and_then(|oid| self.catalog.sequences.get(&oid)?.numbers);
            let copy = Column {
                attnum: 0,
                default: column.default.clone().filter(|_| includes(DEFAULTS)),
                identity,
                generated: column.generated.clone().filter(|_| includes(GENERATED)),
                snapshot_column: None,
                ..column.clone()
            };
            drafts.push(ColumnDraft {
                column: copy,
                has_sequence: identity.is_some(),
                sequence_options: numbers.map(options).unwrap_or_default(),
                constraints: vec![],
            });
        }
        if let Some(last) = drafts.last_mut() {
            last.constraints = self.constraints_like(table, like.options)?;
        }
        Ok(drafts)
    }

    fn constraints_like(&self, table: &Table, options: u32) -> Outcome<Vec<protobuf::Constraint>> {
        let mut all = Vec::new();
        for constraint in self.catalog.constraints_of(table.oid) {
            let plain = protobuf::Constraint {
                deferrable: constraint.timing != Timing::Immediate,
                initdeferred: constraint.timing == Timing::Deferred,
                location: -1,
                ..protobuf::Constraint::default()
            };
            match &constraint.kind {
                ConstraintKind::Check(check) if options & CONSTRAINTS != 0 => all.push(protobuf::Constraint {
                    contype: ConstrType::ConstrCheck as i32,
                    conname: constraint.name.clone(),
                    raw_expr: Some(Box::new((*check.node).clone())),
                    initially_valid: true,
                    ..plain
                }),
                ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index) if options & INDEXES != 0 => {
                    let primary = matches!(constraint.kind, ConstraintKind::PrimaryKey(_));
                    let Some(index) = self.catalog.indexes.get(index) else { continue };
                    let names = |columns: &[u16]| table.names_of(columns).iter().map(|name| tree::name(name)).collect();
                    let kind = if primary { ConstrType::ConstrPrimary } else { ConstrType::ConstrUnique };
                    all.push(protobuf::Constraint {
                        contype: kind as i32,
                        keys: names(&index.key_columns().unwrap_or_default()),
                        including: names(&index.include),
                        nulls_not_distinct: index.nulls_not_distinct,
                        ..plain
                    });
                }
                ConstraintKind::Exclusion(_) if options & INDEXES != 0 => {
                    return Err(Problem::unsupported(
                        "LIKE … INCLUDING INDEXES of a table with an exclusion constraint",
                    ));
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// Statements that make the other table's indexes on the new one.
    pub(super) fn indexes_like(&self, like: &TableLikeClause, relation: &RangeVar) -> Outcome<Vec<IndexStmt>> {
        let relation_like = named(like.relation.as_ref())?;
        let is_view = self.catalog.view(schema_of(relation_like), &relation_like.relname).is_some();
        if like.options & INDEXES == 0 || is_view {
            return Ok(vec![]);
        }
        let table = self.catalog.expect_table(relation_like)?;
        let own = self.catalog.indexes_of(table.oid).filter(|index| index.constraint.is_none());
        Ok(own.map(|index| index_like(table, index, relation)).collect())
    }
}

/// A view has names and types, and nothing else to take over.
fn like_view(view: &View) -> Outcome<Vec<ColumnDraft>> {
    if view.types.len() != view.columns.len() {
        return Err(Problem::unsupported(format!("LIKE {}, a view whose query can't be read", view.name)));
    }
    let column = |(name, ty): (&String, &Type)| Column::plain(0, name.clone(), ty.clone());
    let columns = view.columns.iter().zip(&view.types).map(column);
    Ok(columns
        .map(|column| ColumnDraft { column, has_sequence: false, sequence_options: vec![], constraints: vec![] })
        .collect())
}

fn index_like(table: &Table, index: &Index, relation: &RangeVar) -> IndexStmt {
    let column = |attnum: &u16| Node {
        node: Some(NodeEnum::IndexElem(Box::new(IndexElem {
            name: table.names_of(&[*attnum]).pop().unwrap_or_default(),
            ..IndexElem::default()
        }))),
    };
    IndexStmt {
        relation: Some(relation.clone()),
        access_method: index.method.clone(),
        index_params: index.keys.iter().map(|key| key_like(table, key)).collect(),
        index_including_params: index.include.iter().map(column).collect(),
        where_clause: index.predicate.as_ref().map(|predicate| Box::new((*predicate.node).clone())),
        unique: index.unique,
        nulls_not_distinct: index.nulls_not_distinct,
        ..IndexStmt::default()
    }
}

fn key_like(table: &Table, key: &IndexKey) -> Node {
    let (name, expr) = match &key.target {
        IndexTarget::Column(attnum) => (table.names_of(&[*attnum]).pop().unwrap_or_default(), None),
        IndexTarget::Expression(expression) => (String::new(), Some(Box::new((*expression.node).clone()))),
    };
    let ordering = if key.descending { SortByDir::SortbyDesc } else { SortByDir::SortbyAsc };
    let nulls = if key.nulls_first { SortByNulls::SortbyNullsFirst } else { SortByNulls::SortbyNullsLast };
    Node {
        node: Some(NodeEnum::IndexElem(Box::new(IndexElem {
            name,
            expr,
            ordering: ordering as i32,
            nulls_ordering: nulls as i32,
            opclass: key.operator_class.iter().map(|class| tree::name(class)).collect(),
            ..IndexElem::default()
        }))),
    }
}

/// The options that make a sequence like another.
fn options(numbers: Numbers) -> Vec<Node> {
    let option = |name: &str, value: i64| Node {
        node: Some(NodeEnum::DefElem(Box::new(DefElem {
            defname: name.to_owned(),
            arg: Some(Box::new(Node { node: Some(NodeEnum::Float(Float { fval: value.to_string() })) })),
            ..DefElem::default()
        }))),
    };
    vec![
        option("increment", numbers.step),
        option("maxvalue", numbers.max),
        option("minvalue", numbers.min),
        option("start", numbers.start),
        option("cache", numbers.cache),
    ]
}
