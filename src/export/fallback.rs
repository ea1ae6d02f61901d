//! The way out for values that no column of their type can hold: which columns have to travel as the server's text?
//!
//! Input: the failure of an attempt to export. Output: [`AsText`], which the next attempt heeds. Invariants: only a value that the
//! server's text holds exactly leads to another attempt, and each attempt has one more column of text, so there is an end; the
//! ledger names the column and the first value that made it so. Left out: values that are no values (text that isn't UTF-8).

use std::fmt;

use anyhow::Error;

use super::catalog::Described;
use crate::snapshot::types::PgType;

/// A value that its column's type in a snapshot can't hold, and the server's text can.
#[derive(Debug, PartialEq, Eq)]
pub struct Unheld(pub String);

impl fmt::Display for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unheld {}

/// Where in a table a value is.
#[derive(Debug)]
pub struct ValueAt {
    /// The column.
    pub column: String,
    /// The row, counted from 1 in its part.
    pub row: u64,
}

impl fmt::Display for ValueAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}, row {}", self.column, self.row)
    }
}

/// The table that was being exported.
#[derive(Debug)]
pub struct Exporting(pub String);

impl fmt::Display for Exporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exporting {}", self.0)
    }
}

/// Columns that travel as text, and why.
#[derive(Debug, Default)]
pub struct AsText(Vec<Forced>);

#[derive(Debug, PartialEq, Eq)]
struct Forced {
    table: String,
    column: String,
    reason: String,
}

impl AsText {
    /// Can another attempt do what this one couldn't?
    pub fn learn(&mut self, failure: &Error) -> bool {
        let (Some(Unheld(reason)), Some(at), Some(Exporting(table))) =
            (failure.downcast_ref(), failure.downcast_ref::<ValueAt>(), failure.downcast_ref())
        else {
            return false;
        };
        let forced = Forced { table: table.clone(), column: at.column.clone(), reason: reason.clone() };
        if self.0.iter().any(|known| known.table == forced.table && known.column == forced.column) {
            return false;
        }
        self.0.push(forced);
        true
    }

    /// Reads the columns as text that have to be.
    pub fn apply(&self, described: &mut Described) {
        for forced in self.0.iter().filter(|forced| forced.table == described.table.name) {
            let columns = described.table.columns.iter_mut().zip(&mut described.types);
            for (column, ty) in columns.filter(|(column, _)| column.name == forced.column) {
                column.carried_as_text = Some(forced.reason.clone());
                *ty = PgType::Opaque(column.type_name.clone());
            }
        }
    }

    /// For the report: whole sentences.
    pub fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|Forced { table, column, reason }| {
            format!("The export began anew to carry {table}.{column} as PostgreSQL's own text: {reason}.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn an_attempt_is_made_again_once_a_column() {
        let failure = || {
            Error::new(Unheld("an array has 2 dimensions".to_owned()))
                .context(ValueAt { column: "a".to_owned(), row: 7 })
                .context(Exporting("t".to_owned()))
        };
        assert_eq!(format!("{:#}", failure()), "exporting t: column a, row 7: an array has 2 dimensions");
        let mut as_text = AsText::default();
        assert!(as_text.learn(&failure()));
        assert!(!as_text.learn(&failure()), "it didn't help");
        assert!(!as_text.learn(&anyhow!("the text isn't UTF-8").context(Exporting("t".to_owned()))));
        assert_eq!(as_text.notes().count(), 1);
    }
}
