//! Cycles: which jobs are their own ancestors, which rows does that concern, and which edge would be cut?
//!
//! Input: the view `log`. Output: [`CyclesReport`]: every circular component of the jobs exactly once.
//! Invariants: no depth limit and no time-out, linear in rows; `rows_on_cycles` + `rows_leading_in` are exactly the rows that
//! `roots` calls cyclic; a row that could lead into several components counts for the one its way meets first. Repairs are
//! printed, never run. Left out: what the backfill makes of these rows (`roots`).

mod repair;
mod view;
mod witness;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use crate::job_graph::{Job, JobGraph};
use crate::query::{self, quote_identifier, quote_literal};
use crate::report::{Finding, Report, View};
use crate::snapshot::{LogColumns, OpenTable, Snapshot};
use repair::Edge;
use witness::Circle;

/// How to report.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Sample components for the finding.
    pub samples: usize,
}

/// All circular references of a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CyclesReport {
    /// Rows analysed.
    pub rows: u64,
    /// Distinct job ids that rows bear.
    pub jobs: u64,
    /// The circular components, by their smallest job id.
    pub components: Vec<CircularComponent>,
    /// Rows of jobs on cycles that have a parent.
    pub rows_on_cycles: u64,
    /// Rows of other jobs whose way up meets a cycle.
    pub rows_leading_in: u64,
    /// What the user should know.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Jobs that are each other's ancestors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CircularComponent {
    /// What it looks like.
    pub kind: Kind,
    /// Its jobs: of a simple cycle in the order of the cycle, from the smallest id to its parent and on; else by id.
    pub jobs: Vec<String>,
    /// A shortest cycle in it, likewise in order; of a simple cycle all its jobs.
    pub witness: Vec<String>,
    /// No shorter cycle exists. False only for components too large to search through.
    pub witness_is_shortest: bool,
    /// Rows of its jobs that have a parent.
    pub rows: u64,
    /// Rows of other jobs whose way up meets this component first.
    pub rows_leading_in: u64,
    /// The edges to cut, in order: the youngest first.
    pub repair: Vec<Cut>,
}

/// The shape of a circular component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A job that is its own parent.
    SelfReference,
    /// Two jobs that are each other's parents.
    TwoCycle,
    /// One cycle of three jobs or more.
    LongCycle,
    /// Several cycles that share jobs.
    SeveralCycles,
}

impl Kind {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::SelfReference => "self-reference",
            Kind::TwoCycle => "two-cycle",
            Kind::LongCycle => "long-cycle",
            Kind::SeveralCycles => "several-cycles",
        }
    }
}

/// An edge to cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The job whose rows lose their parent.
    pub job_id: String,
    /// The parent they lose.
    pub parent_job_id: String,
    /// How many rows that is.
    pub rows: u64,
    /// The youngest of them; absent where the log has no `id`.
    pub youngest_id: Option<String>,
    /// When that row was written; absent where the log has no `created_at`.
    pub youngest_created_at: Option<String>,
    /// The statement, for the user to judge and run.
    pub sql: String,
}

/// Finds every circular reference of the view `log`.
///
/// # Errors
/// When the log can't be read, or the user interrupts.
pub fn analyze(
    snapshot: &Snapshot,
    table: &OpenTable,
    columns: &LogColumns,
    options: &Options,
) -> Result<CyclesReport> {
    let graph = JobGraph::load(snapshot.connection())?;
    let mut found = components(&graph);
    let update = Update::of(snapshot, table, columns);
    add_repairs(snapshot, &graph, &mut found, &update)?;
    let components: Vec<CircularComponent> = found.into_iter().map(|(_, component)| component).collect();
    let mut report = CyclesReport {
        rows: graph.classes().iter().map(|class| class.rows).sum(),
        jobs: (0..graph.len() as Job).filter(|&job| graph.exists(job)).count() as u64,
        rows_on_cycles: components.iter().map(|c| c.rows).sum(),
        rows_leading_in: components.iter().map(|c| c.rows_leading_in).sum(),
        components,
        findings: Vec::new(),
    };
    report.findings = view::findings(&report, options.samples);
    Ok(report)
}

/// A component's members, by id, beside what is reported of it.
type Found = (Vec<Job>, CircularComponent);

/// The circular components without repairs, by their smallest id.
fn components(graph: &JobGraph) -> Vec<Found> {
    let mut rows: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    let circular: Vec<usize> = graph.components.circular().collect();
    if circular.is_empty() {
        return Vec::new();
    }
    let nearest = graph.nearest_cycle();
    for class in graph.classes().iter().filter(|class| class.parent.is_some()) {
        let Some(component) = class.job.or(class.parent).and_then(|job| nearest[job as usize]) else { continue };
        let (on_it, leading_in) = rows.entry(component).or_default();
        if class.job.is_some_and(|job| graph.components.on_cycle(job)) {
            *on_it += class.rows;
        } else {
            *leading_in += class.rows;
        }
    }
    let mut found: Vec<Found> = circular
        .into_iter()
        .map(|component| {
            let (on_it, leading_in) = rows.get(&component).copied().unwrap_or_default();
            describe(graph, component, on_it, leading_in)
        })
        .collect();
    found.sort_by(|a, b| graph.names.compare(a.0[0], b.0[0]));
    found
}

