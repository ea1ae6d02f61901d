//! Tests of replay, fan-out and oracle against slow readings of the same rules.
//!
//! Three references, each written without the graph: the recursion of the SQL carried out row by row, its recurrence on job ids
//! for limits at which that would explode, and a walk along every path for the truth.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::climb::{Climb, Variant};
use super::oracle::Outcome;
use super::{Cause, Options, Solved, fan_out};
use crate::job_graph::{GraphBuilder, JobGraph, RowClass};

/// (job, parent)
type Row = (Option<&'static str>, Option<&'static str>);
type Answers = BTreeSet<Option<&'static str>>;

/// More rows than this, and a case isn't simulated.
const ENOUGH: usize = 60_000;

/// A row of the recursive query.
#[derive(Clone, Copy)]
struct ChainRow {
    row: usize,
    candidate: Option<&'static str>,
    next: Option<&'static str>,
    depth: u32,
}

/// Carries out the recursive query: all its rows, or `None` where they explode.
fn simulate(rows: &[Row], variant: Variant, limit: u32) -> Option<Vec<ChainRow>> {
    let base = rows.iter().enumerate().filter_map(|(row, &(job, parent))| {
        parent?;
        Some(match variant {
            Variant::Applied | Variant::Example3 => ChainRow { row, candidate: parent, next: parent, depth: 1 },
            Variant::Pattern2 => ChainRow { row, candidate: job, next: parent, depth: 0 },
        })
    });
    let mut chain: Vec<ChainRow> = base.collect();
    let mut done = 0;
    while done < chain.len() {
        if chain.len() > ENOUGH {
            return None;
        }
        let ChainRow { row, next, depth, .. } = chain[done];
        done += 1;
        for &(job, parent) in rows {
            let joins = job.is_some() && job == next && depth < limit;
            if !joins || (variant != Variant::Applied && parent.is_none()) {
                continue;
            }
            let candidate = if variant == Variant::Example3 { parent } else { job };
            chain.push(ChainRow { row, candidate, next: parent, depth: depth + 1 });
        }
    }
    Some(chain)
}

/// The candidates of greatest depth of one row, or what the first UPDATE gives it.
fn simulated_answers(rows: &[Row], chain: &[ChainRow], row: usize) -> Answers {
    if rows[row].1.is_none() {
        return [rows[row].0].into();
    }
    let of_row = || chain.iter().filter(|c| c.row == row);
    let deepest = of_row().map(|c| c.depth).max();
    of_row().filter(|c| Some(c.depth) == deepest).map(|c| c.candidate).collect()
}

/// What a chain row that carries `next` comes to with so many steps left: how many it takes, and the candidates there.
fn recur(rows: &[Row], variant: Variant, steps: u32) -> BTreeMap<&'static str, Option<(u32, Answers)>> {
    let ids: BTreeSet<&'static str> = rows.iter().flat_map(|r| [r.0, r.1]).flatten().collect();
    let mut known: BTreeMap<&'static str, Option<(u32, Answers)>> = ids.iter().map(|id| (*id, None)).collect();
    for _ in 0..steps {
        let next = ids.iter().map(|&id| {
            let mut best: Option<(u32, Answers)> = None;
            for &(_, parent) in rows.iter().filter(|r| r.0 == Some(id)) {
                if variant != Variant::Applied && parent.is_none() {
                    continue;
                }
                let here = if variant == Variant::Example3 { parent } else { Some(id) };
                let (depth, answers) = match parent.and_then(|p| known[p].clone()) {
                    Some((depth, answers)) => (depth + 1, answers),
                    None => (1, [here].into()),
                };
                match &mut best {
                    Some((most, found)) if *most == depth => found.extend(answers),
                    Some((most, _)) if *most > depth => {}
                    _ => best = Some((depth, answers)),
                }
            }
            (id, best)
        });
        known = next.collect();
    }
    known
}

fn recurred_answers(rows: &[Row], variant: Variant, limit: u32) -> Vec<Answers> {
    let steps = if variant == Variant::Pattern2 { limit } else { limit - 1 };
    let known = recur(rows, variant, steps);
    let answer = |&(job, parent): &Row| match parent {
        None => [job].into(),
        Some(parent) => match &known[parent] {
            Some((_, answers)) => answers.clone(),
            None => [if variant == Variant::Pattern2 { job } else { Some(parent) }].into(),
        },
    };
    rows.iter().map(answer).collect()
}

