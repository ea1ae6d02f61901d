//! Sample rows: real rows of the log for each thing worth showing.
//!
//! Input: classes of rows, each named as an example of some [`Subject`]. Output: for each subject a few flat objects.
//! Invariants: the choice is the same whatever the order of rows and threads: the classes whose job and parent ids come first,
//! one row of each, then more rows of the same; sorted by job, parent and id. Only the rows shown are read from the log.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use duckdb::Connection;
use serde_json::{Map, Value, json};

use super::oracle::Outcome;
use super::report::Cause;
use super::{Solved, Verdict};
use crate::job_graph::{Job, JobGraph, RowClass, SetId};
use crate::query;

/// What a row is an example of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Differs(Cause),
    NearDepthLimit,
    DanglingParent,
    CircularReference,
    AmbiguousParent,
    PlanDependent,
    SplitFamily,
    FlaggedWithParent,
    UnflaggedRoot,
    StaleRoot,
}

impl Subject {
    /// Which rows of a class are meant: those marked `is_root_job`, those not marked, or all.
    fn flag(self) -> Option<bool> {
        match self {
            Subject::FlaggedWithParent => Some(true),
            Subject::UnflaggedRoot => Some(false),
            _ => None,
        }
    }
}

/// Sample rows by subject.
pub(super) type Examples = BTreeMap<Subject, Vec<Map<String, Value>>>;

/// The classes chosen as examples.
pub(super) struct Picks {
    samples: usize,
    by_subject: BTreeMap<Subject, Vec<usize>>,
}

impl Picks {
    pub(super) fn new(samples: usize) -> Picks {
        Picks { samples, by_subject: BTreeMap::new() }
    }

    /// Offers a class of `graph` as an example.
    pub(super) fn add(&mut self, subject: Subject, class: usize, graph: &JobGraph) {
        if self.samples == 0 {
            return;
        }
        let chosen = self.by_subject.entry(subject).or_default();
        let full = chosen.len() >= self.samples;
        if full && compare(graph, class, chosen[chosen.len() - 1]) != Ordering::Less {
            return;
        }
        let place = chosen.partition_point(|&other| compare(graph, other, class) == Ordering::Less);
        chosen.insert(place, class);
        chosen.truncate(self.samples);
    }

    /// Reads the rows.
    pub(super) fn fetch(&self, connection: &Connection, solved: &Solved<'_>) -> Result<Examples> {
        if self.by_subject.is_empty() {
            return Ok(Examples::new());
        }
        let name = |id: Option<Job>| id.map(|job| solved.graph.names.name(job));
        let wanted: Vec<(Subject, usize)> = self
            .by_subject
            .iter()
            .flat_map(|(subject, classes)| classes.iter().map(|&class| (*subject, class)))
            .collect();
        let list: Vec<Value> = wanted
            .iter()
            .enumerate()
            .map(|(index, (subject, class))| {
                let class = &solved.graph.classes()[*class];
                json!({
                    "class": index,
                    "job_id": name(class.job),
                    "parent_job_id": name(class.parent),
                    "root_job_id": name(class.stored_root),
                    "flag": subject.flag(),
                })
            })
            .collect();
        let rows: Vec<(i64, Option<String>)> = query::ROOTS_SAMPLES.fetch(
            connection,
            duckdb::params![Value::from(list).to_string(), self.samples as i64],
            |row| Ok((row.get("class")?, row.get("id")?)),
        )?;
        let describe = Describe::new(solved);
        let mut examples = Examples::new();
        for (subject, chosen) in self.choose(&wanted, &rows) {
            let samples = chosen.iter().map(|row| describe.sample(subject, row.class, row.id)).collect();
            examples.insert(subject, samples);
        }
        Ok(examples)
    }

    /// For each subject: the first row of each class, then second rows and so on, as many as asked for; by class and id.
    fn choose<'r>(
        &self,
        wanted: &[(Subject, usize)],
        rows: &'r [(i64, Option<String>)],
    ) -> BTreeMap<Subject, Vec<Chosen<'r>>> {
        let mut by_subject: BTreeMap<Subject, Vec<Chosen<'r>>> = BTreeMap::new();
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let index = usize::try_from(group[0].0).expect("an index that was sent");
            let (subject, class) = wanted[index];
            let chosen = group.iter().enumerate().map(|(nth, (_, id))| Chosen { nth, index, class, id: id.as_deref() });
            by_subject.entry(subject).or_default().extend(chosen);
        }
        for list in by_subject.values_mut() {
            list.sort_by_key(|row| (row.nth, row.index));
            list.truncate(self.samples);
            list.sort_by_key(|row| (row.index, row.nth));
        }
        by_subject
    }
}

/// A row chosen as an example: the `nth` of its class, the class being the `index`th of those asked for.
struct Chosen<'r> {
    nth: usize,
    index: usize,
    class: usize,
    id: Option<&'r str>,
}

