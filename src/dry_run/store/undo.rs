//! Undo: the physical tables as they were at a point within a transaction.
//!
//! Input: what the store is about to do, told before it is done. Output: the tables as they stood at a [`Point`]. Invariants: while
//! no point is set nothing is kept; what a statement did that the engine has rolled back is forgotten with it; of rows only those
//! written are kept, of a table that is made anew the whole.

use std::collections::BTreeMap;

use super::{Physical, Store};
use crate::catalog::{AttNum, Oid};
use crate::dry_run::engine::Ran;
use crate::translate::{column_name, table_name};

/// A point that can be gone back to.
pub(in crate::dry_run) struct Point {
    entries: usize,
    tables: BTreeMap<Oid, Physical>,
}

/// What was done, and how to undo it.
#[derive(Debug)]
enum Entry {
    /// A table was made.
    Made(Oid),
    /// A table was made anew, or dropped: `kept` is all of it.
    Whole { table: Oid, kept: String },
    /// A column was added.
    Column { table: Oid, column: String },
    /// Columns were written: `kept` has the rows as they were.
    Updated { table: Oid, columns: Vec<String>, kept: String },
    /// Rows from this number on came in.
    Inserted { table: Oid, first: u64 },
    /// Rows went: `kept` has them.
    Deleted { table: Oid, kept: String },
}

/// Everything done since the first point.
#[derive(Debug, Default)]
pub(super) struct Undo {
    points: usize,
    entries: Vec<Entry>,
    /// Entries there were when the statement under way began.
    pub(super) before_statement: usize,
    last: usize,
}

impl Undo {
    fn name(&mut self) -> String {
        self.last += 1;
        format!("u{}", self.last)
    }

    /// Forgets what the engine has rolled back.
    pub(super) fn forget_statement(&mut self) {
        self.entries.truncate(self.before_statement);
    }

    pub(super) fn note_statement(&mut self) {
        self.before_statement = self.entries.len();
    }
}

impl Store<'_> {
    /// Sets a point, between statements.
    pub(in crate::dry_run) fn set_point(&mut self) -> Point {
        self.undo.points += 1;
        Point { entries: self.undo.entries.len(), tables: self.tables.clone() }
    }

    /// Gives a point up; with the last one everything kept is dropped.
    pub(in crate::dry_run) fn release(&mut self) -> Ran<()> {
        self.undo.points = self.undo.points.saturating_sub(1);
        if self.undo.points == 0 {
            for entry in std::mem::take(&mut self.undo.entries) {
                if let Entry::Whole { kept, .. } | Entry::Updated { kept, .. } | Entry::Deleted { kept, .. } = entry {
                    self.engine.run(&format!("DROP TABLE IF EXISTS temp.{kept}"))?;
                }
            }
        }
        Ok(())
    }

    /// Goes back to a point, which stays set.
    pub(in crate::dry_run) fn go_back(&mut self, point: &Point) -> Ran<()> {
        self.values.clear();
        for entry in self.undo.entries.split_off(point.entries).into_iter().rev() {
            self.take_back(&entry)?;
        }
        self.tables.clone_from(&point.tables);
        Ok(())
    }

    fn take_back(&self, entry: &Entry) -> Ran<()> {
        let kept = match entry {
            Entry::Made(table) => {
                return self.engine.run(&format!("DROP TABLE IF EXISTS {}", table_name(*table)));
            }
            Entry::Column { table, column } => {
                return self.engine.run(&format!("ALTER TABLE {} DROP COLUMN {column}", table_name(*table)));
            }
            Entry::Inserted { table, first } => {
                return self.engine.run(&format!("DELETE FROM {} WHERE _r >= {first}", table_name(*table)));
            }
            Entry::Whole { table, kept } => {
                let name = table_name(*table);
                self.engine.run(&format!("CREATE OR REPLACE TABLE {name} AS SELECT * FROM temp.{kept}"))?;
                kept
            }
            Entry::Updated { table, columns, kept } => {
                let list: Vec<String> = columns.iter().map(|c| format!("{c} = s.{c}")).collect();
                self.engine.run(&format!(
                    "UPDATE {} AS t SET {} FROM temp.{kept} AS s WHERE s._r = t._r",
                    table_name(*table),
                    list.join(", ")
                ))?;
                kept
            }
            Entry::Deleted { table, kept } => {
                let name = table_name(*table);
                self.engine.run(&format!("INSERT INTO {name} BY NAME SELECT * FROM temp.{kept}"))?;
                kept
            }
        };
        self.engine.run(&format!("DROP TABLE IF EXISTS temp.{kept}"))
    }

    /// A table comes into being.
    pub(super) fn will_make(&mut self, table: Oid) {
        if self.undo.points > 0 {
            self.undo.entries.push(Entry::Made(table));
        }
    }

    /// A table is made anew or dropped.
    pub(super) fn will_replace(&mut self, table: Oid) -> Ran<()> {
        if self.undo.points == 0 {
            return Ok(());
        }
        let kept = self.undo.name();
        self.engine.run(&format!("CREATE TEMP TABLE {kept} AS SELECT * FROM {}", table_name(table)))?;
        self.undo.entries.push(Entry::Whole { table, kept });
        Ok(())
    }

    /// A column is added.
    pub(super) fn will_add(&mut self, table: Oid, column: String) {
        if self.undo.points > 0 {
            self.undo.entries.push(Entry::Column { table, column });
        }
    }

    /// Columns of the rows in `stage` are written, with their writers.
    pub(super) fn will_update(&mut self, table: Oid, stage: &str, columns: &[AttNum], writers: bool) -> Ran<()> {
        if self.undo.points == 0 {
            return Ok(());
        }
        let mut names: Vec<String> = columns.iter().map(|&c| column_name(c)).collect();
        if writers {
            names.extend(columns.iter().map(|c| format!("w{c}")));
        }
        let kept = self.undo.name();
        self.engine.run(&format!(
            "CREATE TEMP TABLE {kept} AS SELECT _r, {} FROM {} WHERE _r IN (SELECT _r FROM {stage})",
            names.join(", "),
            table_name(table)
        ))?;
        self.undo.entries.push(Entry::Updated { table, columns: names, kept });
        Ok(())
    }

    /// The rows in `stage` come in.
    pub(super) fn will_insert(&mut self, table: Oid, stage: &str) -> Ran<()> {
        if self.undo.points == 0 {
            return Ok(());
        }
        let first = self.engine.counts::<2>(&format!("SELECT count(*), coalesce(min(_r), 0) FROM {stage}"))?;
        if first[0] > 0 {
            self.undo.entries.push(Entry::Inserted { table, first: first[1] });
        }
        Ok(())
    }

    /// The rows in `stage` go.
    pub(super) fn will_delete(&mut self, table: Oid, stage: &str) -> Ran<()> {
        if self.undo.points == 0 {
            return Ok(());
        }
        let kept = self.undo.name();
        self.engine.run(&format!(
            "CREATE TEMP TABLE {kept} AS SELECT * FROM {} WHERE _r IN (SELECT _r FROM {stage})",
            table_name(table)
        ))?;
        self.undo.entries.push(Entry::Deleted { table, kept });
        Ok(())
    }

    /// Forgets all points and what was kept for them.
    pub(super) fn forget_points(&mut self) -> Ran<()> {
        self.undo.points = 1;
        self.release()
    }
}