/// The rows of the recursive query by their recurrence.
fn recurred_rows(rows: &[Row], variant: Variant, limit: u32) -> u64 {
    let steps = if variant == Variant::Pattern2 { limit } else { limit - 1 };
    let mut below: BTreeMap<&str, u128> = BTreeMap::new();
    let under = |below: &BTreeMap<&str, u128>, id: Option<&str>| id.map_or(0, |id| below.get(id).copied().unwrap_or(0));
    for _ in 0..steps {
        let mut next = BTreeMap::new();
        for &(job, parent) in rows {
            if let Some(job) = job
                && (variant == Variant::Applied || parent.is_some())
            {
                let sum: &mut u128 = next.entry(job).or_default();
                *sum = sum.saturating_add(under(&below, parent)).saturating_add(1);
            }
        }
        below = next;
    }
    let starting = rows.iter().filter(|r| r.1.is_some());
    let total = starting.fold(0_u128, |sum, r| sum.saturating_add(under(&below, r.1)).saturating_add(1));
    u64::try_from(total).unwrap_or(u64::MAX)
}

/// Follows every path upwards: the ends it meets and the longest way, or `None` where one comes back to itself.
fn walk(rows: &[Row], id: &'static str, path: &mut Vec<&'static str>) -> Option<(BTreeSet<&'static str>, u32)> {
    if path.contains(&id) {
        return None;
    }
    let own: Vec<&Row> = rows.iter().filter(|r| r.0 == Some(id)).collect();
    let mut ends = BTreeSet::new();
    if own.is_empty() || own.iter().any(|r| r.1.is_none()) {
        ends.insert(id);
    }
    let mut longest = 0;
    path.push(id);
    for parent in own.iter().filter_map(|r| r.1) {
        let (above, hops) = walk(rows, parent, path)?;
        ends.extend(above);
        longest = longest.max(hops + 1);
    }
    path.pop();
    Some((ends, longest))
}

/// Outcome, root and depth of a row.
fn truth(rows: &[Row], row: Row) -> (Outcome, Option<&'static str>, Option<u32>) {
    let start: Vec<&'static str> = match row {
        (None, None) => return (Outcome::Orphan, None, None),
        (Some(job), None) => return (Outcome::Root, Some(job), Some(0)),
        (Some(job), Some(_)) => rows.iter().filter(|r| r.0 == Some(job)).filter_map(|r| r.1).collect(),
        (None, Some(parent)) => vec![parent],
    };
    let mut ends = BTreeSet::new();
    let mut depth = 0;
    for parent in start {
        let mut path: Vec<&'static str> = row.0.into_iter().collect();
        let Some((above, hops)) = walk(rows, parent, &mut path) else { return (Outcome::Cyclic, None, None) };
        ends.extend(above);
        depth = depth.max(hops + 1);
    }
    let exists = |id: &&&'static str| rows.iter().any(|r| r.0 == Some(**id));
    match (ends.len(), ends.iter().filter(exists).count()) {
        (_, 0) => (Outcome::Dangling, None, None),
        (1, _) => (Outcome::Child, ends.first().copied(), Some(depth)),
        _ => (Outcome::Ambiguous, None, None),
    }
}

fn graph(rows: &[Row]) -> JobGraph {
    let mut counted: BTreeMap<Row, u64> = BTreeMap::new();
    rows.iter().for_each(|row| *counted.entry(*row).or_default() += 1);
    let mut builder = GraphBuilder::default();
    for ((job, parent), n) in counted {
        (0..n).for_each(|_| builder.add(job, parent, None, false).expect("few ids"));
    }
    builder.build()
}

fn class_of(graph: &JobGraph, row: Row) -> RowClass {
    let name = |job: Option<u32>| job.map(|job| graph.names.name(job));
    let found = graph.classes().iter().find(|c| name(c.job) == row.0 && name(c.parent) == row.1);
    *found.expect("every row has a class")
}

fn reported_answers(solved: &Solved<'_>, row: Row) -> Answers {
    let set = solved.verdict(&class_of(solved.graph, row)).answer;
    let members = solved.sets.members(&set);
    if members.is_empty() {
        return [None].into();
    }
    members.iter().map(|&job| row_id(solved.graph.names.name(job))).collect()
}