/// Orders classes by the ids of their job, parent and stored root; NULL last.
fn compare(graph: &JobGraph, a: usize, b: usize) -> Ordering {
    let by = |a: Option<Job>, b: Option<Job>| match (a, b) {
        (Some(a), Some(b)) => graph.names.compare(a, b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let (a, b) = (&graph.classes()[a], &graph.classes()[b]);
    by(a.job, b.job).then_with(|| by(a.parent, b.parent)).then_with(|| by(a.stored_root, b.stored_root))
}

/// Says of a sample row what its subject asks for.
struct Describe<'s, 'g> {
    solved: &'s Solved<'g>,
    nearest_cycle: Vec<Option<usize>>,
}

impl<'s, 'g> Describe<'s, 'g> {
    fn new(solved: &'s Solved<'g>) -> Self {
        let cycles = solved.graph.components.circular().next().is_some();
        let nearest_cycle = if cycles { solved.graph.nearest_cycle() } else { vec![None; solved.graph.len()] };
        Describe { solved, nearest_cycle }
    }

    fn name(&self, job: Option<Job>) -> Value {
        job.map_or(Value::Null, |job| self.solved.graph.names.name(job).into())
    }

    /// One id as a string, several as a list, none as NULL.
    fn set(&self, set: SetId) -> Value {
        let mut names: Vec<Value> = self.solved.sets.names(set).into_iter().map(Value::from).collect();
        if self.solved.sets.has_more(set) {
            names.push("…".into());
        }
        match names.len() {
            0 => Value::Null,
            1 => names.remove(0),
            _ => names.into(),
        }
    }

    fn sample(&self, subject: Subject, class: usize, id: Option<&str>) -> Map<String, Value> {
        let class = &self.solved.graph.classes()[class];
        let verdict = self.solved.verdict(class);
        let mut sample = Map::new();
        let mut put = |key: &str, value: Value| sample.insert(key.to_owned(), value);
        if let Some(id) = id {
            put("id", id.into());
        }
        put("job_id", self.name(class.job));
        put("parent_job_id", self.name(class.parent));
        match subject {
            // Where there is no true root, what there is instead: the same as the finding about the data says, and the answer.
            Subject::Differs(Cause::Dangling) => {
                put("missing_job_id", self.set(verdict.truth.ends));
                put("topmost_job_id", self.topmost(class, &verdict));
                put("replay_root_job_id", self.set(verdict.answer));
            }
            Subject::Differs(Cause::Cycle) => {
                put("cycle", self.cycle(class));
                put("replay_root_job_id", self.set(verdict.answer));
            }
            Subject::Differs(Cause::Ambiguous) => {
                put("candidates", self.set(verdict.truth.ends));
                put("replay_root_job_id", self.set(verdict.answer));
            }
            Subject::Differs(Cause::DepthLimit | Cause::OneHopShort) | Subject::NearDepthLimit => {
                put("depth", verdict.truth.depth.map_or(Value::Null, Value::from));
                put("root_job_id", self.name(verdict.truth.root));
                put("replay_root_job_id", self.set(verdict.answer));
            }
            Subject::DanglingParent => {
                put("missing_job_id", self.set(verdict.truth.ends));
                put("topmost_job_id", self.topmost(class, &verdict));
            }
            Subject::CircularReference => {
                put("cycle", self.cycle(class));
            }
            Subject::AmbiguousParent => {
                put("candidates", self.set(verdict.truth.ends));
            }
            Subject::PlanDependent => {
                put("replay_root_job_id", self.set(verdict.answer));
            }
            Subject::SplitFamily => {
                put("replay_root_job_id", self.set(verdict.answer));
                put("replay_root_of_parent", self.other_root(class, &verdict));
            }
            Subject::FlaggedWithParent => {
                put("is_root_job", true.into());
            }
            Subject::UnflaggedRoot => {
                put("is_root_job", false.into());
            }
            Subject::StaleRoot => {
                put("stored_root_job_id", self.name(class.stored_root));
                put("root_job_id", self.name(verdict.truth.root));
            }
        }
        sample
    }

    /// The jobs highest up a dangling chain that do exist: those whose parent is a missing id.
    fn topmost(&self, class: &RowClass, verdict: &Verdict) -> Value {
        debug_assert_eq!(verdict.truth.outcome, Outcome::Dangling);
        let graph = self.solved.graph;
        let mut seen: BTreeSet<Job> = class.job.or(class.parent).into_iter().collect();
        let mut open: Vec<Job> = seen.iter().copied().filter(|&job| graph.exists(job)).collect();
        let mut topmost = Vec::new();
        while let Some(job) = open.pop() {
            if graph.parents(job).iter().any(|&parent| !graph.exists(parent)) {
                topmost.push(graph.names.name(job));
            }
            for &parent in graph.parents(job) {
                if graph.exists(parent) && seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        topmost.sort_unstable();
        match topmost.as_slice() {
            [] => Value::Null,
            [only] => (*only).into(),
            several => several.into(),
        }
    }

    /// The smallest id of the cycle that a row is on, or that its way meets first.
    fn cycle(&self, class: &RowClass) -> Value {
        let graph = self.solved.graph;
        let component = class.job.or(class.parent).and_then(|job| self.nearest_cycle[job as usize]);
        let members = component.map_or(&[][..], |component| graph.components.members(component));
        self.name(members.iter().copied().min_by(|&a, &b| graph.names.compare(a, b)))
    }

    /// A certain root of the parent job's rows that isn't this row's.
    fn other_root(&self, class: &RowClass, verdict: &Verdict) -> Value {
        let graph = self.solved.graph;
        let classes = class.parent.map_or(&[][..], |parent| graph.classes_of(parent));
        let roots = classes.iter().filter_map(|class| self.solved.sets.only(self.solved.replay.answer(class)));
        let own = self.solved.sets.only(verdict.answer);
        self.name(roots.filter(|&root| Some(root) != own).min_by(|&a, &b| graph.names.compare(a, b)))
    }
}
