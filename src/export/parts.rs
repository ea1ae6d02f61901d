//! Parts: into which pieces can a relation be cut, so that several connections read it at once?
//!
//! Input: what the catalog says of a relation and its descendants. Output: [`Parts`]: queries that together return every row once,
//! in the order of the table's pages, each about a row group. Invariants: the parts don't depend on how many connections read them,
//! so neither do the files; the last range of a table has no end, so that no page is ever left out. Left out: who reads them.

use anyhow::Result;

use super::catalog::Described;
use super::connection::Session;
use super::selection::Predicate;
use crate::query::{self, quote_identifier};
use crate::snapshot::writer::ROW_GROUP_ROWS;

/// From this version on the server reads a range of pages without reading the others (a TID range scan).
const RANGES_SINCE: i32 = 140_000;
/// Bytes of a part at most, as the server stores them: where rows are large, memory holds fewer.
const PART_BYTES: f64 = (64 << 20) as f64;
/// Pages of a part where nobody has counted the rows yet.
const UNCOUNTED_PAGES: f64 = 4096.0;
/// Pages of a part at least.
const LEAST_PAGES: f64 = 64.0;

/// A piece of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The `COPY … TO STDOUT` statement.
    pub copy: String,
    /// Counts its rows, over pages that the copy has just brought into the server's memory.
    pub count: String,
}

/// How a relation is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// In row order.
    pub pieces: Vec<Piece>,
    /// Why it is one part, where a larger relation could have been several.
    pub whole_because: Option<String>,
    /// Rows as the planner estimates them; 0 where nobody knows.
    pub estimated_rows: u64,
}

/// One relation with a file of its own.
#[derive(Debug, Clone)]
struct Extent {
    schema: String,
    name: String,
    kind: String,
    pages: u64,
    tuples: f64,
    stored_bytes: u64,
    ranges: bool,
}

/// Cuts a relation.
///
/// # Errors
/// When the server can't be asked.
pub fn split(session: &Session, described: &Described, predicate: Option<&Predicate>, version: i32) -> Result<Parts> {
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let extents = session.fetch(&query::EXPORT_EXTENT, &[&described.oid], |row| {
        Ok(Extent {
            schema: row.try_get("schema")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            pages: number(row.try_get("pages")?),
            tuples: row.try_get("tuples")?,
            stored_bytes: number(row.try_get("stored_bytes")?),
            ranges: row.try_get("ranges")?,
        })
    })?;
    let columns = described.table.columns.iter().zip(&described.types);
    let own = columns.map(|(column, ty)| ty.select_expression(&column.name));
    let columns: Vec<String> = own.chain(described.storage.iter().map(|beside| beside.select.clone())).collect();
    let calls = predicate.is_some_and(|predicate| predicate.calls);
    let predicate = predicate.map(Predicate::condition);
    let mut parts = cut(&extents, &columns.join(", "), &described.qualified, predicate.as_deref(), version);
    if calls && parts.pieces.len() > 1 {
        let reason = "its --where calls functions, whose answers may differ between connections (now() does)";
        parts.whole_because = Some(reason.to_owned());
    }
    Ok(parts)
}

fn cut(extents: &[Extent], columns: &str, qualified: &str, predicate: Option<&str>, version: i32) -> Parts {
    let piece = |from: &str, range: &str| {
        let conditions: Vec<&str> = [range].into_iter().filter(|range| !range.is_empty()).chain(predicate).collect();
        let conditions = match conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" WHERE {}", conditions.join(" AND ")),
        };
        Piece {
            copy: format!("COPY (SELECT {columns} FROM {from}{conditions}) TO STDOUT (FORMAT binary)"),
            count: format!("SELECT count(*) FROM {from}{conditions}"),
        }
    };
    let estimated_rows = extents.iter().map(|extent| extent.tuples.max(0.0) as u64).sum();
    if let Some(reason) = indivisible(extents) {
        return Parts { pieces: vec![piece(qualified, "")], whole_because: Some(reason), estimated_rows };
    }
    // Before, each range would read the whole table to find its rows.
    let ranges = version >= RANGES_SINCE;
    let mut whole_because = None;
    let mut pieces = Vec::new();
    for extent in extents.iter().filter(|extent| extent.kind != "p") {
        let only = format!("ONLY {}.{}", quote_identifier(&extent.schema), quote_identifier(&extent.name));
        let mut step = extent.pages_of_a_part();
        if !ranges && step < extent.pages {
            step = extent.pages;
            whole_because = Some("the server is older than PostgreSQL 14".to_owned());
        }
        let mut first = 0;
        while first == 0 || first < extent.pages {
            let last = first + step >= extent.pages;
            let until = if last { String::new() } else { format!(" AND ctid < '({},0)'", first + step) };
            pieces.push(match (first, last) {
                (0, true) => piece(&only, ""),
                _ => piece(&only, &format!("ctid >= '({first},0)'{until}")),
            });
            first += step;
        }
    }
    // Its partitions may still be read side by side.
    let whole_because = whole_because.filter(|_| pieces.len() == 1);
    Parts { pieces, whole_because, estimated_rows }
}

