//! What BEFORE triggers leave: the rows that a write goes on with.
//!
//! Input: what the triggers gave back for each row. Output: the work table with it, and a new stage of the write made of that. Invariant:
//! generated columns are computed when all triggers have run.

use super::rows::Work;
use crate::catalog::{AttNum, Problem};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution::Staged;
use crate::dry_run::report::StatementReport;
use crate::dry_run::session::Session;
use crate::plpgsql::run::Row;
use crate::translate::{Tie, column_name, physical_type, table_name};

/// Rows written down at once.
const CHUNK: usize = 500;

impl Session<'_> {
    /// Puts what a trigger gave back into the work table; rows it gave none for are gone.
    pub(super) fn put_back(
        &mut self,
        work: &mut Work,
        numbers: &[i64],
        given: &[Option<Row>],
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        let mut types = vec![("_r".to_owned(), "BIGINT".to_owned()), ("stays".to_owned(), "BOOLEAN".to_owned())];
        if work.has_new {
            for (attnum, _, ty) in &work.columns {
                types.push((format!("n{attnum}"), physical_type(ty)?));
            }
        }
        let columns: Vec<String> = types.iter().map(|(name, ty)| format!("CAST({name} AS {ty}) AS {name}")).collect();
        let names: Vec<&str> = types.iter().map(|(name, _)| name.as_str()).collect();
        let mut parts = Vec::new();
        for (numbers, given) in numbers.chunks(CHUNK).zip(given.chunks(CHUNK)) {
            let mut rows = Vec::new();
            for (number, row) in numbers.iter().zip(given) {
                let mut values = vec![number.to_string(), row.is_some().to_string()];
                for at in 0..names.len() - 2 {
                    let value = row.as_ref().and_then(|row| row.get(at));
                    values.push(value.map_or_else(|| "NULL".to_owned(), |(_, value)| value.sql().to_owned()));
                }
                rows.push(format!("({})", values.join(", ")));
            }
            parts.push(format!(
                "SELECT {} FROM (VALUES {}) AS v({})",
                columns.join(", "),
                rows.join(", "),
                names.join(", ")
            ));
        }
        let (returned, _) = self.keep_table(&parts.join(" UNION ALL "), kept, report)?;
        let mut list = vec!["w._r".to_owned()];
        for (attnum, _, _) in &work.columns {
            if work.has_new {
                list.push(format!("CASE WHEN v._r IS NULL THEN w.n{attnum} ELSE v.n{attnum} END AS n{attnum}"));
            }
            if work.has_old {
                list.push(format!("w.o{attnum}"));
            }
        }
        let sql = format!(
            "SELECT {} FROM {} AS w LEFT JOIN {returned} AS v ON v._r = w._r WHERE coalesce(v.stays, true)",
            list.join(", "),
            work.name
        );
        work.name = self.keep_table(&sql, kept, report)?.0;
        Ok(())
    }

    /// The write with the rows that BEFORE triggers have left.
    pub(super) fn restage(
        &mut self,
        staged: Staged,
        work: &Work,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<Staged> {
        // An UPDATE writes what its triggers have changed as well.
        let mut columns = staged.columns();
        if work.has_new && work.has_old {
            for (attnum, _, _) in &work.columns {
                if !columns.contains(attnum) {
                    let (name, n, o) = (&work.name, format!("n{attnum}"), format!("o{attnum}"));
                    let sql = format!("SELECT count(*) FROM {name} WHERE {n} IS DISTINCT FROM {o}");
                    if self.store.engine.count(&sql)? > 0 {
                        columns.push(*attnum);
                    }
                }
            }
        }
        let generated = self.generated_columns(work.table);
        if work.has_old {
            columns.extend(generated.iter().filter(|c| !columns.contains(c)).copied().collect::<Vec<_>>());
        }
        let written: Vec<AttNum> = match (work.has_new, work.has_old) {
            (false, _) => Vec::new(),
            (true, true) => columns.clone(),
            (true, false) => work.columns.iter().map(|(c, _, _)| *c).collect(),
        };
        let sql = match written.iter().any(|c| generated.contains(c)) {
            true => self.generated_again(work, &written)?,
            false => {
                let list: String = written.iter().map(|c| format!(", n{c}")).collect();
                format!("SELECT _r{list} FROM {}", work.name)
            }
        };
        let (stage, rows) = self.keep_table(&sql, kept, report)?;
        let taken = std::mem::take(kept);
        let (staged, all) = self.on_rows(report, |run| {
            run.temporary = taken;
            let staged = run.restaged(staged, stage, rows, columns)?;
            Ok((staged, std::mem::take(&mut run.temporary)))
        })?;
        *kept = all;
        Ok(staged)
    }

    /// The work table's rows with generated columns computed from the others.
    fn generated_again(&mut self, work: &Work, written: &[AttNum]) -> Ran<String> {
        let table = self.catalog.tables.get(&work.table).cloned();
        let table = table.ok_or_else(|| Problem::unsupported("a table that has been dropped"))?;
        let mut list = String::new();
        for attnum in written {
            let generated =
                table.columns.iter().find(|c| c.attnum == *attnum).and_then(|c| Some((c, c.generated.as_ref()?)));
            let value = match generated {
                Some((column, generated)) => {
                    let translator = self.translator(Tie::Least);
                    translator.table_expression(work.table, &generated.node, Some(&column.ty))?.0
                }
                None => column_name(*attnum),
            };
            list.push_str(&format!(", {value} AS n{attnum}"));
        }
        let shape: String = work.columns.iter().map(|(c, _, _)| format!(", n{c} AS {}", column_name(*c))).collect();
        let name = table_name(work.table);
        Ok(format!("SELECT _r{list} FROM (SELECT _r{shape} FROM {}) AS {name}", work.name))
    }
}
