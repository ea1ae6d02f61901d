//! The hostile fixture's rows with their labels: what must be reported of each.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rehearsal::generate::csv;
use rehearsal::generate::shape::Status;
use uuid::Uuid;

/// One line of `fixtures/hostile/rows.csv`.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// The defect shown.
    pub case: String,
    pub id: Uuid,
    pub job_id: Option<String>,
    pub parent_job_id: Option<String>,
    pub is_root_job: bool,
    pub operation: String,
    pub status: Status,
    /// `root`, `child`, `orphan`, `dangling`, `cyclic` or `ambiguous`.
    pub outcome: String,
    pub root_job_id: Option<String>,
    /// Hops to the root; for roots and children only.
    pub depth: Option<u32>,
    /// By the backfill's ladder.
    pub category: String,
    /// By the run-time ladder.
    pub runtime_category: String,
}

/// All lines, in order.
pub fn labels() -> Vec<Labelled> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile/rows.csv");
    let records = csv::read(&fs::read_to_string(path).expect("rows.csv")).expect("CSV");
    let header: Vec<String> = records[0].iter().flatten().cloned().collect();
    records[1..]
        .iter()
        .map(|record| {
            assert_eq!(record.len(), header.len(), "{record:?}");
            let mut fields: HashMap<&str, Option<String>> =
                header.iter().map(String::as_str).zip(record.iter().cloned()).collect();
            let mut take = |name: &str| fields.remove(name).unwrap_or_else(|| panic!("no column {name}"));
            let id: u128 = take("id").expect("id").parse().expect("a number");
            Labelled {
                case: take("case").expect("case"),
                id: id_of(id),
                job_id: take("job_id"),
                parent_job_id: take("parent_job_id"),
                is_root_job: take("is_root_job").as_deref() == Some("t"),
                operation: take("operation").expect("operation"),
                status: Status::parse(&take("status").expect("status")).expect("a status"),
                outcome: take("outcome").expect("outcome"),
                root_job_id: take("root_job_id"),
                depth: take("depth").map(|depth| depth.parse().expect("a number")),
                category: take("category").expect("category"),
                runtime_category: take("runtime_category").expect("runtime_category"),
            }
        })
        .collect()
}

/// `00000000-0000-4000-8000-` and the number, in decimal digits.
fn id_of(number: u128) -> Uuid {
    format!("00000000-0000-4000-8000-{number:012}").parse().expect("a UUID")
}
