//! The log table's shape: its columns, enums, keys and indexes, and one row of it.
//!
//! Output: the pieces of a manifest and the PostgreSQL DDL, both from one list, so that they can't drift apart.
//! Invariants: columns stand in the order they have on the server (the later ones were added by migrations, so the order isn't the
//! model file's); types and definitions read as PostgreSQL's `format_type`, `pg_get_constraintdef` and `pg_get_indexdef` write
//! them. This is the table before the two backfills: neither `category` nor `root_job_id` is there yet.

use std::borrow::Cow;
use std::fmt::Write;

use uuid::Uuid;

use crate::snapshot::manifest::{Column, Constraint, DataFile, EnumType, Index, RelationSizes, Table};

/// The table's name.
pub const TABLE: &str = "llama_logs";

/// Text that is either part of the vocabulary or made up for one row.
pub type Text = Cow<'static, str>;
/// A `text[]` out of the vocabulary; an element may be NULL.
pub type Strings = &'static [Option<&'static str>];

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityType {
    /// `ARTIST`
    Artist,
    /// `ALBUM`
    Album,
    /// `TRACK`
    Track,
}

/// How an operation ended, or where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `PENDING`
    Pending,
    /// `IN_PROGRESS`
    InProgress,
    /// `COMPLETED`
    Completed,
    /// `FAILED`
    Failed,
    /// `SUCCESS`
    Success,
    /// `PARTIAL_SUCCESS`
    PartialSuccess,
    /// `NO_DATA_AVAILABLE`
    NoDataAvailable,
    /// `SKIPPED`
    Skipped,
}

/// How complete an entity's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// `LOW`
    Low,
    /// `MEDIUM`
    Medium,
    /// `HIGH`
    High,
}

const ENTITY_TYPES: [&str; 3] = ["ARTIST", "ALBUM", "TRACK"];
const STATUSES: [&str; 8] =
    ["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "SUCCESS", "PARTIAL_SUCCESS", "NO_DATA_AVAILABLE", "SKIPPED"];
const QUALITIES: [&str; 3] = ["LOW", "MEDIUM", "HIGH"];

impl EntityType {
    /// The enum label.
    pub fn label(self) -> &'static str {
        ENTITY_TYPES[self as usize]
    }
}

impl Status {
    /// The enum label.
    pub fn label(self) -> &'static str {
        STATUSES[self as usize]
    }

    /// The status with this label.
    pub fn parse(label: &str) -> Option<Status> {
        use Status::*;
        [Pending, InProgress, Completed, Failed, Success, PartialSuccess, NoDataAvailable, Skipped]
            .into_iter()
            .find(|status| status.label() == label)
    }
}

impl Quality {
    /// The enum label.
    pub fn label(self) -> &'static str {
        QUALITIES[self as usize]
    }
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Primary key.
    pub id: Uuid,
    /// What the row is about.
    pub entity_type: Option<EntityType>,
    /// Which one; NULL where nothing came into being.
    pub entity_id: Option<Uuid>,
    /// `subject:verb:origin` or `service:call`; never NULL, at most 100 characters.
    pub operation: Text,
    /// Services that were asked.
    pub sources: Option<Strings>,
    /// How it ended.
    pub status: Status,
    /// Fields that were filled in.
    pub fields_enriched: Option<Strings>,
    /// Quality before.
    pub data_quality_before: Option<Quality>,
    /// Quality after.
    pub data_quality_after: Option<Quality>,
    /// What went wrong.
    pub error_message: Option<Text>,
    /// Its code, at most 50 characters.
    pub error_code: Option<Text>,
    /// Attempts beyond the first.
    pub retry_count: i32,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i32>,
    /// Calls to other services.
    pub api_call_count: i32,
    /// `jsonb` in PostgreSQL's own text form.
    pub metadata: Option<Text>,
    /// Who or what asked for it, at most 50 characters.
    pub triggered_by: Option<Text>,
    /// The artist concerned.
    pub artist_id: Option<Uuid>,
    /// The album concerned.
    pub album_id: Option<Uuid>,
    /// The track concerned.
    pub track_id: Option<Uuid>,
    /// The job that wrote the row; not unique, at most 100 characters.
    pub job_id: Option<Text>,
    /// Microseconds since 1970 without a time zone; a multiple of 1,000.
    pub created_at_us: i64,
    /// The user behind it.
    pub user_id: Option<Text>,
    /// Why an administrator did it.
    pub reason: Option<Text>,
    /// `jsonb` in PostgreSQL's own text form: what an enrichment would change.
    pub preview_data: Option<Text>,
    /// The job that started this job.
    pub parent_job_id: Option<Text>,
    /// The writer considered its job a root.
    pub is_root_job: bool,
}

impl Row {
    /// A row with everything optional absent.
    pub fn new(id: Uuid, operation: impl Into<Text>, status: Status, created_at_us: i64) -> Row {
        Row {
            id,
            entity_type: None,
            entity_id: None,
            operation: operation.into(),
            sources: None,
            status,
            fields_enriched: None,
            data_quality_before: None,
            data_quality_after: None,
            error_message: None,
            error_code: None,
            retry_count: 0,
            duration_ms: None,
            api_call_count: 0,
            metadata: None,
            triggered_by: None,
            artist_id: None,
            album_id: None,
            track_id: None,
            job_id: None,
            created_at_us,
            user_id: None,
            reason: None,
            preview_data: None,
            parent_job_id: None,
            is_root_job: false,
        }
    }
}

