//! Partitions: which rows of a partitioned table are whose?
//!
//! Input: the bounds of partitions, as their definitions say them. Output: conditions over the partitioned table's row. Invariant: all rows
//! are kept with the partitioned table; a partition is those that its condition takes. Left out: keys of expressions, ranges over
//! several columns, partitions of partitions.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, PartitionBoundSpec};

use super::{AttNum, Catalog, Expression, Oid, Outcome, Problem, tree};
use crate::query::quote_identifier;

/// How a table is partitioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioning {
    /// By what.
    pub strategy: Strategy,
    /// The columns of its key.
    pub key: Vec<AttNum>,
}

/// By what a table is partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// BY LIST
    List,
    /// BY RANGE
    Range,
    /// BY HASH
    Hash,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The partitioned table, which keeps its rows.
    pub parent: Oid,
    /// Its rows.
    pub bound: Bound,
}

/// Which rows a partition takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// FOR VALUES IN: values as SQL, and whether NULL is among them.
    List(Vec<String>, bool),
    /// FOR VALUES FROM … TO: `None` is MINVALUE or MAXVALUE.
    Range(Option<String>, Option<String>),
    /// FOR VALUES WITH (MODULUS, REMAINDER)
    Hash(i32, i32),
    /// DEFAULT: what no other takes.
    Default,
}

/// Which rows of a partitioned table have a partition.
#[derive(Debug, Clone, PartialEq)]
pub enum Routing {
    /// All.
    All,
    /// Those for which this is true.
    Rows(Expression),
    /// Nobody knows here.
    Unknown,
}

impl Bound {
    /// Reads FOR VALUES.
    ///
    /// # Errors
    /// Unsupported, for ranges over several columns.
    pub fn read(spec: &PartitionBoundSpec) -> Outcome<Bound> {
        if spec.is_default {
            return Ok(Bound::Default);
        }
        let one = |nodes: &[Node]| -> Outcome<Option<String>> {
            let [node] = nodes else { return Err(Problem::unsupported("a partition by several columns")) };
            if let Some(NodeEnum::ColumnRef(column)) = &node.node {
                let name = tree::strings(&column.fields).pop().unwrap_or_default();
                if ["minvalue", "maxvalue"].contains(&name.as_str()) {
                    return Ok(None);
                }
            }
            Ok(Some(Expression::new(node)?.sql))
        };
        match spec.strategy.as_str() {
            "h" => Ok(Bound::Hash(spec.modulus, spec.remainder)),
            "l" => {
                let is_null = |node: &&Node| matches!(&node.node, Some(NodeEnum::AConst(constant)) if constant.isnull);
                let values = spec.listdatums.iter().filter(|node| !is_null(node));
                let values = values.map(|node| Ok(Expression::new(node)?.sql)).collect::<Outcome<Vec<_>>>()?;
                Ok(Bound::List(values, spec.listdatums.iter().any(|node| is_null(&node))))
            }
            _ => Ok(Bound::Range(one(&spec.lowerdatums)?, one(&spec.upperdatums)?)),
        }
    }

    /// The bound as a condition on a column; `None` where that can't be said.
    fn condition(&self, column: &str) -> Option<String> {
        Some(match self {
            Bound::List(values, null) => {
                let mut terms = Vec::new();
                if !values.is_empty() {
                    terms.push(format!("{column} IN ({})", values.join(", ")));
                }
                if *null {
                    terms.push(format!("{column} IS NULL"));
                }
                format!("({})", terms.join(" OR "))
            }
            Bound::Range(low, high) => {
                let mut terms = vec![format!("{column} IS NOT NULL")];
                terms.extend(low.as_ref().map(|low| format!("{column} >= {low}")));
                terms.extend(high.as_ref().map(|high| format!("{column} < {high}")));
                format!("({})", terms.join(" AND "))
            }
            Bound::Hash(..) | Bound::Default => return None,
        })
    }
}

impl Catalog {
    /// The partitions of a table, oldest first.
    pub fn partitions_of(&self, parent: Oid) -> impl Iterator<Item = (Oid, &Partition)> {
        self.partitions.iter().filter(move |(_, partition)| partition.parent == parent).map(|(oid, p)| (*oid, p))
    }

    /// The condition of what the partitions with values of their own take together.
    fn taken(&self, parent: Oid) -> Option<String> {
        let key = self.key_of(parent)?;
        let others = self.partitions_of(parent).filter(|(_, partition)| partition.bound != Bound::Default);
        let terms: Vec<String> = others.map(|(_, partition)| partition.bound.condition(&key)).collect::<Option<_>>()?;
        Some(if terms.is_empty() { "false".to_owned() } else { terms.join(" OR ") })
    }

    fn key_of(&self, parent: Oid) -> Option<String> {
        let partitioning = self.partitioned.get(&parent)?;
        let [key] = partitioning.key.as_slice() else { return None };
        let column = self.tables.get(&parent)?.by_attnum(*key)?;
        Some(quote_identifier(&column.name))
    }

    /// A bound as a condition over its table's row.
    pub fn bound_condition(&self, parent: Oid, bound: &Bound) -> Option<String> {
        bound.condition(&self.key_of(parent)?)
    }

    /// The condition that a row of the partitioned table belongs to this partition; `None` where that can't be told.
    pub fn partition_condition(&self, partition: &Partition) -> Option<Expression> {
        let sql = match &partition.bound {
            Bound::Default => format!("({}) IS NOT TRUE", self.taken(partition.parent)?),
            bound => self.bound_condition(partition.parent, bound)?,
        };
        Expression::parse(&sql).ok()
    }

    /// Which rows of a partitioned table have a partition.
    pub fn routing(&self, parent: Oid) -> Routing {
        let bounds: Vec<&Bound> = self.partitions_of(parent).map(|(_, partition)| &partition.bound).collect();
        if bounds.contains(&&Bound::Default) {
            return Routing::All;
        }
        if let [Bound::Hash(modulus, _), rest @ ..] = bounds.as_slice() {
            let same = rest.iter().all(|bound| matches!(bound, Bound::Hash(other, _) if other == modulus));
            let complete = same && usize::try_from(*modulus).is_ok_and(|modulus| bounds.len() == modulus);
            return if complete { Routing::All } else { Routing::Unknown };
        }
        match self.taken(parent).and_then(|sql| Expression::parse(&sql).ok()) {
            Some(condition) => Routing::Rows(condition),
            None => Routing::Unknown,
        }
    }
}
