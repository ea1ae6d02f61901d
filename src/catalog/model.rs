//! The objects of a catalog: tables, columns, indexes, constraints, views, sequences, functions, triggers, and what a statement does
//! to rows. Left out: how a statement changes them ([`super::ddl`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pg_query::protobuf::Node;

use super::{AttNum, Numbers, Oid, Type};

/// A table or materialized view.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// Columns in order; dropped ones are gone.
    pub columns: Vec<Column>,
    /// Name of the snapshot's table that its rows come from; absent for a table made by the migration.
    pub snapshot_table: Option<String>,
    /// A materialized view: its query, to fill it again.
    pub materialized: Option<Expression>,
    /// False for a materialized view that has never been filled: it can't be read.
    pub populated: bool,
    /// The last [`AttNum`] given out.
    pub last_attnum: AttNum,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its number.
    pub attnum: AttNum,
    /// Its name, unquoted.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// NULL is refused.
    pub not_null: bool,
    /// DEFAULT.
    pub default: Option<Expression>,
    /// GENERATED … AS IDENTITY.
    pub identity: Option<Identity>,
    /// GENERATED ALWAYS AS (…) STORED.
    pub generated: Option<Expression>,
    /// The column's name in the snapshot's table; absent for a column made by the migration.
    pub snapshot_column: Option<String>,
}

impl Column {
    /// A column with a name and a type, and nothing else.
    pub fn plain(attnum: AttNum, name: String, ty: Type) -> Column {
        Column {
            attnum,
            name,
            ty,
            not_null: false,
            default: None,
            identity: None,
            generated: None,
            snapshot_column: None,
        }
    }
}

/// Which values an identity column takes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// None, but for OVERRIDING SYSTEM VALUE.
    Always,
    /// Any.
    ByDefault,
}

/// An expression kept in the catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// As the parser read it. Column names in it are renamed along with the columns.
    pub node: Arc<Node>,
    /// As PostgreSQL's deparser writes it.
    pub sql: String,
}

/// An enum type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumType {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// Labels in sort order.
    pub labels: Vec<String>,
    /// Labels added in the transaction that is still open: the server refuses to use them (55P04).
    pub uncommitted: BTreeSet<String>,
    /// The type itself was made in the open transaction: its own labels may be used.
    pub is_new: bool,
}

/// An index.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: Oid,
    /// Access method: `btree`, `hash`, `gin` …
    pub method: String,
    /// Refuses duplicates.
    pub unique: bool,
    /// Treats NULLs as equal.
    pub nulls_not_distinct: bool,
    /// Key columns in order.
    pub keys: Vec<IndexKey>,
    /// INCLUDE columns.
    pub include: Vec<AttNum>,
    /// WHERE of a partial index.
    pub predicate: Option<Expression>,
    /// The constraint it stands behind.
    pub constraint: Option<Oid>,
}

/// A key column of an index.
#[derive(Debug, Clone)]
pub struct IndexKey {
    /// Column or expression.
    pub target: IndexTarget,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
    /// Operator class, where one is named.
    pub operator_class: Option<String>,
}

/// What an index key is computed from.
#[derive(Debug, Clone)]
pub enum IndexTarget {
    /// A column.
    Column(AttNum),
    /// An expression over the table's columns.
    Expression(Expression),
}

/// A constraint.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Its number.
    pub oid: Oid,
    /// Its table.
    pub table: Oid,
    /// Its name.
    pub name: String,
    /// What it demands.
    pub kind: ConstraintKind,
    /// False for NOT VALID.
    pub validated: bool,
    /// When it is checked.
    pub timing: Timing,
}

/// When a constraint is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Timing {
    /// At each statement.
    #[default]
    Immediate,
    /// At each statement, unless SET CONSTRAINTS says otherwise: DEFERRABLE.
    Deferrable,
    /// At COMMIT: DEFERRABLE INITIALLY DEFERRED.
    Deferred,
}

