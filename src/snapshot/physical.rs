//! Physical facts: how did a table lie on the server's disk when it was exported?
//!
//! Input: what the export's query `physical` returns, as JSON. Output: [`PhysicalRelation`]s in the manifest. They can't be had
//! offline, and a prediction of size, write-ahead log and bloat needs them. Invariants: pages are the server's `block_size`;
//! nothing here is about the rows' values; every count is the server's own, of the moment of the export, and the planner's and the
//! activity's are its estimates. What the role may not see is `null`.

use serde::{Deserialize, Serialize};

/// One relation with a file of its own: a table, a partition or a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhysicalRelation {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// `pg_class.relkind`: `r` table, `p` partitioned table, `m` materialized view.
    pub kind: String,
    /// `pg_class.relpersistence`: `p` permanent, `u` unlogged, `t` temporary.
    pub persistence: String,
    /// Table access method; absent for a partitioned table.
    pub access_method: Option<String>,
    /// `reloptions`, e.g. `fillfactor=70`.
    pub options: Vec<String>,
    /// Pages of the table itself.
    pub heap_pages: u64,
    /// Pages of the free space map.
    pub free_space_map_pages: u64,
    /// Pages of the visibility map.
    pub visibility_map_pages: u64,
    /// What the planner believes.
    pub planner: PlannerCounts,
    /// The table of out-of-line values; absent where no column can have one.
    pub toast: Option<Toast>,
    /// All attributes by number, dropped ones included: rows still have a place for them.
    pub columns: Vec<PhysicalColumn>,
    /// Indexes by name.
    pub indexes: Vec<PhysicalIndex>,
    /// Triggers by name, without those of constraints.
    pub triggers: Vec<Trigger>,
    /// `pg_stat_all_tables`.
    pub activity: Option<Activity>,
}

/// `pg_class`'s own counts, as of the last VACUUM or ANALYZE.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlannerCounts {
    /// `relpages`
    pub pages: i64,
    /// `reltuples`; -1 where never counted.
    pub tuples: f64,
    /// `relallvisible`
    pub all_visible_pages: i64,
}

/// A TOAST table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Toast {
    /// Pages of the values.
    pub pages: u64,
    /// Pages of their index.
    pub index_pages: u64,
    /// Its `reloptions`.
    pub options: Vec<String>,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhysicalColumn {
    /// `attnum`
    pub number: i64,
    /// Name; absent where dropped.
    pub name: Option<String>,
    /// `format_type`; absent where dropped.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// `attlen`: bytes, or -1 for a length of its own.
    pub length: i64,
    /// `attalign`: `c`, `s`, `i` or `d`.
    pub alignment: String,
    /// `attstorage`: `p` plain, `m` main, `e` external, `x` extended.
    pub storage: String,
    /// `attcompression`: `p` pglz, `l` lz4; absent for the default and before PostgreSQL 14.
    pub compression: Option<String>,
    /// Rows older than the column lack it physically.
    pub has_missing: bool,
    /// What those rows show, as text.
    pub missing_value: Option<String>,
    /// Collation.
    pub collation: Option<String>,
    /// `pg_stats`; absent where never analyzed or not readable.
    pub statistics: Option<ColumnStatistics>,
}

/// `pg_stats` of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// `null_frac`
    pub null_fraction: f64,
    /// `n_distinct`: a number of values, or negative the fraction of the rows.
    pub distinct: f64,
    /// `correlation` of the values' order with the rows'.
    pub correlation: Option<f64>,
    /// `avg_width`
    pub average_width_bytes: i64,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhysicalIndex {
    /// Name.
    pub name: String,
    /// Access method.
    pub method: String,
    /// It enforces uniqueness.
    pub unique: bool,
    /// Queries may use it.
    pub valid: bool,
    /// It has a predicate.
    pub partial: bool,
    /// Its pages.
    pub pages: u64,
    /// `reltuples`
    pub tuples: f64,
    /// `reloptions`: `fillfactor`, `deduplicate_items` …
    pub options: Vec<String>,
    /// The key, column by column.
    pub keys: Vec<IndexKey>,
    /// Columns that are in it but not in the key.
    pub included_columns: i64,
    /// Equal keys share one entry: a B-tree of PostgreSQL 13 or later, all of whose operator classes and options allow it.
    pub deduplicates: bool,
}

/// One column of an index's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// Column or expression.
    pub definition: String,
    /// Operator class.
    pub operator_class: String,
    /// Collation.
    pub collation: Option<String>,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`
    pub nulls_first: bool,
    /// Equal values have equal bytes (support function 4 of the operator class), so that they can be deduplicated.
    pub equal_by_image: bool,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Name.
    pub name: String,
    /// `pg_get_triggerdef`
    pub definition: String,
    /// `tgenabled`: `O` as usual, `D` disabled, `R` on replicas, `A` always.
    pub enabled: String,
}

/// What has happened to a table since its counters were last reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Estimated live rows.
    pub live_tuples: i64,
    /// Estimated dead rows.
    pub dead_tuples: i64,
    /// Rows inserted.
    pub inserted_tuples: i64,
    /// Rows updated.
    pub updated_tuples: i64,
    /// Of those, within their page and without an index entry.
    pub hot_updated_tuples: i64,
    /// Rows deleted.
    pub deleted_tuples: i64,
    /// Rows changed since the last ANALYZE.
    pub modified_since_analyze: i64,
    /// Rows inserted since the last VACUUM; PostgreSQL 13 and later.
    pub inserted_since_vacuum: Option<i64>,
    /// RFC 3339, UTC.
    pub last_vacuum: Option<String>,
    /// RFC 3339, UTC.
    pub last_autovacuum: Option<String>,
    /// RFC 3339, UTC.
    pub last_analyze: Option<String>,
    /// RFC 3339, UTC.
    pub last_autoanalyze: Option<String>,
}

/// What the server decides for all tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Settings by name.
    pub settings: Vec<Setting>,
    /// Replication slots; absent where the role may not see them.
    pub replication_slots: Option<u64>,
}

/// A setting of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, in `unit`; absent where the server has none of that name, or the role may not see it.
    pub setting: Option<String>,
    /// `pg_settings.unit`
    pub unit: Option<String>,
}

/// How the export went, at the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When all rows were read (RFC 3339, UTC); they are of the moment `captured_at`.
    pub ended_at: String,
    /// For how long the server couldn't remove rows that died meanwhile.
    pub horizon_held_ms: u64,
    /// How many transactions began meanwhile; absent where the server doesn't say.
    pub horizon_held_transactions: Option<u64>,
    /// Connections that read.
    pub connections: u64,
}

/// A table's facts, or why there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Physical {
    /// The table itself, then its descendants.
    Relations(Vec<PhysicalRelation>),
    /// The server's words.
    NotReadable {
        /// Why.
        not_readable: String,
    },
}

impl Physical {
    /// The relations; none where they couldn't be read.
    pub fn relations(&self) -> &[PhysicalRelation] {
        match self {
            Physical::Relations(relations) => relations,
            Physical::NotReadable { .. } => &[],
        }
    }
}
