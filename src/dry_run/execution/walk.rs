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
use crate::roots::{self, Options, RootsReport};
use crate::translate::table_name;

/// A walk over a table's own columns.
pub(in crate::dry_run) struct Walk<'c> {
    table: &'c Table,
    form: Form,
    id: AttNum,
    target: AttNum,
    job: AttNum,
    parent: AttNum,
    /// `is_root_job`, where the table has such a column.
    flag: Option<AttNum>,
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
        let flag = column("is_root_job").filter(|c| c.ty == Type::Bool).map(|c| c.attnum);
        (key && fits && plain).then_some(Walk {
            table,
            id: id.attnum,
            target: target.attnum,
            job: job.attnum,
            parent: parent.attnum,
            flag,
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
        let Walk { id, target, job, parent, flag, .. } = *walk;
        self.store.ensure(oid, [id, target, job, parent].into_iter().chain(flag))?;
        let flagged = flag.map_or_else(String::new, |flag| format!(", c{flag} AS is_root_job"));
        self.store.engine.run(&format!(
            "CREATE OR REPLACE TEMP VIEW log AS SELECT c{id} AS id, c{job} AS job_id, c{parent} AS parent_job_id{flagged} FROM {}.main.{name}",
            self.store.engine.schema()
        ))?;
        let options = Options { variant: walk.form.variant, depth_limit: walk.form.depth_limit, samples: self.samples };
        let (roots, answers) = roots::resolve(self.store.engine.connection(), flag.is_some(), &options)?;
        let table = self.temporary();
        self.store
            .engine
            .run(&format!("CREATE OR REPLACE TEMP TABLE {table} (parent VARCHAR, least VARCHAR, torn BOOLEAN)"))?;
        let rows = answers.iter().map(|a| (a.parent.as_str(), a.least.as_deref(), a.least != a.greatest));
        self.store.engine.fill(&table, rows)?;
        let (stage, staged) = self.keep(&format!(
            "SELECT t._r, coalesce(a.least, t.c{job}) AS n{target} FROM {name} AS t JOIN {table} AS a ON a.parent = t.c{parent}"
        ))?;
        self.note_walk(&roots);
        self.report.walk = Some(roots);
        self.finish_update(oid, stage, staged, vec![target])
    }

    fn note_walk(&mut self, roots: &RootsReport) {
        let made = roots.replay.fan_out_rows;
        self.report.notes.push(format!(
            "The recursive query makes {} on the server; here its answers are taken from the graph of jobs.",
            if made == u64::MAX { "more rows than can be counted".to_owned() } else { format!("{} rows", count(made)) }
        ));
        // Only rows with a parent are the recursion's; the others have one candidate.
        let torn = roots.replay.plan_dependent_rows;
        self.report.plan_dependent_rows += torn;
        if torn > 0 {
            self.report.notes.push(format!(
                "Candidates of equal depth tie for {} rows: the server's plan decides which one is written.",
                count(torn)
            ));
        }
    }
}
