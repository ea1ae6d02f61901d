//! The certificate of a table: what did its rows hold, in words that can be proven again?
//!
//! Input: record batches, when they are written and whenever they are read again. Output: [`Content`]: the rows, their logical
//! content hash ([`digest`]), NULLs and extremes of each column ([`extremes`]), and whether the keys are unique. Invariants: the
//! answer depends on the rows alone, not on how they are cut or ordered; what is claimed about a key was found, not believed.
//! Left out: keys over expressions or over a part of the rows.

mod plan;
mod read;
mod tally;

use serde::{Deserialize, Serialize};

pub use plan::Plan;
pub use tally::Tally;

/// Hashes of keys that are held at most, over all keys of a table: 128 MiB.
const MOST_KEY_HASHES: usize = 16 << 20;

/// What a table's rows hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// How `hash` is made; [`digest`] specifies it.
    pub algorithm: String,
    /// The logical content hash, 32 hexadecimal digits.
    pub hash: String,
    /// Rows.
    pub rows: u64,
    /// The columns, in the table's order.
    pub columns: Vec<ColumnContent>,
    /// Primary and unique keys over plain columns.
    pub keys: Vec<KeyContent>,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnContent {
    /// Its name.
    pub column: String,
    /// Rows without a value.
    pub nulls: u64,
    /// The least value as PostgreSQL prints it; texts in the order of their bytes. Absent where the type has no order here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// One of the two is only the beginning of a longer text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyContent {
    /// The index that enforces it.
    pub name: String,
    /// Its columns, in the key's order.
    pub columns: Vec<String>,
    /// Rows that take part: those without a NULL in the key, unless NULLs count as equal.
    pub rows: u64,
    /// No two of them are equal; absent where the rows were too many to find out while they were exported.
    pub unique: Option<bool>,
}

impl Content {
    /// Where `found`, which is what the files hold now, isn't what this certificate says: whole clauses.
    pub fn differences(&self, found: &Content) -> Vec<String> {
        if self.algorithm != found.algorithm {
            return vec![format!("its certificate is made by {}, which this version doesn't know", self.algorithm)];
        }
        let mut all = Vec::new();
        let mut differ = |what: String, said: &str, now: &str| {
            if said != now {
                all.push(format!("{what} is {now}, and the certificate says {said}"));
            }
        };
        differ("the number of rows".to_owned(), &self.rows.to_string(), &found.rows.to_string());
        differ("the content hash".to_owned(), &self.hash, &found.hash);
        let names =
            |content: &Content| content.columns.iter().map(|c| c.column.as_str()).collect::<Vec<_>>().join(", ");
        differ("the list of columns".to_owned(), &names(self), &names(found));
        for (said, now) in self.columns.iter().zip(&found.columns) {
            let text = |value: &Option<String>| value.as_deref().unwrap_or("absent").to_owned();
            differ(format!("the number of NULLs in {}", said.column), &said.nulls.to_string(), &now.nulls.to_string());
            differ(format!("the least value of {}", said.column), &text(&said.min), &text(&now.min));
            differ(format!("the greatest value of {}", said.column), &text(&said.max), &text(&now.max));
        }
        for said in &self.keys {
            let Some(now) = found.keys.iter().find(|key| key.name == said.name) else {
                all.push(format!("the key {} isn't one that can be proven", said.name));
                continue;
            };
            // What the export left open is answered now.
            if said.rows != now.rows || said.unique.is_some() && said.unique != now.unique {
                let told = |key: &KeyContent| {
                    let unique = if key.unique == Some(true) { "unique" } else { "not unique" };
                    format!("{unique} over {} rows", key.rows)
                };
                all.push(format!("the key {} is {}, and the certificate says {}", said.name, told(now), told(said)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use arrow::record_batch::RecordBatch;
    use serde_json::json;

    use crate::snapshot::manifest::Table;

    fn table() -> Table {
        let column = |name: &str, ty: &str| json!({"name": name, "type": ty, "not_null": false});
        let index = |name: &str, on: &str| {
            let definition = format!("CREATE UNIQUE INDEX {name} ON public.t USING btree {on}");
            json!({"name": name, "method": "btree", "unique": true, "primary": false, "definition": definition})
        };
        serde_json::from_value(json!({
            "schema": "public", "name": "t", "rows": 0, "sizes": null, "files": [], "constraints": [],
            "columns": [column("id", "integer"), column("v", "text")],
            "indexes": [index("by_id", "(id)"), index("both", "(v, id)"), index("lower_v", "(lower(v))")],
        }))
        .expect("a table")
    }

    fn batch(rows: &[(Option<i32>, Option<&str>)]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.0)));
        let texts: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1)));
        RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("v", texts, true)]).expect("two columns")
    }

    /// The certificate of rows that come in these parts. Nothing is read again: there are no files.
    fn content(parts: &[&[(Option<i32>, Option<&str>)]]) -> Content {
        let table = table();
        let plan = Plan::new(&table, &table.types(&Default::default()));
        let mut all = plan.tally();
        for part in parts {
            let mut tally = plan.tally();
            tally.add(&batch(part)).expect("a snapshot's types");
            all.join(tally);
        }
        all.finish().0
    }

    #[test]
    fn order_and_parts_change_nothing() {
        let (a, b, c) = ((Some(1), Some("a")), (Some(2), None), (None, Some("")));
        let one = content(&[&[a, b, c]]);
        assert_eq!(one, content(&[&[c], &[b, a]]));
        assert_eq!(one, content(&[&[b], &[], &[c, a]]));
        assert_eq!((one.columns[0].nulls, one.columns[1].min.as_deref()), (1, Some("")));
    }

    #[test]
    fn every_difference_shows() {
        let (a, b) = ((Some(1), Some("a")), (Some(2), Some("b")));
        let hash = |rows: &[(Option<i32>, Option<&str>)]| content(&[rows]).hash;
        let one = hash(&[a, b]);
        for other in [
            &[a] as &[_],
            &[a, b, b],
            &[a, a, b],
            &[(Some(1), Some("b")), (Some(2), Some("a"))],
            &[a, (Some(2), None)],
            &[a, (Some(2), Some(""))],
            &[a, (None, Some("b"))],
            &[],
        ] {
            assert_ne!(hash(other), one, "{other:?}");
        }
        assert_ne!(hash(&[a, (Some(2), None)]), hash(&[a, (Some(2), Some(""))]));
    }

    #[test]
    fn keys_are_found_unique_or_not() {
        let check = |rows: &[(Option<i32>, Option<&str>)], expected: &[(&str, u64, bool)]| {
            let found = content(&[rows]).keys;
            let found: Vec<_> =
                found.iter().map(|key| (key.name.as_str(), key.rows, key.unique == Some(true))).collect();
            assert_eq!(found, expected);
        };
        check(&[(Some(1), Some("a")), (Some(2), Some("a"))], &[("by_id", 2, true), ("both", 2, true)]);
        check(&[(Some(1), Some("a")), (Some(1), Some("b"))], &[("by_id", 2, false), ("both", 2, true)]);
        check(&[(None, Some("a")), (None, Some("a"))], &[("by_id", 0, true), ("both", 0, true)]);
    }
}