/// The static spelling of an id of [`IDS`].
fn row_id(name: &str) -> Option<&'static str> {
    IDS.iter().find(|id| **id == name).copied()
}

const IDS: [&str; 10] = ["", "A", "a", "a ", "b", "c", "d", "e", "é", "z"];

fn id(ids: usize) -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![1 => Just(None), 8 => (0..ids).prop_map(|i| Some(IDS[i]))]
}

/// Archives with cycles, missing parents, several parents, NULLs and several rows a job.
fn archive(rows: usize) -> impl Strategy<Value = Vec<Row>> {
    (2..=IDS.len()).prop_flat_map(move |ids| proptest::collection::vec((id(ids), id(ids)), 1..rows))
}

/// Archives of one row a job: the recursion doesn't multiply, so that long ones can be simulated.
fn single_rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(id(IDS.len()), IDS.len())
        .prop_map(|parents| IDS.iter().zip(parents).map(|(job, parent)| (Some(*job), parent)).collect())
}

fn variant() -> impl Strategy<Value = Variant> {
    proptest::sample::select(Variant::ALL.to_vec())
}

fn solve(graph: &JobGraph, variant: Variant, depth_limit: u32) -> Solved<'_> {
    Solved::solve(graph, &Options { variant, depth_limit, samples: 0 }).expect("nobody interrupts")
}

