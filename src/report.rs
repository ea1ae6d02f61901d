//! What a report is: the findings, the outcome, the JSON envelope and the neutral view.
//!
//! Input: what an analysis found. Output: plain data that `render` can show in any format.
//! Invariants: nothing here formats, colours or prints; vectors arrive sorted; every finding id is in [`FINDING_IDS`],
//! because ids are a public contract. Left out on purpose: the wall clock.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

/// Version of the JSON envelope and of the field names scripts rely on. Fields are added freely, renamed only with a new number.
pub const SCHEMA_VERSION: u32 = 1;

/// Every finding id the tool can report, with one line of what it says. Printed by `rehearsal findings`-style documentation and
/// checked by a test, so that an id can't be invented in passing.
pub const FINDING_IDS: &[(&str, &str)] = &[
    ("ambiguous-parent", "A job has parents that lead to different roots, so no single root is true."),
    ("beyond-depth-limit", "A chain is longer than the backfill climbs; the row gets a job in mid-chain as its root."),
    ("check-failed", "A validation query doesn't give what it should."),
    ("circular-reference", "Jobs are their own ancestors."),
    ("comment-contradicts-sql", "A comment promises what its statement's WHERE clause prevents."),
    ("dangling-parent", "A chain ends at a parent id that no row bears."),
    ("dead-rule", "A rule matches no row."),
    ("expectation-missed", "A predicted figure isn't the expected one."),
    ("fallback-heavy", "The fallback rule takes a large share of the rows."),
    ("fan-out", "The recursive query multiplies rows because a job writes several."),
    ("index-before-backfill", "An index is created before the rows of its column are written."),
    ("ladder-disagreement", "Two ladders put the same row in different categories."),
    ("lock-held-through-backfill", "A table stays closed while rows are written."),
    ("masked-values", "Statements name values that are masked in the snapshot."),
    ("missing-fk-index", "A new foreign key has no index on the referencing columns."),
    ("near-depth-limit", "A chain comes close to the depth at which the backfill stops."),
    ("no-op-update", "An UPDATE writes rows with the values they have."),
    ("null-category", "No rule takes a row, so its category stays NULL."),
    ("null-created-at", "Rows have no time, so they are missing from rows per day."),
    ("partial-snapshot", "The snapshot holds a part of a table's rows or columns."),
    ("plan-dependent", "The server's answer depends on its query plan."),
    ("replay-differs", "The migration's answer isn't what is true of the data."),
    ("rollback-incomplete", "The roll-back doesn't bring everything back."),
    ("root-flag-mismatch", "is_root_job and the absence of a parent contradict each other."),
    ("row-budget", "A recursive query makes more rows than allowed, a loop more rounds, or one never ends."),
    ("schema-drift", "A database's schema isn't the one its migrations make."),
    ("shadowed-rule", "A rule matches rows but wins none or few of them."),
    ("short-history", "The history is too short to date a threshold."),
    ("split-family", "A child gets another root than its own parent."),
    ("stale-root", "The root stored in a row isn't the root the data has."),
    ("statement-failed", "The server refuses a statement of the migration."),
    ("statement-unsupported", "A statement couldn't be rehearsed."),
    ("statement-without-effect", "An UPDATE or DELETE matches no row."),
    ("table-rewrite", "A statement writes a whole table again under a lock."),
    ("threshold-crossed", "The table crosses a size threshold."),
    ("unindexed-recursion", "A recursive query joins on a column without an index."),
    ("wide-pattern", "A LIKE pattern matches more than it reads."),
];

/// How much a finding matters. Ordered: `Note < Warning < Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Looks unintended, or will become wrong.
    Warning,
    /// The migration's result isn't what its author means.
    Error,
}

impl Severity {
    /// The word the user reads and writes (`--fail-on`).
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing the user should know: how many rows, what follows from it, what to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Kebab-case id out of [`FINDING_IDS`].
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Rows (or rules, thresholds: what the message counts) concerned.
    pub count: u64,
    /// One sentence: what is so, and its consequence.
    pub message: String,
    /// One sentence: what to do about it.
    pub action: String,
    /// Up to `--samples` rows that show it, each a flat object.
    pub samples: Vec<Map<String, Value>>,
    /// Where in the user's files it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// A place in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The path as the user wrote it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Last line of what it is about, where that is a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_line: Option<usize>,
}

impl fmt::Display for Location {
    /// As editors and terminals understand it: `migration.sql:22`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Finding {
    /// A finding without samples.
    pub fn new(
        id: &'static str,
        severity: Severity,
        count: u64,
        message: impl Into<String>,
        action: impl Into<String>,
    ) -> Self {
        debug_assert!(FINDING_IDS.iter().any(|(known, _)| *known == id), "finding id {id} isn't registered");
        Finding {
            id,
            severity,
            count,
            message: message.into(),
            action: action.into(),
            samples: Vec::new(),
            location: None,
        }
    }

    /// The same finding at a place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same finding with sample rows.
    pub fn with_samples(mut self, samples: Vec<Map<String, Value>>) -> Self {
        self.samples = samples;
        self
    }
}

/// Sorts findings for reading: the gravest first, then the most frequent, then by id and message.
pub fn sort_findings(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then(b.count.cmp(&a.count)).then(a.id.cmp(b.id)).then(a.message.cmp(&b.message))
    });
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// No finding at or above the severity asked for.
    Clean,
    /// At least one such finding.
    Findings,
    /// The question couldn't be answered.
    Failed,
}