/// Why a relation has to be read as a whole.
fn indivisible(extents: &[Extent]) -> Option<String> {
    let (own, children) = extents.split_first()?;
    if own.kind == "v" {
        return Some("a view's rows have no addresses".to_owned());
    }
    if let Some(child) = children.iter().find(|child| !["r", "p"].contains(&child.kind.as_str())) {
        return Some(format!("{} is kept by another server", child.name));
    }
    let one = extents.iter().find(|extent| !extent.ranges)?;
    Some(format!("{} can't be read by itself (rights, row-level policies or its storage)", one.name))
}

impl Extent {
    /// Pages that hold about a row group.
    fn pages_of_a_part(&self) -> u64 {
        let pages = self.pages.max(1) as f64;
        let by_rows = if self.tuples > 0.0 { ROW_GROUP_ROWS as f64 * pages / self.tuples } else { UNCOUNTED_PAGES };
        let by_bytes = PART_BYTES * pages / (self.stored_bytes as f64).max(1.0);
        by_rows.min(by_bytes).clamp(LEAST_PAGES, f64::from(u32::MAX)).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(kind: &str, pages: u64, tuples: f64, stored_bytes: u64) -> Extent {
        let (schema, name) = ("public".to_owned(), format!("t{pages}"));
        Extent { schema, name, kind: kind.to_owned(), pages, tuples, stored_bytes, ranges: true }
    }

    fn copies(parts: &Parts) -> Vec<&str> {
        parts.pieces.iter().map(|piece| piece.copy.as_str()).collect()
    }

    #[test]
    fn pages_follow_rows_and_bytes() {
        fn check(pages: u64, tuples: f64, stored_bytes: u64, expected: u64) {
            assert_eq!(extent("r", pages, tuples, stored_bytes).pages_of_a_part(), expected);
        }
        check(10_000, 1_228_800.0, 10_000 * 8192, 1000);
        // Unknown rows; rows of a megabyte out of line; hardly any row in many pages.
        check(10_000, -1.0, 10_000 * 8192, 4096);
        check(10_000, 100_000.0, 100_000 << 20, 64);
        check(10_000, 1.0, 10_000 * 8192, 8192);
        check(0, 0.0, 0, 4096);
    }

    #[test]
    fn ranges_cover_every_page() {
        let parts = cut(&[extent("r", 2500, 307_200.0, 2500 * 8192)], "a", "public.t", None, 150_000);
        let table = "COPY (SELECT a FROM ONLY \"public\".\"t2500\"";
        let end = ") TO STDOUT (FORMAT binary)";
        assert_eq!(
            copies(&parts),
            [
                format!("{table} WHERE ctid >= '(0,0)' AND ctid < '(1000,0)'{end}"),
                format!("{table} WHERE ctid >= '(1000,0)' AND ctid < '(2000,0)'{end}"),
                format!("{table} WHERE ctid >= '(2000,0)'{end}"),
            ]
        );
        let count = "SELECT count(*) FROM ONLY \"public\".\"t2500\" WHERE ctid >= '(0,0)' AND ctid < '(1000,0)'";
        assert_eq!(parts.pieces[0].count, count);
        let recent = Some("(\na > 1\n)");
        let parts = cut(&[extent("r", 2500, 307_200.0, 2500 * 8192)], "a", "public.t", recent, 150_000);
        assert_eq!(copies(&parts)[2], format!("{table} WHERE ctid >= '(2000,0)' AND (\na > 1\n){end}"));
        let parts = cut(
            &[extent("p", 0, -1.0, 0), extent("r", 10, 5.0, 81920), extent("r", 0, -1.0, 0)],
            "a",
            "t",
            None,
            150_000,
        );
        assert_eq!(parts.pieces.len(), 2, "{parts:?}");
    }

    #[test]
    fn what_has_no_ranges_is_read_whole() {
        fn check(extents: &[Extent], version: i32, expected: &str) {
            let parts = cut(extents, "a", "public.t", None, version);
            assert_eq!(copies(&parts), ["COPY (SELECT a FROM public.t) TO STDOUT (FORMAT binary)"]);
            assert!(parts.whole_because.as_deref().is_some_and(|reason| reason.contains(expected)), "{parts:?}");
        }
        check(&[extent("v", 0, -1.0, 0)], 150_000, "view");
        check(&[extent("p", 0, -1.0, 0), extent("f", 0, -1.0, 0)], 150_000, "another server");
        let large = extent("r", 9000, 1_000_000.0, 9000 * 8192);
        let guarded = Extent { ranges: false, ..extent("r", 9000, 1.0, 1) };
        check(&[extent("p", 0, -1.0, 0), guarded], 150_000, "by itself");
        // An old server reads a table whole; that is worth a word where it could have been cut, and partitions stand apart.
        let old = cut(std::slice::from_ref(&large), "a", "public.t", None, 130_000);
        assert_eq!(copies(&old), ["COPY (SELECT a FROM ONLY \"public\".\"t9000\") TO STDOUT (FORMAT binary)"]);
        assert!(old.whole_because.is_some_and(|reason| reason.contains("older than PostgreSQL 14")));
        assert_eq!(cut(&[extent("r", 1, 5.0, 8192)], "a", "t", None, 130_000).whole_because, None);
        let old = cut(&[extent("p", 0, -1.0, 0), large.clone(), large], "a", "t", None, 130_000);
        assert_eq!((old.pieces.len(), old.whole_because), (2, None));
    }
}
