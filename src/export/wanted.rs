//! What is wanted of the tables: which columns and rows, and which values masked?
//!
//! Input: the options and the tables as the catalog describes them. Output: [`Wanted`]: for each table a predicate and a mask. Invariant:
//! whatever can be refused is refused here, before a row is read.

use std::sync::atomic::Ordering;

use anyhow::Result;

use super::catalog::Described;
use super::connection::Session;
use super::mask::rules::{self, shown_path};
use super::mask::salt::{Salt, Salted};
use super::mask::{Limits, Masker, Rule, TableMask};
use super::selection::{self, Predicate};
use crate::query;
use crate::snapshot::manifest::{NumericExtent, Table};
use crate::snapshot::part::{MaskedColumn, Masking};
use crate::snapshot::physical::Physical;
use crate::snapshot::types::PgType;

/// What the user asks for beside the tables' names.
pub struct Options {
    /// `--columns`: `column` or `table.column`.
    pub columns: Vec<String>,
    /// `--where`: a predicate, or `table: predicate`.
    pub predicates: Vec<String>,
    /// `--mask` and `[export.mask]`.
    pub masks: Vec<rules::Wanted>,
    /// Where the masks' secret comes from.
    pub salt: Salt,
}

/// What is wanted of each table, in their order.
pub struct Wanted {
    /// Rows.
    pub predicates: Vec<Option<Predicate>>,
    masks: Vec<TableMask>,
    limits: Limits,
    salted: Option<Salted>,
}

/// Reads the options against the tables, and leaves out the columns that aren't wanted.
///
/// # Errors
/// Names that aren't there, predicates that aren't one, masks that would break the data.
pub fn prepare(session: &Session, options: &Options, described: &mut [Described]) -> Result<Wanted> {
    let predicates = selection::select(&options.columns, &options.predicates, described)?;
    let known = match options.masks.iter().any(|mask| mask.from_file) {
        true => session.fetch(&query::EXPORT_RELATIONS, &[], |row| row.try_get::<_, String>("name"))?,
        false => Vec::new(),
    };
    let tables: Vec<rules::Described<'_>> =
        described.iter().map(|d| rules::Described { table: &d.table, types: &d.types }).collect();
    let (masks, limits) = rules::resolve(&options.masks, &tables, &known)?;
    let salted = match masks.iter().any(|mask| !mask.columns.is_empty()) {
        true => Some(options.salt.secret()?),
        false => None,
    };
    Ok(Wanted { predicates, masks, limits, salted })
}

impl Wanted {
    /// The masks of a table's rows, if it has any.
    pub fn masker<'a>(&'a self, table: usize, types: &'a [PgType]) -> Option<Masker<'a>> {
        let mask = self.masks.get(table).filter(|mask| !mask.columns.is_empty())?;
        Some(Masker { table: mask, secret: &self.salted.as_ref()?.secret, limits: self.limits, types })
    }

    /// Writes into a table's manifest entry what was masked in it; what was learnt from plain values goes.
    pub fn mark(&self, index: usize, table: &mut Table) {
        self.mark_rules(index, table);
        for column in self.masks.get(index).iter().flat_map(|mask| &mask.columns) {
            if column.whole() == Some(Rule::Null) {
                table.ledger.iter_mut().filter(|entry| entry.column == column.name).for_each(|entry| entry.values = 0);
            }
            // What old rows show of a younger column is one of its values.
            for relation in table.physical.iter_mut().flat_map(Physical::relations_mut) {
                let own = relation.columns.iter_mut().filter(|own| own.name.as_ref() == Some(&column.name));
                own.for_each(|own| own.missing_value = None);
            }
            if let Some(extent) = &mut table.columns[column.index].numeric_extent {
                *extent = NumericExtent::default();
            }
        }
    }

    fn mark_rules(&self, index: usize, table: &mut Table) {
        for column in self.masks.get(index).iter().flat_map(|mask| &mask.columns) {
            for (rule, count) in column.rules.iter().zip(&column.counts) {
                table.masked.push(MaskedColumn {
                    column: column.name.clone(),
                    path: shown_path(&rule.path),
                    rule: rule.rule.to_string(),
                    values: count.load(Ordering::Relaxed),
                });
            }
        }
    }

    /// Which columns and paths of a table are masked, and how.
    pub fn rules(&self, index: usize) -> Vec<(String, String)> {
        let mut shown = Table::default();
        self.mark_rules(index, &mut shown);
        shown.masked.iter().map(|masked| (masked.shown(), masked.rule.clone())).collect()
    }

    /// The stored size of a masked value isn't asked for: it would tell of the plain one.
    pub fn spare_sizes(&self, described: &mut [Described]) {
        for (mask, described) in self.masks.iter().zip(described) {
            let masked = |name: &String| mask.columns.iter().any(|column| column.name == *name);
            described.storage.retain(|beside| !beside.entry.of.as_ref().is_some_and(masked));
        }
    }

    /// The manifest's entry on masks.
    pub fn masking(&self) -> Option<Masking> {
        self.salted.as_ref().map(|salted| Masking {
            salt: if salted.random { "random" } else { "given" }.to_owned(),
            salt_fingerprint: salted.secret.fingerprint(),
            hash_characters: self.limits.hash as u64,
        })
    }

    /// What the user should know of the masks: whole sentences.
    pub fn notes(&self, tables: &[Table]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.salted.as_ref().is_some_and(|salted| salted.random) {
            notes.push(
                "The masks' salt was made for this export alone: masked values match within this snapshot, and with no other one. \
                 To compare snapshots, set REHEARSAL_SALT, or use --salt-env or --salt-file."
                    .to_owned(),
            );
        }
        for (table, masked) in tables.iter().flat_map(|table| table.masked.iter().map(move |masked| (table, masked))) {
            if masked.values == 0 && masked.path.is_some() && table.rows > 0 {
                notes.push(format!(
                    "No document has anything at {}.{}: check the path's spelling, since it masked nothing.",
                    table.name,
                    masked.shown()
                ));
            }
        }
        notes
    }
}