fn describe(graph: &JobGraph, component: usize, rows: u64, rows_leading_in: u64) -> Found {
    let mut members = graph.components.members(component).to_vec();
    members.sort_unstable_by(|&a, &b| graph.names.compare(a, b));
    let place: BTreeMap<Job, usize> = members.iter().enumerate().map(|(index, &job)| (job, index)).collect();
    let inside = |&job: &Job| {
        let mut parents: Vec<usize> = graph.parents(job).iter().filter_map(|p| place.get(p).copied()).collect();
        parents.sort_unstable();
        parents
    };
    let circle = Circle { parents: members.iter().map(inside).collect() };
    let (cycle, witness_is_shortest) = circle.shortest();
    let name = |&index: &usize| graph.names.name(members[index]).to_owned();
    let witness: Vec<String> = cycle.iter().map(name).collect();
    let kind = match (circle.is_simple(), members.len()) {
        (true, 1) => Kind::SelfReference,
        (true, 2) => Kind::TwoCycle,
        (true, _) => Kind::LongCycle,
        (false, _) => Kind::SeveralCycles,
    };
    let jobs = if circle.is_simple() { witness.clone() } else { (0..members.len()).map(|i| name(&i)).collect() };
    let described =
        CircularComponent { kind, jobs, witness, witness_is_shortest, rows, rows_leading_in, repair: Vec::new() };
    (members, described)
}

/// What an UPDATE of the user's table is called.
struct Update {
    table: String,
    job: String,
    parent: String,
}

impl Update {
    fn of(snapshot: &Snapshot, table: &OpenTable, columns: &LogColumns) -> Update {
        let described = snapshot.manifest.as_ref().and_then(|m| m.tables.iter().find(|t| t.name == table.name));
        let column = |canonical: &str| quote_identifier(columns.actual(canonical).unwrap_or(canonical));
        let name = quote_identifier(&table.name);
        Update {
            // `public` is where an unqualified name is looked for anyway.
            table: match described.map(|t| t.schema.as_str()) {
                Some(schema) if schema != "public" => format!("{}.{name}", quote_identifier(schema)),
                _ => name,
            },
            job: column("job_id"),
            parent: column("parent_job_id"),
        }
    }

    fn sql(&self, job: &str, parent: &str) -> String {
        format!(
            "UPDATE {} SET {} = NULL WHERE {} = {} AND {} = {};",
            self.table,
            self.parent,
            self.job,
            quote_literal(job),
            self.parent,
            quote_literal(parent)
        )
    }
}

/// What the log says of an edge's rows.
struct EdgeRows {
    rows: u64,
    age: u64,
    youngest_id: Option<String>,
    youngest_created_at: Option<String>,
}

fn add_repairs(snapshot: &Snapshot, graph: &JobGraph, found: &mut [Found], update: &Update) -> Result<()> {
    // All edges inside components, component by component, by ids.
    let mut edges: Vec<(usize, Edge)> = Vec::new();
    for (component, (members, _)) in found.iter().enumerate() {
        let place: BTreeMap<Job, Job> = members.iter().enumerate().map(|(index, &job)| (job, index as Job)).collect();
        for (&job, &index) in &place {
            let inside = graph.parents(job).iter().filter_map(|parent| place.get(parent));
            edges.extend(inside.map(|&parent| (component, Edge { job: index, parent, age: 0 })));
        }
    }
    edges.sort_unstable_by_key(|(component, edge)| (*component, edge.job, edge.parent));
    let ages = edge_rows(snapshot, graph, found, &edges)?;
    edges.iter_mut().zip(&ages).for_each(|((_, edge), rows)| edge.age = rows.age);
    let mut first = 0;
    for group in edges.chunk_by(|a, b| a.0 == b.0) {
        let (members, described) = &mut found[group[0].0];
        let inside: Vec<Edge> = group.iter().map(|(_, edge)| *edge).collect();
        let name = |place: Job| graph.names.name(members[place as usize]);
        described.repair = repair::cuts(members.len(), &inside)
            .into_iter()
            .map(|cut| {
                let (job, parent) = (name(inside[cut].job), name(inside[cut].parent));
                let rows = &ages[first + cut];
                Cut {
                    job_id: job.to_owned(),
                    parent_job_id: parent.to_owned(),
                    rows: rows.rows,
                    youngest_id: rows.youngest_id.clone(),
                    youngest_created_at: rows.youngest_created_at.clone(),
                    sql: update.sql(job, parent),
                }
            })
            .collect();
        first += group.len();
    }
    Ok(())
}

/// Rows and age of each edge.
fn edge_rows(snapshot: &Snapshot, graph: &JobGraph, found: &[Found], edges: &[(usize, Edge)]) -> Result<Vec<EdgeRows>> {
    if edges.is_empty() {
        return Ok(Vec::new());
    }
    let name = |component: usize, place: Job| graph.names.name(found[component].0[place as usize]);
    let wanted: Vec<Value> = edges
        .iter()
        .enumerate()
        .map(|(index, (component, edge))| {
            json!({"edge": index, "job_id": name(*component, edge.job), "parent_job_id": name(*component, edge.parent)})
        })
        .collect();
    let count = |value: i64| value.unsigned_abs();
    let rows = query::CYCLES_EDGE_AGES.fetch(snapshot.connection(), [Value::from(wanted).to_string()], |row| {
        Ok(EdgeRows {
            rows: count(row.get("rows")?),
            age: count(row.get("age")?),
            youngest_id: row.get("youngest_id")?,
            youngest_created_at: row.get("youngest_created_at")?,
        })
    })?;
    anyhow::ensure!(rows.len() == edges.len(), "{} of {} edges were found again in the log", rows.len(), edges.len());
    Ok(rows)
}

impl Report for CyclesReport {
    fn name(&self) -> &'static str {
        "cycles"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        view::view(self)
    }
}
