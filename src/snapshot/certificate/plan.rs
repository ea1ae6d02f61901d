//! What to find out about a table: its columns, and the keys whose uniqueness can be proven.

use std::sync::Arc;

use crate::snapshot::digest;
use crate::snapshot::manifest::{Column, Index, Table};
use crate::snapshot::types::PgType;

/// What to find out about a table; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub(super) columns: Arc<[Watched]>,
    pub(super) keys: Arc<[Key]>,
}

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) ty: PgType,
    pub(super) key: u64,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    /// Places of its columns.
    pub(super) columns: Vec<usize>,
    pub(super) nulls_are_equal: bool,
}

impl Plan {
    /// Everything about `table`, whose columns have these types.
    pub fn new(table: &Table, types: &[PgType]) -> Plan {
        let watched = |(column, ty): (&Column, &PgType)| Watched {
            name: column.name.clone(),
            ty: ty.clone(),
            key: digest::column_key(&column.name, &column.type_name),
        };
        let place = |name: &String| table.columns.iter().position(|column| column.name == *name);
        let key = |index: &Index| {
            let columns = key_columns(&index.definition, &table.columns)?;
            let columns = columns.iter().map(place).collect::<Option<Vec<usize>>>()?;
            let nulls_are_equal = index.definition.ends_with("NULLS NOT DISTINCT");
            Some(Key { name: index.name.clone(), columns, nulls_are_equal })
        };
        let keys: Arc<[Key]> = table.indexes.iter().filter(|index| index.unique).filter_map(key).collect();
        Plan { columns: table.columns.iter().zip(types).map(watched).collect(), keys }
    }
}

/// The columns of a unique index over plain columns and all rows, from what `pg_get_indexdef` says; `None` for any other.
fn key_columns(definition: &str, columns: &[Column]) -> Option<Vec<String>> {
    let (_, behind) = definition.split_once(" USING btree (")?;
    let mut rest = behind;
    let mut found = Vec::new();
    loop {
        let named = columns.iter().find_map(|column| {
            let quoted = format!("\"{}\"", column.name.replace('"', "\"\""));
            let behind = rest.strip_prefix(&quoted).or_else(|| rest.strip_prefix(&column.name))?;
            // Not the beginning of a longer name, nor a function's name.
            let behind = behind.strip_prefix(" DESC").unwrap_or(behind);
            let behind = behind.strip_prefix(" NULLS FIRST").or(behind.strip_prefix(" NULLS LAST")).unwrap_or(behind);
            behind.starts_with([',', ')']).then_some((column.name.clone(), behind))
        });
        let (name, behind) = named?;
        found.push(name);
        match behind.strip_prefix(", ") {
            Some(next) => rest = next,
            None => {
                let behind = behind.strip_prefix(')')?;
                let included = behind.strip_prefix(" INCLUDE (").and_then(|list| list.split_once(')'));
                let behind = included.map_or(behind, |(_, behind)| behind);
                return ["", " NULLS NOT DISTINCT"].contains(&behind).then_some(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_over_plain_columns_are_read_from_the_definition() {
        let columns: Vec<Column> = ["id", "User Id", "id2"]
            .iter()
            .map(|name| {
                serde_json::from_value(json!({"name": name, "type": "integer", "not_null": false})).expect("a column")
            })
            .collect();
        let check = |on: &str, expected: Option<&[&str]>| {
            let found = key_columns(&format!("CREATE UNIQUE INDEX i ON public.t USING btree {on}"), &columns);
            assert_eq!(found, expected.map(|names| names.iter().map(|&name| name.to_owned()).collect()), "{on}");
        };
        check("(id)", Some(&["id"]));
        check("(id2, \"User Id\" DESC)", Some(&["id2", "User Id"]));
        check("(id) INCLUDE (id2)", Some(&["id"]));
        check("(id NULLS FIRST) NULLS NOT DISTINCT", Some(&["id"]));
        check("(id) WHERE (id2 > 1)", None);
        check("(lower(id))", None);
        check("((id + 1))", None);
    }
}
