//! The catalog: what PostgreSQL knows of a database, kept beside DuckDB, which knows only bare tables.
//!
//! Input: a snapshot's manifest, then the DDL of a migration, statement by statement. Output: names, types, keys, indexes and
//! constraints as the server would have them, and the [`Effect`]s a statement has on rows. Invariants: names are looked up here
//! and nowhere else, in PostgreSQL's way (case-sensitive after folding, search path, implicit names); DDL without an effect on
//! rows lives only here. Left out: rows.
//!
//! The rows themselves lie in DuckDB under names that no SQL text can collide with: table [`Oid`] 7 is `t7`, its column with
//! [`AttNum`] 3 is `c3`, and `_r` numbers the rows for good.

mod canonical;
mod casts;
pub mod composite;
pub mod ddl;
pub mod definition;
pub mod delta;
pub mod domain;
pub mod expression;
pub mod locks;
pub mod lookup;
mod manifest;
pub mod model;
pub mod naming;
pub mod objects;
pub mod overload;
pub mod partition;
pub mod pg;
pub mod problem;
pub mod sequence;
pub mod tree;
pub mod types;

use std::collections::{BTreeMap, BTreeSet};

pub use ddl::{Applied, TransactionState};
pub use delta::delta;
pub use locks::{LockMode, locks};
pub use lookup::RelationKind;
pub use model::{
    AbsentForeignKey, Action, Column, Constraint, ConstraintKind, Definition, Effect, EnumType, Expression, ForeignKey,
    Function, Gives, Identity, Index, IndexKey, IndexTarget, Parameter, Policy, Publication, Rule, Sequence, Table,
    Timing, Trigger, View,
};
pub use objects::{Objects, Shared};
pub use problem::{Outcome, Problem};
pub use sequence::Numbers;
pub use types::Type;

/// Names an object of the catalog; our own numbering, never reused.
pub type Oid = u32;
/// Position of a column, from 1; never reused within a table.
pub type AttNum = u16;

/// Everything the server would know.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Schemas that exist.
    pub schemas: Shared<BTreeSet<String>>,
    /// Tables and materialized views.
    pub tables: Objects<Table>,
    /// Enum types.
    pub enums: Objects<EnumType>,
    /// Composite types.
    pub composites: Objects<composite::Composite>,
    /// Domains.
    pub domains: Objects<domain::Domain>,
    /// Indexes, those behind constraints included.
    pub indexes: Objects<Index>,
    /// Constraints.
    pub constraints: Objects<Constraint>,
    /// Views.
    pub views: Objects<View>,
    /// Sequences.
    pub sequences: Objects<Sequence>,
    /// Functions and procedures, as recorded.
    pub functions: Shared<Vec<Function>>,
    /// Triggers, as recorded.
    pub triggers: Shared<Vec<Trigger>>,
    /// Roles that the migration has made; those that were there before aren't known.
    pub roles: Shared<BTreeSet<String>>,
    /// Extensions by name.
    pub extensions: Shared<BTreeSet<String>>,
    /// Rewrite rules, as recorded.
    pub rules: Shared<Vec<Rule>>,
    /// Row security policies, as recorded.
    pub policies: Shared<Vec<Policy>>,
    /// Publications that the migration has made.
    pub publications: Shared<BTreeMap<String, Publication>>,
    /// Event triggers that the migration has made.
    pub event_triggers: BTreeSet<String>,
    /// The schemas of extensions that the migration has created.
    pub extension_schemas: BTreeMap<String, String>,
    /// Tables with row security.
    pub secured: Shared<BTreeSet<Oid>>,
    /// Tables of which rows were updated: where those lie since isn't known.
    pub moved: Shared<BTreeSet<Oid>>,
    /// Comments, by the object as COMMENT ON names it (`COLUMN public.t.a`).
    pub comments: Shared<BTreeMap<String, String>>,
    /// Settings that SET gave, other than the search path; recorded.
    pub settings: Shared<BTreeMap<String, String>>,
    /// The search path, `public` by default.
    pub search_path: Vec<String>,
    /// Languages that CREATE LANGUAGE made.
    pub languages: BTreeSet<String>,
    /// Made from a snapshot, which lists no views, functions, triggers, policies and extensions: one that isn't here may exist.
    pub partial: bool,
    /// The server is newer than PostgreSQL 15, whose parameters are known.
    pub is_newer: bool,
    /// Labels added to an enum may be used at once where its type was created in the same transaction: from PostgreSQL 17 on.
    pub new_enums_are_open: bool,
    /// Temporary tables that COMMIT drops (true) or empties.
    pub on_commit: BTreeMap<Oid, bool>,
    /// Partitioned tables.
    pub partitioned: Objects<partition::Partitioning>,
    /// Partitions, each a table whose rows the partitioned one keeps.
    pub partitions: Objects<partition::Partition>,
    /// Views WITH CHECK OPTION.
    pub checked_views: BTreeSet<Oid>,
    /// The sequence that gave this session its last number: what `lastval` is about.
    pub last_sequence: Option<Oid>,
    /// The last [`Oid`] given out.
    pub last_oid: Oid,
}