impl Timing {
    /// As SQL says it, behind the rest of the constraint.
    pub fn as_str(self) -> &'static str {
        match self {
            Timing::Immediate => "",
            Timing::Deferrable => " DEFERRABLE",
            Timing::Deferred => " DEFERRABLE INITIALLY DEFERRED",
        }
    }

    /// What the parser read.
    pub fn of(constraint: &pg_query::protobuf::Constraint) -> Timing {
        match (constraint.deferrable, constraint.initdeferred) {
            (_, true) => Timing::Deferred,
            (true, false) => Timing::Deferrable,
            (false, false) => Timing::Immediate,
        }
    }
}

/// What a constraint demands.
#[derive(Debug, Clone)]
pub enum ConstraintKind {
    /// PRIMARY KEY, with its index.
    PrimaryKey(Oid),
    /// UNIQUE, with its index.
    Unique(Oid),
    /// FOREIGN KEY.
    ForeignKey(ForeignKey),
    /// FOREIGN KEY to a table that the snapshot doesn't hold: it can be dropped and renamed, never verified.
    AbsentForeignKey(AbsentForeignKey),
    /// CHECK.
    Check(Expression),
    /// EXCLUDE, as written.
    Exclusion(String),
}

/// A foreign key.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    /// Referencing columns.
    pub columns: Vec<AttNum>,
    /// Referenced table.
    pub parent: Oid,
    /// Referenced columns.
    pub parent_columns: Vec<AttNum>,
    /// ON DELETE.
    pub on_delete: Action,
    /// ON UPDATE.
    pub on_update: Action,
}

/// A foreign key to a table that the snapshot doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentForeignKey {
    /// Referencing columns.
    pub columns: Vec<AttNum>,
    /// Referenced table, with its schema where the definition has it.
    pub parent: String,
    /// The definition, as `pg_get_constraintdef` writes it.
    pub definition: String,
}

/// A referential action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// NO ACTION
    NoAction,
    /// RESTRICT
    Restrict,
    /// CASCADE
    Cascade,
    /// SET NULL
    SetNull,
    /// SET DEFAULT
    SetDefault,
}

/// A view: its query is kept, and read in place of its name.
#[derive(Debug, Clone)]
pub struct View {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its query.
    pub query: Expression,
    /// Names of its columns, settled when it was made; where its query couldn't be read, those that the definition gives.
    pub columns: Vec<String>,
    /// Their types; empty where its query couldn't be read.
    pub types: Vec<Type>,
    /// Tables and views it reads, and of tables which columns (none: only rows).
    pub depends_on: BTreeMap<Oid, BTreeSet<AttNum>>,
}

/// A sequence.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The column that owns it.
    pub owner: Option<(Oid, AttNum)>,
    /// Where it stands; absent where that isn't known, as for those of a snapshot.
    pub numbers: Option<Numbers>,
    /// Where it stood when ALTER SEQUENCE or RESTART IDENTITY put another state in place of its own, which a roll-back undoes as
    /// it doesn't undo numbers taken.
    pub replaced: Vec<Option<Numbers>>,
}

/// A function or procedure.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `sql`, `plpgsql` …
    pub language: String,
    /// What it takes, gives and does; absent where a type of it isn't known.
    pub definition: Option<std::sync::Arc<Definition>>,
}

/// What a function takes, gives and does.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its parameters in order, those it only gives included.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub gives: Gives,
    /// The table of whose rows it gives one.
    pub row_of: Option<Oid>,
    /// A set of rows.
    pub is_set: bool,
    /// A procedure.
    pub is_procedure: bool,
    /// Gives NULL without being run where an argument is NULL.
    pub is_strict: bool,
    /// VOLATILE, what a function is that isn't said to be anything else.
    pub is_volatile: bool,
    /// IMMUTABLE
    pub is_immutable: bool,
    /// SET search_path: the schemas in which its body's names are looked for, whoever calls it.
    pub search_path: Option<Vec<String>>,
    /// Its text; absent where it isn't given as one (BEGIN ATOMIC, C).
    pub body: Option<String>,
    /// The query that it is, where it does nothing else.
    pub query: Option<Box<pg_query::NodeEnum>>,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The caller gives it.
    pub is_input: bool,
    /// The caller gets it.
    pub is_output: bool,
    /// VARIADIC
    pub is_variadic: bool,
    /// Its value where the caller gives none.
    pub default: Option<Box<Node>>,
}