/// An analysis's answer: typed fields for scripts (`Serialize`), findings, and a view for people.
pub trait Report {
    /// The word in the envelope's `report` field: the command's name.
    fn name(&self) -> &'static str;
    /// The findings, sorted by [`sort_findings`].
    fn findings(&self) -> &[Finding];
    /// The envelope's `result`: the report's public fields.
    fn result(&self) -> Result<Value>;
    /// What a person reads, without findings (the renderer places those).
    fn view(&self) -> View;
    /// How many sample rows of a finding a person sees; scripts get all.
    fn samples_shown(&self) -> usize {
        usize::MAX
    }
}

/// The envelope's `snapshot` object: which data a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotRef {
    /// Identifies the content: derived from the files' hashes.
    pub id: String,
    /// The table analysed; absent where a report is about the whole snapshot.
    pub table: Option<String>,
    /// Rows in that table, or in all tables.
    pub rows: u64,
    /// When the data was read from the server (RFC 3339, UTC); absent for bare Parquet files.
    pub captured_at: Option<String>,
    /// The data was made up, not captured.
    pub synthetic: bool,
}

/// The JSON document every command prints under `--format json`. `R` is a value, or what streams one.
#[derive(Debug, Serialize)]
pub struct Envelope<'a, R = Value> {
    /// The command.
    pub report: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tool's own version.
    pub tool_version: &'static str,
    /// The data the report is about; `null` where there is none.
    pub snapshot: Option<&'a SnapshotRef>,
    /// What the run came to.
    pub outcome: Outcome,
    /// All findings.
    pub findings: &'a [Finding],
    /// The report's own fields.
    pub result: R,
}

/// A report as a person reads it, before any format: the answer first, then blocks in reading order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// What the report is about, in a few words.
    pub title: String,
    /// The answer: one to three sentences or lines.
    pub headline: Vec<String>,
    /// Everything else, in reading order.
    pub blocks: Vec<Block>,
}

/// A piece of a [`View`].
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Labels with values.
    Facts(Vec<(String, Cell)>),
    /// A table.
    Table(Table),
    /// A picture made of characters.
    Plot(Plot),
    /// Lines shown as they are (a tree, an SQL text), under a title.
    Text {
        /// What the lines are.
        title: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// A remark.
    Note(String),
}

/// A titled table of typed cells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// What the table shows.
    pub title: String,
    /// Column headings.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Table { title: title.into(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; it must have a cell for each column.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "row of {}", self.title);
        self.rows.push(row);
    }
}

/// A raw value that a renderer knows how to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing: shown empty.
    Empty,
    /// SQL NULL: shown as such.
    Null,
    /// Words.
    Text(String),
    /// A number of things.
    Count(u64),
    /// A difference of counts, always with its sign.
    Delta(i64),
    /// A size in bytes.
    Bytes(u64),
    /// A ratio, 0 to 1, shown in percent.
    Share(f64),
    /// Any other number, with the decimals to show.
    Number(f64, usize),
    /// A truth value, shown as a mark.
    Flag(bool),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}
impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}
impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Cell::Count(count)
    }
}
impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Cell::Null, Cell::Text)
    }
}
impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Cell::Null, Cell::from)
    }
}

/// A plot of one or more lines over a common horizontal axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plot {
    /// What is plotted, with the unit.
    pub title: String,
    /// Lines and points, drawn in order: a later one covers an earlier one.
    pub series: Vec<Series>,
    /// Labels at the left and the right end of the horizontal axis.
    pub x_labels: (String, String),
    /// Places in between that are labelled too, x ascending.
    pub x_marks: Vec<Mark>,
    /// How to write a value of the vertical axis.
    pub y_unit: YUnit,
    /// Top of the vertical axis, which cuts what rises above it; the highest value where absent.
    pub top: Option<f64>,
}

/// A labelled place on the horizontal axis of a [`Plot`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mark {
    /// Where.
    pub at: f64,
    /// What stands there.
    pub label: String,
}

/// One curve of a [`Plot`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// The character it is drawn with.
    pub mark: char,
    /// Points, x ascending; both finite.
    pub points: Vec<(f64, f64)>,
    /// How the points are drawn.
    pub shape: Shape,
}

/// How a [`Series`] is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Shape {
    /// A line through the points.
    #[default]
    Line,
    /// The area below the points.
    Area,
    /// The area between these points below and the series' own above.
    Band(Vec<(f64, f64)>),
    /// A horizontal line across the whole plot, at the height of the first point.
    Level,
}

impl Series {
    /// A line through points.
    pub fn line(label: impl Into<String>, mark: char, points: Vec<(f64, f64)>) -> Self {
        Series { label: label.into(), mark, points, shape: Shape::Line }
    }

    /// The area below points.
    pub fn area(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Series { label: label.into(), mark: '█', points, shape: Shape::Area }
    }

    /// The area between two lines.
    pub fn band(label: impl Into<String>, mark: char, low: Vec<(f64, f64)>, high: Vec<(f64, f64)>) -> Self {
        Series { label: label.into(), mark, points: high, shape: Shape::Band(low) }
    }

    /// A horizontal line at a height.
    pub fn level(label: impl Into<String>, mark: char, height: f64) -> Self {
        Series { label: label.into(), mark, points: vec![(0.0, height)], shape: Shape::Level }
    }
}

/// How a [`Plot`] writes its vertical axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum YUnit {
    /// Plain numbers.
    #[default]
    Count,
    /// Sizes.
    Bytes,
}