/// Stands before the name of a parameter that SET LOCAL has given a value, up to the end of the transaction.
pub(crate) const LOCAL: &str = "local ";

/// Set by SET CONSTRAINTS … DEFERRED, to the end of the transaction; no parameter has such a name.
const DEFERRED: &str = "constraints deferred";

impl Catalog {
    /// A roll-back doesn't give back the numbers that were taken from sequences; `then` is the catalog rolled back from.
    pub(crate) fn keep_numbers(&mut self, then: &Objects<Sequence>) {
        for (oid, then) in then {
            if let Some(sequence) = self.sequences.get_mut(oid) {
                sequence.keep_numbers(then);
            }
        }
    }

    /// Is the constraint checked at COMMIT only, as things stand?
    pub fn is_deferred(&self, constraint: &Constraint) -> bool {
        match constraint.timing {
            Timing::Immediate => false,
            Timing::Deferrable => self.settings.contains_key(DEFERRED),
            Timing::Deferred => true,
        }
    }

    /// Has SET CONSTRAINTS … DEFERRED put off what may be?
    pub(crate) fn defers(&self) -> bool {
        self.settings.contains_key(DEFERRED)
    }

    /// SET CONSTRAINTS … DEFERRED.
    pub(crate) fn defer_constraints(&mut self) {
        self.settings.insert(DEFERRED.to_owned(), String::new());
    }

    /// SET CONSTRAINTS … IMMEDIATE.
    pub(crate) fn undefer_constraints(&mut self) {
        if self.settings.contains_key(DEFERRED) {
            self.settings.remove(DEFERRED);
        }
    }

    /// A fresh database.
    pub fn empty() -> Catalog {
        Catalog {
            schemas: BTreeSet::from(["public".to_owned()]).into(),
            search_path: vec!["public".to_owned()],
            extensions: BTreeSet::from(["plpgsql".to_owned()]).into(),
            ..Catalog::default()
        }
    }

    /// What COMMIT changes: new enum labels may be used from here on.
    pub fn commit_transaction(&mut self) {
        self.undefer_constraints();
        let local: Vec<String> =
            self.settings.keys().filter_map(|name| name.strip_prefix(LOCAL)).map(str::to_owned).collect();
        for name in local {
            self.settings.remove(&format!("{LOCAL}{name}"));
            if name == "search_path" {
                let before = self.settings.get(&name).and_then(|path| lookup::path_of(path));
                self.search_path = before.map_or_else(|| vec!["public".to_owned()], lookup::searched);
            }
            // A parameter that nobody has but this transaction stays, without a value.
            if name.contains('.') {
                self.settings.entry(name).or_default();
            }
        }
        let is_marked = |ty: &EnumType| ty.is_new || !ty.uncommitted.is_empty();
        self.enums.change(is_marked, |ty| {
            ty.uncommitted.clear();
            ty.is_new = false;
        });
    }
}
