//! Which operator and function do types mean? Every operator of the server between many pairs of types, and every function that can be
//! asked without harm, resolved from our tables and by the server itself: the same result type, or the same error.

use std::collections::BTreeMap;

use postgres::Client;
use rehearsal::catalog::pg::resolution::{self, Called, Failure};
use rehearsal::catalog::pg::{Id, Kind, tables};

use crate::server;

/// Types of every category, and a literal without one.
const TYPES: &str = "unknown bool int2 int4 int8 numeric float4 float8 text varchar bpchar name uuid json jsonb bytea date \
    time timestamp timestamptz interval _int4 _text _varchar oid regclass int4range point inet bit mood";

/// Fewer, for functions of two arguments.
const FEW: &str = "unknown int4 int8 numeric float8 text varchar jsonb date timestamptz interval _int4 _text mood bool";

/// The enum among the types, which only the server has a name for.
const MOOD: Id = Id::Enum(1);

fn id(name: &str) -> Id {
    if name == "mood" { MOOD } else { tables().by_name(name).expect(name) }
}

fn shown(id: Id) -> String {
    match id {
        Id::Enum(_) => "mood".to_owned(),
        Id::EnumArray(_) => "mood[]".to_owned(),
        Id::Known(_) => tables().row(id).map_or_else(String::new, |row| row.shown.to_owned()),
    }
}

fn error(failure: Failure) -> String {
    match failure {
        Failure::Missing => "42883",
        Failure::Ambiguous => "42725",
        Failure::Undetermined => "42804",
        Failure::NoArray(_) => "42704",
    }
    .to_owned()
}

fn value(name: &str) -> String {
    if name == "unknown" { "NULL".to_owned() } else { format!("CAST(NULL AS {})", quoted(name)) }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The type of each expression, or its SQLSTATE.
fn ask(client: &mut Client, expressions: &[String]) -> BTreeMap<String, String> {
    client
        .batch_execute(
            "CREATE TEMP TABLE IF NOT EXISTS asked(e text, answer text);
             CREATE OR REPLACE FUNCTION pg_temp.ask(e text) RETURNS text LANGUAGE plpgsql AS $$
             DECLARE answer text;
             BEGIN EXECUTE 'SELECT pg_typeof(' || e || ')' INTO answer; RETURN answer;
             EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$",
        )
        .expect("a function that asks");
    let rows = client.query("SELECT e, pg_temp.ask(e) FROM unnest($1::text[]) AS u(e)", &[&expressions]);
    rows.expect("answers").iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Compares; an error that only the values cause says that the server has found something.
fn compare(client: &mut Client, ours: &BTreeMap<String, Result<String, String>>) {
    let expressions: Vec<String> = ours.keys().cloned().collect();
    let theirs = ask(client, &expressions);
    let mut wrong = Vec::new();
    for (expression, ours) in ours {
        let theirs = &theirs[expression];
        // A prefix that only the other operators may be.
        if theirs == "42601" {
            continue;
        }
        let is_code = theirs.len() == 5 && theirs.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let agree = match ours {
            Ok(ty) if is_code => !["42883", "42725", "42804"].contains(&theirs.as_str()) && !ty.is_empty(),
            Ok(ty) => ty == theirs || ty.starts_with("any"),
            Err(code) => code == theirs,
        };
        if !agree {
            wrong.push(format!("{expression}: server {theirs}, ours {ours:?}"));
        }
    }
    let (count, first) = (wrong.len(), wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n  "));
    assert!(wrong.is_empty(), "{count} of {} differ:\n  {first}", ours.len());
}

#[test]
fn operators() {
    let database = server::database();
    let mut client = database.client();
    client.batch_execute("CREATE TYPE mood AS ENUM ('a')").expect("an enum");
    let types: Vec<&str> = TYPES.split_whitespace().collect();
    let mut ours = BTreeMap::new();
    for name in tables().operator_names() {
        for right in &types {
            let found = resolution::operator(name, None, id(right)).map(|o| shown(o.result)).map_err(error);
            ours.insert(format!("{name} {}", value(right)), found);
            for left in &types {
                let found = resolution::operator(name, Some(id(left)), id(right));
                let found = found.map(|o| shown(o.result)).map_err(error);
                ours.insert(format!("{} {name} {}", value(left), value(right)), found);
            }
        }
    }
    compare(&mut client, &ours);
}

#[test]
fn functions() {
    let database = server::database();
    let mut client = database.client();
    client.batch_execute("CREATE TYPE mood AS ENUM ('a')").expect("an enum");
    let mut ours = BTreeMap::new();
    let mut add = |name: &str, types: &[&str]| {
        let ids: Vec<Id> = types.iter().map(|ty| id(ty)).collect();
        let found = match resolution::function(name, &ids, &[], false, &[]) {
            Ok(Called::Function(chosen)) => Ok(shown(chosen.result)),
            Ok(Called::Cast(id)) => Ok(shown(id)),
            Err(failure) => Err(error(failure)),
        };
        let values: Vec<String> = types.iter().map(|ty| value(ty)).collect();
        ours.insert(format!("pg_catalog.{}({})", quoted(name), values.join(", ")), found);
    };
    let (types, few): (Vec<&str>, Vec<&str>) = (TYPES.split_whitespace().collect(), FEW.split_whitespace().collect());
    for name in tables().function_names() {
        let listed = tables().functions(name);
        let harmless = listed.iter().all(|function| {
            matches!(function.kind, Kind::Function | Kind::Aggregate)
                && function.volatility != b'v'
                && !function.returns_set
        });
        // These look at, or wait for, the server itself.
        if !harmless || name.starts_with("pg_") || name.contains("_to_xml") || name.starts_with("binary_upgrade") {
            continue;
        }
        for ty in &types {
            add(name, &[*ty]);
        }
        if listed.iter().filter(|function| function.arguments.len() >= 2).count() >= 2 {
            for one in &few {
                for other in &few {
                    add(name, &[*one, *other]);
                }
            }
        }
    }
    compare(&mut client, &ours);
}
