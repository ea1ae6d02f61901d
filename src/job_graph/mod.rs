//! The graph of jobs: who started whom, over all rows of a log.
//!
//! Input: the view `log`. Output: [`JobGraph`]: the distinct job ids, the distinct (job, parent) pairs with their row counts,
//! and the strongly connected components. What becomes of a row depends only on its pair and on the graph, so every count of
//! `roots` and `cycles` is a sum over pairs. Invariants: a `job_id` isn't unique, a job is a distinct one; its parents are the
//! distinct parents over all its rows; NULL is no job. Left out: what the graph means.

mod candidates;
mod components;
mod names;

use anyhow::{Context, Result, anyhow};
use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;

pub use candidates::{CAPACITY, CandidateSets, SetId};
pub use components::Components;
pub use names::{Job, JobNames};

use crate::query;
use crate::ui;

/// Rows that agree in job, parent and stored root: the same thing happens to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowClass {
    /// Their job; none for NULL.
    pub job: Option<Job>,
    /// Their parent; none for NULL.
    pub parent: Option<Job>,
    /// The root stored in them; none for NULL, or where the log has no such column.
    pub stored_root: Option<Job>,
    /// How many they are.
    pub rows: u64,
    /// How many of them are marked `is_root_job`.
    pub flagged_rows: u64,
}

/// The jobs of a log.
#[derive(Debug, Default)]
pub struct JobGraph {
    /// The ids of jobs and of parents.
    pub names: JobNames,
    /// The classes of rows, those of a job side by side, rows without a job last.
    classes: Vec<RowClass>,
    /// Where each job's classes begin; one more entry for rows without a job.
    class_starts: Vec<usize>,
    /// Where each job's parents begin in `parents`, and the end.
    parent_starts: Vec<usize>,
    /// Distinct parents, job by job.
    parents: Vec<Job>,
    /// The strongly connected components.
    pub components: Components,
}

impl JobGraph {
    /// Reads the view `log` in one pass.
    ///
    /// # Errors
    /// When DuckDB can't read it, or there are more distinct ids than can be numbered.
    pub fn load(connection: &Connection) -> Result<JobGraph> {
        let mut builder = GraphBuilder::default();
        let mut read = || -> Result<()> {
            let mut statement = connection.prepare(query::ROOTS_EDGES.text)?;
            for batch in statement.stream_arrow([])? {
                ui::check_interrupt()?;
                builder.add_batch(&batch?)?;
            }
            Ok(())
        };
        read().with_context(|| format!("running the query {}", query::ROOTS_EDGES.path))?;
        Ok(builder.build())
    }

    /// Jobs and parent ids: everything a [`Job`] can be.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Does no row name a job?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All classes of rows.
    pub fn classes(&self) -> &[RowClass] {
        &self.classes
    }

    /// The classes of a job's rows; none for an id that stands only as a parent.
    pub fn classes_of(&self, job: Job) -> &[RowClass] {
        let job = job as usize;
        &self.classes[self.class_starts[job]..self.class_starts[job + 1]]
    }

    /// The distinct parents of a job.
    pub fn parents(&self, job: Job) -> &[Job] {
        parents_of(&self.parent_starts, &self.parents, job)
    }

    /// Does any row bear this job id?
    pub fn exists(&self, job: Job) -> bool {
        !self.classes_of(job).is_empty()
    }

    /// Does the job have a row without a parent?
    pub fn has_root_row(&self, job: Job) -> bool {
        self.classes_of(job).iter().any(|class| class.parent.is_none())
    }

    /// For each job, the circular component its way meets first, by hops; among equally near ones the one whose smallest id
    /// comes first. `None` for a job whose ways all end.
    pub fn nearest_cycle(&self) -> Vec<Option<usize>> {
        let first_member: Vec<Option<Job>> = (0..self.components.len())
            .map(|c| {
                let members = self.components.members(c).iter().copied();
                if self.components.is_circular(c) { members.min_by(|&a, &b| self.names.compare(a, b)) } else { None }
            })
            .collect();
        let smallest = |component: usize| first_member[component].expect("a circular component has members");
        let mut nearest: Vec<Option<(u32, usize)>> = vec![None; self.len()];
        for &job in self.components.ancestors_first() {
            nearest[job as usize] = if self.components.on_cycle(job) {
                Some((0, self.components.of(job)))
            } else {
                let ways = self.parents(job).iter().filter_map(|&parent| nearest[parent as usize]);
                ways.min_by(|a, b| a.0.cmp(&b.0).then_with(|| self.names.compare(smallest(a.1), smallest(b.1))))
                    .map(|(hops, component)| (hops + 1, component))
            };
        }
        nearest.into_iter().map(|way| way.map(|(_, component)| component)).collect()
    }
}

fn parents_of<'a>(starts: &[usize], parents: &'a [Job], job: Job) -> &'a [Job] {
    let job = job as usize;
    &parents[starts[job]..starts[job + 1]]
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// A [`JobGraph`] in the making.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    names: JobNames,
    classes: Vec<RowClass>,
}