/// Name, type, NOT NULL, default; in the server's order.
const COLUMNS: [(&str, &str, bool, Option<&str>); 26] = [
    ("id", "uuid", true, Some("gen_random_uuid()")),
    ("entity_type", "\"EnrichmentEntityType\"", false, None),
    ("entity_id", "uuid", false, None),
    ("operation", "character varying(100)", true, None),
    ("sources", "text[]", false, None),
    ("status", "\"EnrichmentStatus\"", true, None),
    ("fields_enriched", "text[]", false, None),
    ("data_quality_before", "\"DataQuality\"", false, None),
    ("data_quality_after", "\"DataQuality\"", false, None),
    ("error_message", "text", false, None),
    ("error_code", "character varying(50)", false, None),
    ("retry_count", "integer", true, Some("0")),
    ("duration_ms", "integer", false, None),
    ("api_call_count", "integer", true, Some("0")),
    ("metadata", "jsonb", false, None),
    ("triggered_by", "character varying(50)", false, None),
    ("artist_id", "uuid", false, None),
    ("album_id", "uuid", false, None),
    ("track_id", "uuid", false, None),
    ("job_id", "character varying(100)", false, None),
    ("created_at", "timestamp(3) without time zone", true, Some("CURRENT_TIMESTAMP")),
    ("user_id", "text", false, None),
    ("reason", "text", false, None),
    ("preview_data", "jsonb", false, None),
    ("parent_job_id", "character varying(100)", false, None),
    ("is_root_job", "boolean", true, Some("false")),
];

/// Keys of the indexes behind `llama_logs_pkey`.
const INDEX_KEYS: [&str; 10] = [
    "entity_type, entity_id",
    "artist_id",
    "album_id",
    "track_id",
    "status, created_at",
    "operation",
    "sources",
    "user_id",
    "parent_job_id",
    "is_root_job, created_at",
];

/// The columns, in order.
pub fn columns() -> Vec<Column> {
    COLUMNS
        .iter()
        .map(|(name, type_name, not_null, default)| Column {
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
            not_null: *not_null,
            default: default.map(str::to_owned),
            generated: None,
            numeric_extent: None,
            carried_as_text: None,
        })
        .collect()
}

/// The enums that the columns use, by name.
pub fn enums() -> Vec<EnumType> {
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    vec![
        EnumType { name: "\"DataQuality\"".to_owned(), labels: labels(&QUALITIES) },
        EnumType { name: "\"EnrichmentEntityType\"".to_owned(), labels: labels(&ENTITY_TYPES) },
        EnumType { name: "\"EnrichmentStatus\"".to_owned(), labels: labels(&STATUSES) },
    ]
}

/// The indexes as an export lists them, the primary key's first, then by name; without sizes.
pub fn indexes() -> Vec<Index> {
    let index = |name: String, key: &str, primary: bool| Index {
        definition: format!(
            "CREATE {}INDEX {name} ON public.{TABLE} USING btree ({key})",
            if primary { "UNIQUE " } else { "" }
        ),
        name,
        method: "btree".to_owned(),
        unique: primary,
        primary,
        size_bytes: None,
    };
    let mut indexes: Vec<Index> =
        INDEX_KEYS.iter().map(|key| index(format!("{TABLE}_{}_idx", key.replace(", ", "_")), key, false)).collect();
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    indexes.insert(0, index(format!("{TABLE}_pkey"), "id", true));
    indexes
}

/// The manifest's entry for a table of this shape.
pub fn table(rows: u64, files: Vec<DataFile>, sizes: Option<RelationSizes>) -> Table {
    Table {
        schema: "public".to_owned(),
        name: TABLE.to_owned(),
        rows,
        columns: columns(),
        constraints: vec![Constraint {
            name: format!("{TABLE}_pkey"),
            kind: "primary key".to_owned(),
            definition: "PRIMARY KEY (id)".to_owned(),
            columns: vec!["id".to_owned()],
            validated: true,
        }],
        indexes: indexes(),
        sizes,
        files,
        ..Table::default()
    }
}

/// The PostgreSQL statements that make the empty table.
pub fn ddl() -> String {
    let mut sql = String::from("-- The log table before the backfills. Load rows with:\n");
    let _ = writeln!(sql, "--   \\copy {TABLE} FROM 'llama_logs.csv' (FORMAT csv, HEADER)\n");
    for kind in enums() {
        let labels: Vec<String> = kind.labels.iter().map(|label| crate::query::quote_literal(label)).collect();
        let _ = writeln!(sql, "CREATE TYPE {} AS ENUM ({});", kind.name, labels.join(", "));
    }
    let _ = writeln!(sql, "\nCREATE TABLE {TABLE} (");
    for column in columns() {
        let _ = write!(sql, "    {} {}", column.name, column.type_name);
        if let Some(default) = column.default {
            let _ = write!(sql, " DEFAULT {default}");
        }
        sql.push_str(if column.not_null { " NOT NULL,\n" } else { ",\n" });
    }
    let _ = writeln!(sql, "    CONSTRAINT {TABLE}_pkey PRIMARY KEY (id)\n);\n");
    for index in indexes().iter().filter(|index| !index.primary) {
        let _ = writeln!(sql, "{};", index.definition.replace("public.", ""));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_parse_back() {
        for label in STATUSES {
            assert_eq!(Status::parse(label).map(Status::label), Some(label));
        }
        assert_eq!(Status::parse("failed"), None);
        assert_eq!(Quality::High.label(), "HIGH");
        assert_eq!(EntityType::Track.label(), "TRACK");
    }

    #[test]
    fn every_type_can_be_carried() {
        let enums = enums().into_iter().map(|e| (e.name, e.labels)).collect();
        assert_eq!(table(0, vec![], None).types(&enums).len(), COLUMNS.len());
    }
}