/// What a function gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Gives {
    /// Nothing.
    Nothing,
    /// A value.
    Value(Type),
    /// A row of these columns.
    Row(Vec<(String, Type)>),
    /// A row whose columns the caller says.
    Record,
    /// It is for triggers.
    Trigger,
}

/// A trigger.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its table.
    pub table: Oid,
    /// Its name.
    pub name: String,
    /// The statement that made it.
    pub sql: String,
    /// The same as the parser read it.
    pub statement: std::sync::Arc<pg_query::protobuf::CreateTrigStmt>,
    /// ALTER TABLE … DISABLE TRIGGER hasn't taken it out.
    pub enabled: bool,
}

/// A rewrite rule: recorded, never followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its table or view.
    pub relation: Oid,
    /// Its name.
    pub name: String,
    /// What it rewrites: `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
}

/// A row security policy: recorded, never enforced.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its table.
    pub table: Oid,
    /// Its name.
    pub name: String,
    /// `all`, `select` …: what it is for.
    pub command: String,
    /// AS RESTRICTIVE takes rows away, AS PERMISSIVE gives them.
    pub permissive: bool,
    /// USING
    pub using: Option<Expression>,
    /// WITH CHECK
    pub check: Option<Expression>,
    /// Tables and views that either reads, and of tables which columns.
    pub reads: BTreeMap<Oid, BTreeSet<AttNum>>,
}

/// A publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// Its tables.
    pub tables: BTreeSet<Oid>,
    /// FOR ALL TABLES
    pub of_all: bool,
    /// It names nothing but tables.
    pub is_whole: bool,
}

/// What a statement does to rows, in the order to do it, once the catalog stands as the statement leaves it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A new, empty table.
    CreateTable(Oid),
    /// A query's rows go into an empty table, column by column (CREATE TABLE AS after [`Effect::CreateTable`], REFRESH after
    /// [`Effect::Truncate`]).
    Fill(Oid, Expression),
    /// The table is gone (already gone from the catalog).
    DropTable(Oid),
    /// Rows for which the condition holds are gone: a partition's.
    DropRows(Oid, Expression),
    /// The table has become a partition: its rows must be within its bound, and are kept with the partitioned table from here on.
    AttachRows(Oid),
    /// Rows for which the condition holds are another table's: those of a partition that has become a table of its own.
    MoveRows {
        /// The partitioned table.
        from: Oid,
        /// Its partition.
        to: Oid,
        /// Which rows.
        condition: Expression,
    },
    /// All rows are gone.
    Truncate(Oid),
    /// A new column: rows get its default, or NULL.
    AddColumn(Oid, AttNum),
    /// A new column whose default the same statement changes: rows get the one that it was added with.
    AddColumnFilled(Oid, AttNum, Option<Expression>),
    /// The column is gone (already gone from the catalog).
    DropColumn(Oid, AttNum),
    /// The column has a new type.
    ConvertColumn {
        /// The table.
        table: Oid,
        /// The column.
        attnum: AttNum,
        /// The type it had.
        from: Type,
        /// USING. It reads the table as it was before the statement: names and types of its columns are those of the catalog
        /// from before.
        using: Option<Expression>,
    },
    /// Rows holding a label of the enum hold another from here on.
    RenameLabel {
        /// The enum.
        oid: Oid,
        /// Old label.
        from: String,
        /// New label.
        to: String,
    },
    /// No row may have NULL (23502).
    VerifyNotNull(Oid, AttNum),
    /// No two rows may agree on the index's keys (23505).
    VerifyUnique(Oid),
    /// Every row must satisfy the constraint: a foreign key (23503) or a check (23514).
    VerifyConstraint(Oid),
    /// Every column of the domain must satisfy its check of this name (23514), or hold no NULL (23502).
    VerifyDomain(Oid, Option<String>),
}

impl Sequence {
    /// Gives it another state, as a whole.
    pub(crate) fn replace(&mut self, numbers: Numbers) {
        self.replaced.push(self.numbers);
        self.numbers = Some(numbers);
    }

    /// A roll-back: `then` is the sequence as it has come to be. Numbers taken from a state that stays aren't given back.
    pub(crate) fn keep_numbers(&mut self, then: &Sequence) {
        self.numbers = then.replaced.get(self.replaced.len()).copied().unwrap_or(then.numbers);
    }
}
