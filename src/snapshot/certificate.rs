//! The certificate of a table: what did its rows hold, in words that can be proven again?
//!
//! Input: record batches, when they are written and whenever they are read again. Output: [`Content`]: the rows, their logical
//! content hash ([`digest`]), NULLs and extremes of each column ([`extremes`]), and whether the keys are unique. Invariants: the
//! answer depends on the rows alone, not on how they are cut or ordered; what is claimed about a key was found, not believed.
//! Left out: keys over expressions or over a part of the rows.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use hashbrown::{HashMap, HashSet};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::digest;
use super::extremes::Extremes;
use super::manifest::{Column, Index, Table};
use super::types::PgType;

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

/// What to find out about a table; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    columns: Arc<[Watched]>,
    keys: Arc<[Key]>,
}

#[derive(Debug)]
struct Watched {
    name: String,
    ty: PgType,
    key: u64,
}

#[derive(Debug)]
struct Key {
    name: String,
    /// Places of its columns.
    columns: Vec<usize>,
    nulls_are_equal: bool,
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

    /// Begins to find out.
    pub fn tally(&self) -> Tally {
        Tally {
            plan: self.clone(),
            rows: 0,
            hash: 0,
            columns: self.columns.iter().map(|column| (0, Extremes::new(&column.ty))).collect(),
            keys: self.keys.iter().map(|_| Vec::new()).collect(),
            skipped: vec![0; self.keys.len()],
            too_many: false,
            scratch: Scratch::default(),
        }
    }
}

/// What has been found out so far.
pub struct Tally {
    plan: Plan,
    rows: u64,
    hash: u128,
    /// NULLs and extremes.
    columns: Vec<(u64, Extremes)>,
    /// For each key, the hashes of its rows.
    keys: Vec<Vec<u64>>,
    /// For each key, the rows that don't take part.
    skipped: Vec<u64>,
    too_many: bool,
    scratch: Scratch,
}

/// Memory that is used again for each batch.
#[derive(Default)]
struct Scratch {
    column: digest::Hashes,
    rows: Vec<u64>,
    keys: Vec<(Vec<u64>, Vec<bool>)>,
}

