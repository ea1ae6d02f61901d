//! UNION, INTERSECT and EXCEPT: two queries brought to common types, their rows told apart as the server does.

use pg_query::protobuf::{SelectStmt, SetOperation};

use super::Query;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;
use crate::translate::{Output, equality, variables};

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
            if word != "UNION ALL" {
                self.has_equality(&ty)?;
            }
            for (side, output, list) in [("l", l, &mut a), ("r", r, &mut b)] {
                let column = format!("{side}.{}", output.column);
                let value = match output.ty {
                    // A literal becomes what the other side is, as its input function reads it.
                    Type::Unknown if ty != Type::Unknown => {
                        let text = Typed::new(format!("CAST({column} AS VARCHAR)"), Type::Text);
                        variables::coerce(text, &ty, self.catalog())?
                    }
                    _ => self.unified(Typed::new(column, output.ty.clone()), &ty, name)?,
                };
                list.push(format!("{} AS {}", value.sql, l.column));
            }
            outputs.push(Output { ty, ..l.clone() });
        }
        let left = format!("SELECT {} FROM ({}) AS l", a.join(", "), left.sql);
        let right = format!("SELECT {} FROM ({}) AS r", b.join(", "), right.sql);
        let is_loose = word != "UNION ALL" && outputs.iter().any(|output| equality::is_loose(&output.ty));
        let sql = match word {
            "UNION" if is_loose => self.distinct_rows(&format!("({left}) UNION ALL ({right})"), &outputs),
            word if is_loose => self.common_rows(word, &left, &right, &outputs),
            word => format!("({left}) {word} ({right})"),
        };
        Ok(Query { sql, outputs })
    }
}