impl GraphBuilder {
    /// Adds rows that agree in job, parent and stored root.
    ///
    /// # Errors
    /// When there are more distinct ids than can be numbered.
    pub fn add(
        &mut self,
        job: Option<&str>,
        parent: Option<&str>,
        stored_root: Option<&str>,
        rows: u64,
        flagged_rows: u64,
    ) -> Result<()> {
        let mut number = |name: Option<&str>| name.map(|name| self.names.intern(name)).transpose();
        let (job, parent, stored_root) = (number(job)?, number(parent)?, number(stored_root)?);
        self.classes.push(RowClass { job, parent, stored_root, rows, flagged_rows });
        Ok(())
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| anyhow!("the result has no column {name}"));
        let texts = |name: &str| -> Result<&StringArray> {
            column(name)?.as_string_opt::<i32>().ok_or_else(|| anyhow!("the result's column {name} isn't text"))
        };
        let counts = |name: &str| {
            column(name)?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| anyhow!("the result's column {name} isn't a count"))
        };
        let (jobs, parents, roots) = (texts("job_id")?, texts("parent_job_id")?, texts("root_job_id")?);
        let (rows, flagged) = (counts("rows")?, counts("flagged_rows")?);
        for row in 0..batch.num_rows() {
            self.add(
                text(jobs, row),
                text(parents, row),
                text(roots, row),
                rows.value(row).unsigned_abs(),
                flagged.value(row).unsigned_abs(),
            )?;
        }
        Ok(())
    }

    /// The graph of everything added.
    pub fn build(self) -> JobGraph {
        let GraphBuilder { names, mut classes } = self;
        let key = |id: Option<Job>| u64::from(id.unwrap_or(Job::MAX));
        classes.sort_unstable_by_key(|class| (key(class.job) << 32) | key(class.parent));
        let mut class_starts = Vec::with_capacity(names.len() + 1);
        let mut parent_starts = Vec::with_capacity(names.len() + 1);
        let mut parents: Vec<Job> = Vec::new();
        let mut next = 0;
        for job in 0..names.len() as Job {
            class_starts.push(next);
            let first = parents.len();
            parent_starts.push(first);
            while let Some(class) = classes.get(next).filter(|class| class.job == Some(job)) {
                if let Some(parent) = class.parent
                    && parents[first..].last() != Some(&parent)
                {
                    parents.push(parent);
                }
                next += 1;
            }
        }
        class_starts.push(next);
        parent_starts.push(parents.len());
        let components = Components::find(names.len(), |job| parents_of(&parent_starts, &parents, job));
        JobGraph { names, classes, class_starts, parent_starts, parents, components }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A graph of single rows (job, parent).
    pub(crate) fn graph(rows: &[(Option<&str>, Option<&str>)]) -> JobGraph {
        let mut builder = GraphBuilder::default();
        for (job, parent) in rows {
            builder.add(*job, *parent, None, 1, 0).expect("few ids");
        }
        builder.build()
    }

    #[test]
    fn a_job_has_the_distinct_parents_of_all_its_rows() {
        let graph = graph(&[
            (Some("c"), Some("p")),
            (Some("c"), None),
            (Some("c"), Some("p")),
            (Some("c"), Some("q")),
            (None, Some("c")),
        ]);
        let job = |name: &str| (0..graph.len() as Job).find(|&j| graph.names.name(j) == name).expect("known");
        let mut parents: Vec<&str> = graph.parents(job("c")).iter().map(|&p| graph.names.name(p)).collect();
        parents.sort_unstable();
        assert_eq!(parents, ["p", "q"]);
        assert!(graph.exists(job("c")) && graph.has_root_row(job("c")));
        assert!(!graph.exists(job("p")) && graph.parents(job("p")).is_empty());
        assert_eq!(graph.classes_of(job("c")).len(), 4);
        assert_eq!(graph.classes().len(), 5);
    }

    #[test]
    fn the_nearest_cycle_is_by_hops_then_by_id() {
        let rows: Vec<(&str, &str)> = vec![
            ("z", "z"),
            ("a", "b"),
            ("b", "a"),
            ("tail", "z"),
            ("tail", "x"),
            ("x", "a"),
            ("even", "z"),
            ("even", "a"),
        ];
        let rows: Vec<_> = rows.into_iter().map(|(j, p)| (Some(j), Some(p))).collect();
        let graph = graph(&rows);
        let job = |name: &str| (0..graph.len() as Job).find(|&j| graph.names.name(j) == name).expect("known");
        let nearest = graph.nearest_cycle();
        let of = |name: &str| nearest[job(name) as usize].map(|c| graph.components.members(c).contains(&job("z")));
        assert_eq!(of("tail"), Some(true));
        assert_eq!(of("even"), Some(false));
        assert_eq!(of("x"), Some(false));
    }
}