impl Tally {
    /// Takes the rows of a batch that has the table's columns first, in their order.
    ///
    /// # Errors
    /// For an Arrow type that no snapshot has.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.add_and(batch, |_, _| Ok(()))
    }

    /// As [`Tally::add`]; what else is to be done with each column of the batch is told its place and its values' hashes.
    ///
    /// # Errors
    /// As [`Tally::add`], and as `also` says.
    pub fn add_and(
        &mut self,
        batch: &RecordBatch,
        mut also: impl FnMut(usize, &digest::Hashes) -> Result<()>,
    ) -> Result<()> {
        let rows = batch.num_rows();
        let Scratch { column: hashes, rows: sums, keys } = &mut self.scratch;
        sums.clear();
        sums.resize(rows, 0);
        keys.resize_with(self.plan.keys.len(), Default::default);
        for (sums, complete) in keys.iter_mut() {
            sums.clear();
            sums.resize(rows, 0);
            complete.clear();
            complete.resize(rows, true);
        }
        for (place, array) in batch.columns().iter().enumerate() {
            let watched = self.plan.columns.get(place);
            digest::of_column(array, watched.map_or(0, |column| column.key), hashes)?;
            also(place, hashes)?;
            let Some((nulls, extremes)) = self.columns.get_mut(place) else { continue };
            let hashes = &hashes.values;
            for (sum, hash) in sums.iter_mut().zip(hashes) {
                *sum = sum.wrapping_add(*hash);
            }
            *nulls += array.null_count() as u64;
            extremes.add(array, hashes);
            for (key, (sums, complete)) in self.plan.keys.iter().zip(keys.iter_mut()) {
                if key.columns.contains(&place) {
                    for (row, hash) in hashes.iter().enumerate() {
                        sums[row] = sums[row].wrapping_add(*hash);
                        complete[row] &= key.nulls_are_equal || array.is_valid(row);
                    }
                }
            }
        }
        for sum in sums.iter() {
            self.hash = self.hash.wrapping_add(digest::of_row(*sum));
        }
        for (number, (sums, complete)) in keys.iter().enumerate() {
            let taking_part = sums.iter().zip(complete).filter(|(_, complete)| **complete).map(|(sum, _)| *sum);
            let before = self.keys[number].len();
            self.keys[number].extend(taking_part);
            self.skipped[number] += (rows - (self.keys[number].len() - before)) as u64;
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// What two parts hold together.
    pub fn join(&mut self, other: Tally) {
        self.rows += other.rows;
        self.hash = self.hash.wrapping_add(other.hash);
        for ((nulls, extremes), (more, others)) in self.columns.iter_mut().zip(other.columns) {
            *nulls += more;
            extremes.join(others);
        }
        for (skipped, more) in self.skipped.iter_mut().zip(other.skipped) {
            *skipped += more;
        }
        let held = |keys: &[Vec<u64>]| keys.iter().map(Vec::len).sum::<usize>();
        self.too_many |= other.too_many || held(&self.keys) + held(&other.keys) > MOST_KEY_HASHES;
        for (keys, more) in self.keys.iter_mut().zip(other.keys) {
            if self.too_many {
                *keys = Vec::new();
            } else if keys.is_empty() {
                *keys = more;
            } else {
                keys.extend(more);
            }
        }
    }

    /// The certificate of what was seen, and what must be looked at again before a key is called unique: equal hashes.
    fn finish(self) -> (Content, Vec<HashSet<u64>>) {
        let Tally { plan, rows, hash, columns, keys, skipped, too_many, .. } = self;
        let columns = plan.columns.iter().zip(columns).map(|(column, (nulls, extremes))| {
            let shown = extremes.shown();
            ColumnContent {
                column: column.name.clone(),
                nulls,
                cut: shown.as_ref().is_some_and(|shown| shown.cut),
                min: shown.as_ref().map(|shown| shown.min.clone()),
                max: shown.map(|shown| shown.max),
            }
        });
        let suspects: Vec<HashSet<u64>> = keys.into_par_iter().map(equal_ones).collect();
        let named = plan.keys.iter().zip(&suspects).zip(skipped).map(|((key, suspects), skipped)| KeyContent {
            name: key.name.clone(),
            columns: key.columns.iter().map(|place| plan.columns[*place].name.clone()).collect(),
            rows: rows - skipped,
            unique: (!too_many).then_some(suspects.is_empty()),
        });
        let content = Content {
            algorithm: digest::ALGORITHM.to_owned(),
            hash: format!("{hash:032x}"),
            rows,
            columns: columns.collect(),
            keys: named.collect(),
        };
        (content, suspects)
    }

    /// The certificate of rows that are in `files` now.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn certify(self, files: &[PathBuf]) -> Result<Content> {
        let plan = self.plan.clone();
        let (mut content, suspects) = self.finish();
        for ((found, key), suspects) in content.keys.iter_mut().zip(plan.keys.iter()).zip(suspects) {
            // Equal hashes are nearly always equal keys: the values decide.
            if found.unique == Some(false) {
                found.unique = Some(!plan.has_equal(key, files, &|hash| suspects.contains(&hash))?);
            }
        }
        Ok(content)
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

/// Those that are there more than once.
fn equal_ones(mut hashes: Vec<u64>) -> HashSet<u64> {
    hashes.par_sort_unstable();
    hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}

impl Plan {
    /// Reads files again, every column of every row.
    ///
    /// # Errors
    /// When one can't be read, or lacks a column.
    pub fn read(&self, files: &[PathBuf]) -> Result<Content> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let parts = self.row_groups(files, &all)?;
        let read = |part: &RowGroup| -> Result<Tally> {
            let mut tally = self.tally();
            part.each(|batch| tally.add(batch))?;
            Ok(tally)
        };
        let join = |mut a: Tally, b: Tally| {
            a.join(b);
            Ok(a)
        };
        let tally = parts.par_iter().map(read).try_reduce(|| self.tally(), join)?;
        let mut content = tally.certify(files)?;
        for (found, key) in content.keys.iter_mut().zip(self.keys.iter()) {
            if found.unique.is_none() {
                // One slice of the hashes at a time, so that memory is bounded whatever the number of rows.
                let slices = found.rows.div_ceil(MOST_KEY_HASHES as u64 / 4).max(1);
                let mut equal = false;
                for slice in 0..slices {
                    equal = equal || self.has_equal(key, files, &|hash| hash % slices == slice)?;
                }
                found.unique = Some(!equal);
            }
        }
        Ok(content)
    }

    /// Are two rows equal in `key`, among those whose hashes are `wanted`?
    fn has_equal(&self, key: &Key, files: &[PathBuf], wanted: &(dyn Fn(u64) -> bool + Sync)) -> Result<bool> {
        let mut places = key.columns.clone();
        places.sort_unstable();
        let mut seen: HashMap<u64, Vec<String>> = HashMap::new();
        let mut equal = false;
        for part in self.row_groups(files, &places)? {
            part.each(|batch| {
                let mut hashes = vec![0u64; batch.num_rows()];
                let mut column = digest::Hashes::default();
                for (place, array) in places.iter().zip(batch.columns()) {
                    digest::of_column(array, self.columns[*place].key, &mut column)?;
                    hashes.iter_mut().zip(&column.values).for_each(|(sum, hash)| *sum = sum.wrapping_add(*hash));
                }
                let complete = |row| key.nulls_are_equal || batch.columns().iter().all(|array| array.is_valid(row));
                for (row, hash) in hashes.iter().enumerate().filter(|(row, hash)| wanted(**hash) && complete(*row)) {
                    let text = values(batch, row)?;
                    let others = seen.entry(*hash).or_default();
                    equal |= others.contains(&text);
                    others.push(text);
                }
                Ok(())
            })?;
            if equal {
                break;
            }
        }
        Ok(equal)
    }

    /// The row groups of some files, each with the columns at these places.
    fn row_groups(&self, files: &[PathBuf], places: &[usize]) -> Result<Vec<RowGroup>> {
        let mut parts = Vec::new();
        for path in files {
            let metadata = metadata(path).with_context(|| format!("reading {}", path.display()))?;
            let fields = metadata.schema().fields();
            let root = |place: &usize| -> Result<usize> {
                let name = &self.columns[*place].name;
                let found = fields.iter().position(|field| field.name() == name);
                found.with_context(|| format!("{} has no column {name}", path.display()))
            };
            let roots = places.iter().map(root).collect::<Result<Vec<usize>>>()?;
            ensure!(roots.is_sorted(), "the columns of {} are in another order", path.display());
            for group in 0..metadata.metadata().num_row_groups() {
                parts.push(RowGroup { path: path.clone(), metadata: metadata.clone(), group, roots: roots.clone() });
            }
        }
        Ok(parts)
    }
}

/// A row group that can be read.
struct RowGroup {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    group: usize,
    roots: Vec<usize>,
}

impl RowGroup {
    fn each(&self, mut take: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let mut read = || -> Result<()> {
            let file = File::open(&self.path)?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), self.roots.iter().copied());
            let reader =
                builder.with_projection(mask).with_row_groups(vec![self.group]).with_batch_size(8192).build()?;
            for batch in reader {
                take(&batch?)?;
            }
            Ok(())
        };
        read().with_context(|| format!("reading {}", self.path.display()))
    }
}

fn metadata(path: &PathBuf) -> Result<ArrowReaderMetadata> {
    Ok(ArrowReaderMetadata::load(&File::open(path)?, Default::default())?)
}

/// The values of a row, as a text that no other values have.
fn values(batch: &RecordBatch, row: usize) -> Result<String> {
    let mut text = String::new();
    for array in batch.columns() {
        let value = arrow::util::display::array_value_to_string(array, row)?;
        let null = array.is_null(row);
        text.push_str(&format!("{}{}:{value}", if null { 'n' } else { 'v' }, value.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use serde_json::json;

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
