//! UNION, INTERSECT and EXCEPT: two queries brought to common types, their rows told apart as the server does.

use pg_query::protobuf::{SelectStmt, SetOperation};

use super::Query;
use super::distinct::distinct_rows;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;
use crate::translate::{Output, number};

impl Reader<'_> {
    /// UNION, INTERSECT, EXCEPT.
    pub(super) fn set_operation(
        &mut self,
        select: &SelectStmt,
        operation: SetOperation,
        outer: Option<&Scope<'_>>,
    ) -> Outcome<Query> {
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else {
            return Err(Problem::unsupported("a set operation with one side"));
        };
        let (left, right) = (self.query(left, outer)?, self.query(right, outer)?);
        let (word, name) = match (operation, select.all) {
            (SetOperation::SetopUnion, true) => ("UNION ALL", "UNION"),
            (SetOperation::SetopUnion, false) => ("UNION", "UNION"),
            (SetOperation::SetopIntersect, true) => ("INTERSECT ALL", "INTERSECT"),
            (SetOperation::SetopIntersect, false) => ("INTERSECT", "INTERSECT"),
            (_, true) => ("EXCEPT ALL", "EXCEPT"),
            (_, false) => ("EXCEPT", "EXCEPT"),
        };
        if left.outputs.len() != right.outputs.len() {
            return Err(Problem::rejected("42601", format!("each {name} query must have the same number of columns")));
        }
        let mut outputs = Vec::new();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (l, r) in left.outputs.iter().zip(&right.outputs) {
            let ty = self.common_type(&[l.ty.clone(), r.ty.clone()], name)?;
            if ty == Type::Json && word != "UNION ALL" {
                return Err(Problem::rejected("42883", "could not identify an equality operator for type json"));
            }
            for (side, output, list) in [("l", l, &mut a), ("r", r, &mut b)] {
                let value = Typed::new(format!("{side}.{}", output.column), output.ty.clone());
                let value = self.unified(value, &ty, name)?;
                let sql = if ty == Type::Jsonb && word != "UNION ALL" {
                    format!("pg_jsonb_settled({})", value.sql)
                } else {
                    value.sql
                };
                list.push(format!("{sql} AS {}", l.column));
            }
            outputs.push(Output { ty, ..l.clone() });
        }
        let by_value = word != "UNION ALL" && outputs.iter().any(|output| number::is_text(&output.ty));
        if by_value && word != "UNION" {
            return Err(Problem::unsupported(format!("{word} of numeric values without a scale")));
        }
        let word = if by_value { "UNION ALL" } else { word };
        let sql = format!(
            "(SELECT {} FROM ({}) AS l) {word} (SELECT {} FROM ({}) AS r)",
            a.join(", "),
            left.sql,
            b.join(", "),
            right.sql
        );
        let sql = if by_value { distinct_rows(&sql, &outputs) } else { sql };
        Ok(Query { sql, outputs })
    }
}