fn check_simulation(rows: &[Row], variant: Variant, limit: u32) -> Result<(), TestCaseError> {
    let Some(chain) = simulate(rows, variant, limit) else { return Err(TestCaseError::reject("too many rows")) };
    let graph = graph(rows);
    let solved = solve(&graph, variant, limit);
    for (index, row) in rows.iter().enumerate() {
        prop_assert_eq!(reported_answers(&solved, *row), simulated_answers(rows, &chain, index), "{:?}", row);
    }
    prop_assert_eq!(fan_out::rows(&solved.climb).expect("nobody interrupts"), chain.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn replay_and_fan_out_are_those_of_the_recursion(rows in archive(12), variant in variant(), limit in 1_u32..7) {
        check_simulation(&rows, variant, limit)?;
    }

    #[test]
    fn long_recursions_without_multiplication(rows in single_rows(), variant in variant(), limit in 1_u32..300) {
        check_simulation(&rows, variant, limit)?;
    }

    #[test]
    fn the_oracle_is_a_walk_along_every_path(rows in archive(14)) {
        let graph = graph(&rows);
        let solved = solve(&graph, Variant::Applied, 10);
        for row in &rows {
            let judged = solved.verdict(&class_of(&graph, *row)).truth;
            let root = judged.root.and_then(|job| row_id(graph.names.name(job)));
            prop_assert_eq!((judged.outcome, root, judged.depth), truth(&rows, *row), "{:?}", row);
        }
    }

    #[test]
    fn a_differing_row_has_the_cause_of_its_outcome(rows in archive(14), variant in variant(), limit in 1_u32..7) {
        let graph = graph(&rows);
        let solved = solve(&graph, variant, limit);
        let unlimited = solve(&graph, variant, 1_000);
        for row in &rows {
            let class = class_of(&graph, *row);
            let verdict = solved.verdict(&class);
            let cause = match verdict.truth.outcome {
                _ if reported_answers(&solved, *row) == [truth(&rows, *row).1].into() => None,
                Outcome::Dangling => Some(Cause::Dangling),
                Outcome::Cyclic => Some(Cause::Cycle),
                Outcome::Ambiguous => Some(Cause::Ambiguous),
                // The limit is to blame where another answer comes out without it.
                Outcome::Child if unlimited.verdict(&class).answer != verdict.answer => Some(Cause::DepthLimit),
                _ => Some(Cause::OneHopShort),
            };
            prop_assert_eq!(verdict.cause, cause, "{:?}", row);
            prop_assert!(cause != Some(Cause::OneHopShort) || variant == Variant::Pattern2);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn high_limits_follow_the_recurrence(rows in archive(14), variant in variant(), limit in 1_u32..900) {
        let graph = graph(&rows);
        let solved = solve(&graph, variant, limit);
        let expected = recurred_answers(&rows, variant, limit);
        for (row, expected) in rows.iter().zip(expected) {
            prop_assert_eq!(reported_answers(&solved, *row), expected, "{:?}", row);
        }
        prop_assert_eq!(fan_out::rows(&solved.climb).expect("nobody interrupts"), recurred_rows(&rows, variant, limit));
    }
}

#[test]
fn a_million_steps_around_a_cycle_take_no_time() {
    let rows: Vec<Row> = vec![
        (Some("a"), Some("b")),
        (Some("b"), Some("c")),
        (Some("c"), Some("a")),
        (Some("d"), Some("a")),
        (Some("e"), Some("d")),
        (Some("e"), Some("z")),
        (Some("z"), Some("z")),
    ];
    let graph = graph(&rows);
    let solved = solve(&graph, Variant::Example3, 1_000_000);
    // 999,999 edges from b, three a turn: back at b.
    assert_eq!(reported_answers(&solved, rows[0]), [Some("b")].into());
    // Each of the seven rows takes a million steps, and the row at e that starts at d has one way.
    assert_eq!(fan_out::rows(&solved.climb).expect("nobody interrupts"), 7_000_000);
    let doubled: Vec<Row> = vec![(Some("a"), Some("a")), (Some("a"), Some("a"))];
    let graph = self::graph(&doubled);
    let solved = solve(&graph, Variant::Applied, 1_000_000);
    assert_eq!(fan_out::rows(&solved.climb).expect("nobody interrupts"), u64::MAX);
}

#[test]
fn four_rows_a_job_and_six_jobs_in_a_chain_make_7268_rows() {
    let jobs = ["a", "b", "c", "d", "e", "z"];
    let rows: Vec<Row> = jobs
        .iter()
        .enumerate()
        .flat_map(|(index, job)| [(Some(*job), index.checked_sub(1).map(|parent| jobs[parent])); 4])
        .collect();
    let graph = graph(&rows);
    let solved = solve(&graph, Variant::Applied, 10);
    assert_eq!(fan_out::rows(&solved.climb).expect("nobody interrupts"), 7_268);
}

/// The limits the seeds speak of: a chain of so many hops is the longest that each form resolves.
#[test]
fn each_variant_resolves_as_many_hops_as_it_says() {
    let jobs: Vec<String> = (0..14).map(|hop| format!("{hop:02}")).collect();
    for variant in Variant::ALL {
        for limit in 1..11 {
            let mut builder = GraphBuilder::default();
            for (index, job) in jobs.iter().enumerate() {
                let parent = index.checked_sub(1).map(|parent| jobs[parent].as_str());
                builder.add(Some(job), parent, None, false).expect("few ids");
            }
            let graph = builder.build();
            let solved = solve(&graph, variant, limit);
            for class in graph.classes().iter().filter(|class| class.parent.is_some()) {
                let verdict = solved.verdict(class);
                let beyond = verdict.truth.depth > Some(variant.resolvable_hops(limit));
                assert_eq!(verdict.cause == Some(Cause::DepthLimit), beyond, "{variant:?} at {limit}: {verdict:?}");
            }
        }
    }
}

#[test]
fn the_order_of_rows_changes_nothing() {
    let rows: Vec<Row> = vec![(Some("c"), Some("a")), (Some("c"), Some("b")), (Some("a"), None), (Some("b"), None)];
    let mut reversed = rows.clone();
    reversed.reverse();
    for variant in Variant::ALL {
        let (there, back) = (plain_graph(&rows), plain_graph(&reversed));
        let (there, back) = (solve(&there, variant, 10), solve(&back, variant, 10));
        for row in &rows {
            assert_eq!(reported_answers(&there, *row), reported_answers(&back, *row));
        }
    }
}

fn plain_graph(rows: &[Row]) -> JobGraph {
    let mut builder = GraphBuilder::default();
    rows.iter().for_each(|(job, parent)| builder.add(*job, *parent, None, false).expect("few ids"));
    builder.build()
}

#[test]
fn climbs_that_the_limit_does_not_cut_need_no_layers() {
    let rows: Vec<Row> = vec![(Some("b"), Some("a")), (Some("a"), None)];
    let graph = graph(&rows);
    assert!(Climb::measure(&graph, Variant::Applied, 10).cut_families.is_empty());
}
