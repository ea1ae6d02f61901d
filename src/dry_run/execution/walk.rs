//! A recursive walk up a chain of parents, answered from the graph of jobs instead of enumerating what the recursion makes.
//!
//! Input: an UPDATE in one of the forms on record ([`Form`]). Output: its stage. Invariant: the answers are those of the recursion,
//! ties included, as the tests of `roots` prove; what can't be answered this way (an id that isn't a key, other types) is left to
//! the recursion itself.

use pg_query::protobuf::UpdateStmt;

use super::Run;
use super::update::StagedUpdate;
use crate::catalog::{AttNum, Catalog, Table, Type};
use crate::dry_run::engine::Ran;
use crate::dry_run::recognition::walk::{self, Form};
use crate::render::count;
use crate::roots;
use crate::translate::table_name;

/// A walk over a table's own columns.
pub(in crate::dry_run) struct Walk<'c> {
    table: &'c Table,
    form: Form,
    target: AttNum,
    job: AttNum,
    parent: AttNum,
}

impl<'c> Walk<'c> {
    /// The walk that an UPDATE is, where its answers can be taken from the graph.
    pub(in crate::dry_run) fn of(update: &UpdateStmt, catalog: &'c Catalog) -> Option<Walk<'c>> {
        let relation = update.relation.as_ref()?;
        let schema = Some(relation.schemaname.as_str()).filter(|s| !s.is_empty());
        let table = catalog.table(schema, &relation.relname)?;
        let (target, form) = walk::form(update)?;
        let column = |name: &str| table.column(name);
        let (id, job, parent, target) =
            (column(&form.id)?, column(&form.job)?, column(&form.parent)?, column(&target)?);
        // The backfill joins its answers by id: only a key gives each row one.
        let key = catalog
            .unique_indexes(table.oid)
            .any(|index| index.predicate.is_none() && id.not_null && index.key_columns() == Some(vec![id.attnum]));
        let length = |ty: &Type| match ty {
            Type::Text | Type::Varchar(None) => Some(u32::MAX),
            Type::Varchar(Some(length)) => Some(*length),
            _ => None,
        };
        let fits = length(&target.ty)? >= length(&job.ty)?.max(length(&parent.ty)?);
        let plain = table.columns.iter().all(|c| c.generated.is_none());
        (key && fits && plain).then(|| Walk {
            table,
            target: target.attnum,
            job: job.attnum,
            parent: parent.attnum,
            form,
        })
    }
}

impl Run<'_, '_> {
    /// Carries out a walk.
    pub(in crate::dry_run) fn update_by_walk(&mut self, walk: &Walk<'_>) -> Ran<()> {
        let staged = self.stage_walk(walk)?;
        self.apply_update(staged, true)
    }

    fn stage_walk(&mut self, walk: &Walk<'_>) -> Ran<StagedUpdate> {
        let (oid, name) = (walk.table.oid, table_name(walk.table.oid));
        let Walk { target, job, parent, .. } = *walk;
        self.store.ensure(oid, [target, job, parent])?;
        self.store.engine.run(&format!(
            "CREATE OR REPLACE TEMP VIEW log AS SELECT c{job} AS job_id, c{parent} AS parent_job_id FROM {}.main.{name}",
            self.store.engine.schema()
        ))?;
        let (answers, rows) = roots::answers(self.store.engine.connection(), walk.form.variant, walk.form.depth_limit)?;
        let table = self.temporary();
        self.store
            .engine
            .run(&format!("CREATE OR REPLACE TEMP TABLE {table} (parent VARCHAR, least VARCHAR, torn BOOLEAN)"))?;
        self.store
            .engine
            .fill(&table, answers.iter().map(|a| (a.parent.as_str(), a.least.as_deref(), a.least != a.greatest)))?;
        let (stage, staged) = self.keep(&format!(
            "SELECT t._r, coalesce(a.least, t.c{job}) AS n{target} FROM {name} AS t JOIN {table} AS a ON a.parent = t.c{parent}"
        ))?;
        let torn = self.store.engine.count(&format!(
            "SELECT count(*) FROM {name} AS t JOIN {table} AS a ON a.parent = t.c{parent} WHERE a.torn"
        ))?;
        self.report.plan_dependent_rows += torn;
        self.report.notes.push(format!(
            "The recursive query makes {} on the server; here its answers are taken from the graph of jobs.",
            if rows == u64::MAX { "more rows than can be counted".to_owned() } else { format!("{} rows", count(rows)) }
        ));
        if torn > 0 {
            self.report.notes.push(format!(
                "Candidates of equal depth tie for {} rows: the server's plan decides which one is written.",
                count(torn)
            ));
        }
        self.finish_update(oid, stage, staged, vec![target])
    }
}
