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

/// A row as the graph sees it: its ids, [`NONE`] for NULL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NumberedRow {
    job: Job,
    parent: Job,
    stored_root: Job,
    flagged: bool,
}

/// No id. Never the number of one: see [`JobNames::intern`].
const NONE: Job = Job::MAX;

fn known(id: Job) -> Option<Job> {
    (id != NONE).then_some(id)
}

/// A [`JobGraph`] in the making.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    names: JobNames,
    rows: Vec<NumberedRow>,
}

impl GraphBuilder {
    /// Adds a row; `flagged` where it is marked `is_root_job`.
    ///
    /// # Errors
    /// When there are more distinct ids than can be numbered.
    pub fn add(
        &mut self,
        job: Option<&str>,
        parent: Option<&str>,
        stored_root: Option<&str>,
        flagged: bool,
    ) -> Result<()> {
        let mut number = |name: Option<&str>| name.map_or(Ok(NONE), |name| self.names.intern(name));
        let (job, parent, stored_root) = (number(job)?, number(parent)?, number(stored_root)?);
        self.rows.push(NumberedRow { job, parent, stored_root, flagged });
        Ok(())
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| anyhow!("the result has no column {name}"));
        let texts = |name: &str| -> Result<&StringArray> {
            column(name)?.as_string_opt::<i32>().ok_or_else(|| anyhow!("the result's column {name} isn't text"))
        };
        let (jobs, parents, roots) = (texts("job_id")?, texts("parent_job_id")?, texts("root_job_id")?);
        let flagged = column("flagged")?;
        let flagged =
            flagged.as_boolean_opt().ok_or_else(|| anyhow!("the result's column flagged isn't a truth value"))?;
        for row in 0..batch.num_rows() {
            self.add(text(jobs, row), text(parents, row), text(roots, row), flagged.value(row))?;
        }
        Ok(())
    }

    /// The graph of everything added.
    pub fn build(self) -> JobGraph {
        let GraphBuilder { names, rows } = self;
        let (rows, row_starts) = by_job(rows, names.len());
        let mut classes: Vec<RowClass> = Vec::new();
        let mut class_starts = Vec::with_capacity(names.len() + 1);
        let mut parent_starts = Vec::with_capacity(names.len() + 1);
        let mut parents: Vec<Job> = Vec::new();
        for bounds in row_starts.windows(2) {
            class_starts.push(classes.len());
            parent_starts.push(parents.len());
            for same in
                rows[bounds[0]..bounds[1]].chunk_by(|a, b| (a.parent, a.stored_root) == (b.parent, b.stored_root))
            {
                let NumberedRow { job, parent, stored_root, .. } = same[0];
                let first_class = class_starts[class_starts.len() - 1];
                if job != NONE
                    && parent != NONE
                    && classes[first_class..].last().map(|c| c.parent) != Some(Some(parent))
                {
                    parents.push(parent);
                }
                classes.push(RowClass {
                    job: known(job),
                    parent: known(parent),
                    stored_root: known(stored_root),
                    rows: same.len() as u64,
                    flagged_rows: same.iter().filter(|row| row.flagged).count() as u64,
                });
            }
        }
        // Rows without a job are behind all jobs, and have no parents of their own.
        let components = Components::find(names.len(), |job| parents_of(&parent_starts, &parents, job));
        JobGraph { names, classes, class_starts, parent_starts, parents, components }
    }
}

/// Sorts rows by job, those without one last, and within a job by parent and stored root; also says where each job's rows begin,
/// with an entry for the rows without a job and one for the end.
fn by_job(rows: Vec<NumberedRow>, jobs: usize) -> (Vec<NumberedRow>, Vec<usize>) {
    // Jobs are numbered densely: counting them sorts in linear time.
    let bucket = |row: &NumberedRow| (row.job as usize).min(jobs);
    let mut starts = vec![0; jobs + 2];
    rows.iter().for_each(|row| starts[bucket(row) + 1] += 1);
    for next in 1..starts.len() {
        starts[next] += starts[next - 1];
    }
    let mut places = starts.clone();
    let mut sorted = vec![NumberedRow::default(); rows.len()];
    for row in rows {
        let place = &mut places[bucket(&row)];
        sorted[*place] = row;
        *place += 1;
    }
    for bounds in starts.windows(2) {
        sorted[bounds[0]..bounds[1]].sort_unstable_by_key(|row| (row.parent, row.stored_root));
    }
    (sorted, starts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A graph of single rows (job, parent).
    pub(crate) fn graph(rows: &[(Option<&str>, Option<&str>)]) -> JobGraph {
        let mut builder = GraphBuilder::default();
        for (job, parent) in rows {
            builder.add(*job, *parent, None, false).expect("few ids");
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
