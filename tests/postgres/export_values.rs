//! Every value arrives exactly: compared with what the server itself prints, never with our own decoder.
//!
//! Each case is a column of one type. The server computes a text of each value; DuckDB computes one from the snapshot; the two
//! must be equal. Where the engines print one value differently, both sides use an expression that takes it apart the same way.

use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::fixtures::rehearsal;
use crate::server::{Database, database};

struct Case<'a> {
    /// Declared type.
    ty: &'a str,
    /// Values as SQL expressions; NULL is always added.
    values: &'a [&'a str],
    /// Text of `v` in PostgreSQL.
    server: &'a str,
    /// Text of `v` in DuckDB.
    engine: &'a str,
}

/// Both engines print this type alike.
fn plain<'a>(ty: &'a str, values: &'a [&'a str]) -> Case<'a> {
    Case { ty, values, server: "v::text", engine: "v::VARCHAR" }
}

/// BC stands last in PostgreSQL and behind the date in DuckDB.
const SERVER_ERA: &str = r"regexp_replace(v::text, '^(\S+)( \S+)? BC$', '\1 (BC)\2')";
/// `to_json` of a list, whose elements are printed alike.
const SERVER_LIST: &str = "array_to_json(v::text[])::text";
const ENGINE_LIST: &str = "to_json(v::VARCHAR[])::VARCHAR";
/// Months, days and microseconds, none folded into another.
const SERVER_INTERVAL: &str = "format('%s %s %s', (extract(year FROM v) * 12 + extract(month FROM v))::int8, \
    extract(day FROM v)::int8, (extract(hour FROM v) * 3600000000 + extract(minute FROM v) * 60000000 \
    + extract(microseconds FROM v))::int8)";
const ENGINE_INTERVAL: &str = "format('{} {} {}', datepart('year', v) * 12 + datepart('month', v), datepart('day', v), \
    datepart('hour', v) * 3600000000 + datepart('minute', v) * 60000000 + datepart('microseconds', v))";

const TEXTS: &[&str] = &[
    "''",
    "'plain'",
    "'Größe, 日本語, 🎵, e\u{301}'",
    "' leading and trailing '",
    "E'tab\\tnewline\\nbackslash\\\\quote\"\\x01'",
    "repeat('long ', 30000)",
    "'NULL'",
];

fn cases() -> Vec<Case<'static>> {
    let era = |ty, values| Case { ty, values, server: SERVER_ERA, engine: "v::VARCHAR" };
    let list = |ty, values| Case { ty, values, server: SERVER_LIST, engine: ENGINE_LIST };
    let interval = |ty, values| Case { ty, values, server: SERVER_INTERVAL, engine: ENGINE_INTERVAL };
    // DuckDB prints no zero before the decimal point where the type has no place for one.
    let fraction =
        |ty, values| Case { ty, values, server: "v::text", engine: r"regexp_replace(v::VARCHAR, '^(-?)[.]', '\10.')" };
    vec![
        plain("boolean", &["true", "false"]),
        plain("smallint", &["-32768", "0", "32767"]),
        plain("integer", &["-2147483648", "0", "2147483647"]),
        plain("bigint", &["-9223372036854775808", "0", "9223372036854775807"]),
        plain("text", TEXTS),
        plain("varchar(100)", &["''", "'größe'", "repeat('日', 100)"]),
        plain("varchar", TEXTS),
        // A cast to text would drop the blanks that the server prints.
        Case { ty: "char(5)", values: &["''", "'ab'", "'größe'"], server: "format('%s', v)", engine: "v" },
        plain("name", &["'a name'"]),
        plain(
            "uuid",
            &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-fffffffffffe'", "gen_random_uuid()"],
        ),
        plain("json", &["'{\"b\" : 1,  \"a\":[1.0, null]}'", "'\"\\u0041\"'", "' 1e5 '"]),
        plain("jsonb", &["'{\"b\": 1, \"a\": {\"c\": [1.10, null, true, \"é\\n\"]}}'", "'null'", "'[]'", "'1e400'"]),
        plain("status", &["'PENDING'", "'in progress, \"quoted\"'", "'O''Hara'", "'größe'"]),
        plain("numeric(10,2)", &["0", "-0.01", "99999999.99", "-99999999.99", "1.1"]),
        plain(
            "numeric(38,0)",
            &["0", "99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"],
        ),
        plain("numeric(38,1)", &["9999999999999999999999999999999999999.9", "-0.1", "10000"]),
        fraction(
            "numeric(38,38)",
            &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"],
        ),
        fraction("numeric(5,5)", &["0.12345", "0.00001", "-0.1"]),
        // Too wide for a decimal, or special: PostgreSQL's own text.
        plain(
            "numeric",
            &["1.50", "1e50", "-1e-50", "'NaN'", "'Infinity'", "'-Infinity'", "0.000", "123456789.123456789"],
        ),
        plain("numeric(65,30)", &["12345678901234567890.5", "-1e34", "1e-30"]),
        plain("numeric(5,-2)", &["123456", "-100", "0"]),
        // All fit a decimal, so the view has one; its scale is the widest needed.
        Case {
            ty: "decimal",
            values: &["1.50", "-100000.25", "0", "0.000", "1e20"],
            server: "trim_scale(v)::text",
            engine: "regexp_replace(v::DECIMAL(38,2)::VARCHAR, '\\.?0*$', '')",
        },
        Case {
            ty: "bytea",
            values: &["''", "'\\x00ff10'", "decode(repeat('00ab', 5000), 'hex')"],
            server: "encode(v, 'hex')",
            engine: "lower(hex(v))",
        },
        era(
            "date",
            &[
                "'4713-01-01 BC'",
                "'0001-01-01'",
                "'1970-01-01'",
                "'1999-12-31'",
                "'2000-01-01'",
                "'5874897-12-31'",
                "'infinity'",
                "'-infinity'",
            ],
        ),
        plain("time", &["'00:00'", "'23:59:59.999999'", "'12:34:56.7'", "'24:00'"]),
        plain("time(3)", &["'12:34:56.789'"]),
        era(
            "timestamp",
            &[
                "'4713-01-01 00:00 BC'",
                "'0001-01-01'",
                "'1969-12-31 23:59:59.999999'",
                "'1970-01-01'",
                "'2024-02-29 12:34:56.789012'",
                "'294246-12-31 23:59:59.999999'",
                "'infinity'",
                "'-infinity'",
            ],
        ),
        era("timestamp(3)", &["'2024-02-29 12:34:56.789'", "'0044-03-15 10:00 BC'"]),
        Case {
            ty: "timestamptz",
            values: &[
                "'2024-07-01 12:00+02'",
                "'2024-03-31 02:30 Europe/Berlin'",
                "'0044-03-15 10:00 BC'",
                "'294246-12-31 23:59:59.999999+00'",
                "'infinity'",
                "'-infinity'",
                "'1969-12-31 23:59:59.999999Z'",
            ],
            server: r"regexp_replace((v AT TIME ZONE 'UTC')::text, '^(\S+)( \S+)? BC$', '\1 (BC)\2')",
            engine: "v::VARCHAR",
        },
        interval(
            "interval",
            &[
                "'0'",
                "'1 year 2 months -3 days 04:05:06.789012'",
                "'-1 month +30 days -00:00:00.000001'",
                "'178000000 years'",
                "'-178000000 years'",
                "'2147483647 days'",
                "make_interval(secs => 9223372036854)",
                "'36 hours'",
                "'1 month -1 day'",
            ],
        ),
        interval("interval day to second(3)", &["'1 day 00:00:01.2345'"]),
        interval("interval year to month", &["'5 years 3 months'"]),
        list("integer[]", &["'{}'", "'{1,NULL,-2147483648}'", "'{NULL}'"]),
        list("text[]", &["'{}'", "'{NULL}'", "ARRAY['', 'NULL', 'a,b', '{}', '\"', E'\\\\\\n', '日本語', NULL]"]),
        list("varchar(20)[]", &["'{a,NULL,\"\"}'"]),
        list("status[]", &["'{}'", "ARRAY['PENDING', NULL, 'in progress, \"quoted\"']::status[]"]),
        list("uuid[]", &["ARRAY['00000000-0000-0000-0000-00000000000a', NULL]::uuid[]"]),
        list("boolean[]", &["'{t,NULL,f}'"]),
        list("numeric(10,2)[]", &["'{1.10,NULL,-99999999.99}'"]),
        list("timestamp[]", &["'{2024-01-01 10:00:00.5,NULL,infinity}'"]),
        list("date[]", &["'{2024-01-01,NULL,-infinity}'"]),
        list("time[]", &["'{10:00:00,NULL,24:00:00}'"]),
        list("jsonb[]", &["ARRAY['{\"a\": [1, null]}', NULL, '\"x\"']::jsonb[]"]),
        list("numeric[]", &["'{1.5,NULL,NaN,1e40}'"]),
        Case {
            ty: "timestamptz[]",
            values: &["'{2024-07-01 12:00+02,NULL,infinity}'", "'{}'"],
            server: "array_to_json(ARRAY(SELECT (x AT TIME ZONE 'UTC')::text FROM unnest(v) WITH ORDINALITY AS u (x, i) ORDER BY i))::text",
            engine: ENGINE_LIST,
        },
        Case {
            ty: "bytea[]",
            values: &["ARRAY['\\x00ff', NULL, '']::bytea[]"],
            server: "array_to_json(ARRAY(SELECT encode(x, 'hex') FROM unnest(v) WITH ORDINALITY AS u (x, i) ORDER BY i))::text",
            engine: "to_json(list_transform(v, lambda x: lower(hex(x))))::VARCHAR",
        },
        Case {
            ty: "interval[]",
            values: &["'{1 mon -1 day,NULL,00:00:01.5}'"],
            server: "(SELECT string_agg(coalesce(extract(epoch FROM x)::numeric(20,6)::text, '-'), ' ' ORDER BY i) FROM unnest(v) WITH ORDINALITY AS u (x, i))",
            engine: "array_to_string(list_transform(v, lambda x: coalesce(epoch(x)::DECIMAL(20,6)::VARCHAR, '-')), ' ')",
        },
    ]
}

/// Creates the case's table, with a NULL and an id in the order of the values.
fn create(database: &Database, table: &str, case: &Case<'_>) {
    let known = case.values.iter().filter(|value| database.knows(case.ty, value));
    let values: Vec<String> = known.chain(&["NULL"]).map(|v| format!("(({v})::{})", case.ty)).collect();
    database.run(&format!(
        "CREATE TABLE {table} (id int GENERATED ALWAYS AS IDENTITY, v {}); INSERT INTO {table} (v) VALUES {}",
        case.ty,
        values.join(", ")
    ));
}

fn export(database: &Database, tables: &[String]) -> (tempfile::TempDir, Snapshot) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = vec!["export", "--url", &database.url, "--out", "snap"];
    for table in tables {
        args.extend(["--table", table]);
    }
    let output = rehearsal(folder.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let snapshot = Snapshot::open(&folder.path().join("snap").display().to_string(), &EngineOptions::default());
    (folder, snapshot.expect("an export can be opened"))
}

fn on_server(database: &Database, sql: &str) -> Vec<Option<String>> {
    let rows = database.client().query(sql, &[]).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    rows.iter().map(|row| row.get(0)).collect()
}

fn in_snapshot(snapshot: &Snapshot, sql: &str) -> Vec<Option<String>> {
    let mut statement = snapshot.connection().prepare(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let mut rows = statement.query([]).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let mut values = Vec::new();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{error}\n{sql}")) {
        values.push(row.get(0).unwrap_or_else(|error| panic!("{error}\n{sql}")));
    }
    values
}

#[test]
fn every_type_arrives_as_the_server_prints_it() {
    let database = database();
    database.run("CREATE TYPE status AS ENUM ('PENDING', 'in progress, \"quoted\"', 'O''Hara', 'größe')");
    let mut cases = cases();
    // What shows a value of a decimal is PostgreSQL 13's.
    cases.retain(|case| database.version() >= 130_000 || !case.server.contains("trim_scale"));
    cases.retain(|case| case.values.iter().any(|value| database.knows(case.ty, value)));
    let tables: Vec<String> = (0..cases.len()).map(|n| format!("case_{n}")).collect();
    for (case, table) in cases.iter().zip(&tables) {
        create(&database, table, case);
    }
    let (_folder, snapshot) = export(&database, &tables);
    let mut differences = Vec::new();
    for (case, table) in cases.iter().zip(&tables) {
        let null_kept =
            |expression: &str| format!("SELECT CASE WHEN v IS NOT NULL THEN {expression} END FROM {table} ORDER BY id");
        let expected = on_server(&database, &null_kept(case.server));
        let found = in_snapshot(&snapshot, &null_kept(case.engine));
        assert_eq!(expected.last(), Some(&None), "{}: the last value is NULL", case.ty);
        if expected != found {
            differences.push(format!("{}:\n  server   {expected:?}\n  snapshot {found:?}", case.ty));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn floats_keep_every_bit() {
    let database = database();
    database.run(
        "CREATE TABLE floats AS SELECT row_number() OVER () AS id, d, r FROM (VALUES \
             (0.1::float8, 0.1::float4), ('-0', '-0'), ('NaN', 'NaN'), ('Infinity', 'Infinity'), ('-Infinity', '-Infinity'), \
             (1.7976931348623157e308, 3.4028235e38), (5e-324, 1e-45), (2.2250738585072014e-308, 1.17549435e-38), \
             (9007199254740993, 16777217), (NULL, NULL)) AS v (d, r) \
         UNION ALL SELECT 10 + n, random() * 10 ^ (random() * 600 - 300), (random() * 10 ^ (random() * 70 - 35))::float4 \
         FROM generate_series(1, 500) AS n",
    );
    let (_folder, snapshot) = export(&database, &["floats".into()]);
    // The server's shortest text names one number exactly: parsing it gives the bits.
    let bits = |text: Vec<Option<String>>| -> Vec<Option<u64>> {
        text.into_iter().map(|t| t.map(|t| t.parse::<f64>().expect("a number").to_bits())).collect()
    };
    let bits_single = |text: Vec<Option<String>>| -> Vec<Option<u32>> {
        text.into_iter().map(|t| t.map(|t| t.parse::<f32>().expect("a number").to_bits())).collect()
    };
    for (column, single) in [("d", false), ("r", true)] {
        let sql = format!("SELECT {column}::{} FROM floats ORDER BY id", "text");
        let (server, engine) = (on_server(&database, &sql), in_snapshot(&snapshot, &sql));
        if single {
            assert_eq!(bits_single(server), bits_single(engine));
        } else {
            assert_eq!(bits(server), bits(engine));
        }
    }
}

#[test]
fn random_rows_arrive_as_the_server_prints_them() {
    let database = database();
    database.run(
        "SELECT setseed(0.42); \
         CREATE TABLE random_rows AS SELECT n AS id, \
             (random() * 1e15)::numeric * (10::numeric ^ (random() * 60 - 30)::int) AS wide, \
             round(((random() - 0.5) * 1e12)::numeric, (random() * 6)::int)::numeric(30, 6) AS narrow, \
             'epoch'::timestamp + (random() - 0.5) * interval '8000 years' AS moment, \
             (random() * 86399)::int * interval '1 second' + (random() * 999999)::int * interval '1 microsecond' AS span, \
             CASE WHEN random() < 0.1 THEN NULL ELSE repeat(chr(161 + (random() * 5000)::int), (random() * 40)::int) END AS words, \
             CASE WHEN random() < 0.2 THEN NULL ELSE ARRAY(SELECT CASE WHEN random() < 0.3 THEN NULL ELSE md5(random()::text) END \
                 FROM generate_series(1, (random() * 4)::int + n * 0)) END AS list \
         FROM generate_series(1, 40000) AS n",
    );
    let (_folder, snapshot) = export(&database, &["random_rows".into()]);
    for (server, engine) in [
        ("wide::text", "wide::VARCHAR"),
        ("narrow::text", "narrow::VARCHAR"),
        (r"regexp_replace(moment::text, '^(\S+)( \S+)? BC$', '\1 (BC)\2')", "moment::VARCHAR"),
        ("extract(epoch FROM span)::numeric(20,6)::text", "epoch(span)::DECIMAL(20,6)::VARCHAR"),
        ("words", "words"),
        ("array_to_json(list)::text", "to_json(list)::VARCHAR"),
    ] {
        let expected = on_server(&database, &format!("SELECT {server} FROM random_rows ORDER BY id"));
        let found = in_snapshot(&snapshot, &format!("SELECT {engine} FROM random_rows ORDER BY id"));
        let first = expected.iter().zip(&found).position(|(a, b)| a != b);
        assert_eq!((first.map(|i| (&expected[i], &found[i])), found.len()), (None, 40_000), "{server}");
    }
}

#[test]
fn types_are_real_in_the_engine() {
    let database = database();
    database.run(
        "CREATE TYPE \"Status\" AS ENUM ('LOW', 'HIGH'); CREATE SCHEMA app; CREATE TYPE app.kind AS ENUM ('b', 'a'); \
         CREATE TABLE t (id uuid, meta jsonb, raw json, s \"Status\", ss \"Status\"[], k app.kind, n numeric, tz timestamptz, \
             iv interval, ids uuid[]); \
         INSERT INTO t (s, k, n) VALUES ('HIGH', 'a', 1.25), ('LOW', 'b', -7)",
    );
    let (_folder, snapshot) = export(&database, &["t".into()]);
    let types: Vec<&str> = snapshot.tables[0].columns.iter().map(|(_, ty)| ty.as_str()).collect();
    let status = "ENUM('LOW', 'HIGH')";
    let list = format!("{status}[]");
    assert_eq!(
        types,
        ["UUID", "JSON", "JSON", status, &list, "ENUM('b', 'a')", "DECIMAL(38,2)", "TIMESTAMP", "INTERVAL", "UUID[]"]
    );
    // Enums sort by their order, not by their text.
    let sorted = in_snapshot(&snapshot, "SELECT s::VARCHAR FROM t ORDER BY s");
    assert_eq!(sorted, [Some("LOW".to_owned()), Some("HIGH".to_owned())]);
}

#[test]
fn a_value_of_100_megabytes_arrives() {
    let database = database();
    database.run("CREATE TABLE big AS SELECT 1 AS id, repeat('0123456789', 10000000) AS v UNION ALL SELECT 2, 'small'");
    let (_folder, snapshot) = export(&database, &["big".into()]);
    let expected = on_server(&database, "SELECT md5(v) FROM big ORDER BY id");
    assert_eq!(in_snapshot(&snapshot, "SELECT md5(v) FROM big ORDER BY id"), expected);
}

/// Values that the column's type in a snapshot can't hold: the column travels as the server's text, and the ledger says why.
#[test]
fn values_that_their_type_cannot_hold_travel_as_text() {
    let database = database();
    let cases = [
        ("numeric(10,2)", "'NaN'", "a value is NaN, which a decimal(10,2) can't hold"),
        ("numeric(10,2)[]", "'{1.5,NaN}'", "a value is NaN, which a decimal(10,2) can't hold"),
        ("integer[]", "'{{1,2},{3,NULL}}'", "an array has 2 dimensions"),
        ("text[]", "'[0:1]={\"a,b\",NULL}'", "an array begins at index 0"),
        ("point[]", "'{{\"(1,2)\"},{\"(3,4)\"}}'", "an array has 2 dimensions"),
        ("timestamp", "'294276-12-31 23:59:59'", "a timestamp lies after 294247-01-10"),
        ("timestamptz", "'294276-12-31 23:59:59+00'", "a timestamp lies after 294247-01-10"),
        ("timestamp[]", "'{2024-01-01,294276-12-31}'", "a timestamp lies after 294247-01-10"),
    ];
    let columns = |with: fn(usize, &str, &str) -> String| -> String {
        let all: Vec<String> = cases.iter().enumerate().map(|(n, (ty, value, _))| with(n, ty, value)).collect();
        all.join(", ")
    };
    database.run(&format!(
        "ALTER DATABASE {} SET TimeZone = 'UTC'; CREATE TABLE t (id int, {}); INSERT INTO t VALUES (1, {})",
        database.name,
        columns(|n, ty, _| format!("c{n} {ty}")),
        columns(|_, _, value| value.to_owned()),
    ));
    database.run("INSERT INTO t (id) VALUES (2)");
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["export", "--url", &database.url, "--table", "t", "--out", "snap"];
    let report = crate::fixtures::json(folder.path(), &args, 0);
    let result = &report["result"];
    assert_eq!(result["notes"].as_array().map(Vec::len), Some(cases.len()), "{}", result["notes"]);
    let ledger = result["tables"][0]["ledger"].as_array().expect("a ledger");
    assert_eq!(ledger.len(), cases.len());
    let file = folder.path().join("snap/t.parquet");
    for (number, (ty, value, says)) in cases.iter().enumerate() {
        let name = format!("c{number}");
        let rule = ledger[number]["rule"].as_str().expect("a rule");
        assert!(rule.starts_with("carried as PostgreSQL's own text: ") && rule.contains(says), "{ty} {value}: {rule}");
        assert_eq!(ledger[number]["values"], 1);
        let server = on_server(&database, &format!("SELECT {name}::text FROM t ORDER BY id"));
        let mut here: Vec<Option<String>> =
            crate::fixtures::rows(&file, &["id", &name]).into_iter().map(|mut row| row.remove(1)).collect();
        here.sort_by_key(Option::is_none);
        assert_eq!(here, server, "{ty} {value}");
    }
    // The snapshot opens, proves itself, and refuses what reads such a column by name.
    crate::fixtures::json(folder.path(), &["inspect", "snap"], 0);
    std::fs::write(
        folder.path().join("m.sql"),
        "UPDATE t SET id = id + 1; UPDATE t SET id = c2[1]; UPDATE t SET id = 1 WHERE c0 > 1",
    )
    .expect("a migration");
    let report = crate::fixtures::json(folder.path(), &["dry-run", "m.sql", "--on", "snap", "--fail-on", "never"], 0);
    let statements = report["result"]["statements"].as_array().expect("three");
    let verdicts: Vec<&str> = statements.iter().filter_map(|s| s["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["executed", "unsupported", "unsupported"], "{statements:#?}");
}

#[test]
fn as_many_columns_as_a_table_can_have() {
    let database = database();
    let list = |with: &str| (1..=1600).map(|n| format!("{}{n}{with}", "c")).collect::<Vec<_>>().join(", ");
    let values: Vec<String> = (1..=1600).map(|n| if n % 3 == 0 { "NULL".to_owned() } else { n.to_string() }).collect();
    database.run(&format!(
        "CREATE TABLE wide ({}); INSERT INTO wide VALUES ({})",
        list(" smallint"),
        values.join(", ")
    ));
    database.run("CREATE TABLE none ()");
    let (folder, snapshot) = export(&database, &["wide".into()]);
    let sum: Vec<String> = (1..=1600).map(|n| format!("coalesce(c{n}, 0)")).collect();
    assert_eq!(
        in_snapshot(&snapshot, &format!("SELECT list_sum([{}])::VARCHAR FROM wide", sum.join(", ")))[0],
        Some((1..=1600).filter(|n| n % 3 != 0).sum::<i64>().to_string())
    );
    let output = rehearsal(folder.path(), &["export", "--url", &database.url, "--table", "none", "--out", "none"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("table public.none has no columns: there is nothing to export"), "{stderr}");
}

/// Types that no column of a snapshot holds: each arrives as the server prints it, and the ledger says so.
#[test]
fn what_has_no_counterpart_arrives_as_the_servers_text() {
    let database = database();
    let mut columns = vec![
        ("corner", "point", "point(1.5, -2)"),
        ("area", "polygon", "'((0,0),(1,1),(1,0))'"),
        ("ring", "circle", "'<(1,2),0.1>'"),
        ("words", "tsvector", "to_tsvector('simple', 'a fat cat, a ''quoted'' one')"),
        ("question", "tsquery", "'fat & !rat'"),
        ("at", "time with time zone", "'12:00:00.123456+02'"),
        ("price", "money", "12.5"),
        ("span", "int4range", "'[1,5)'"),
        ("spans", "datemultirange", "'{[2024-01-01,2024-02-01),[2024-03-01,)}'"),
        ("net", "inet", "'10.0.0.1/8'"),
        ("nets", "cidr[]", "ARRAY['10.0.0.0/8', NULL, '192.168.0.0/16']::cidr[]"),
        ("mac", "macaddr", "'08:00:2b:01:02:03'"),
        ("flags", "bit(5)", "B'10110'"),
        ("more", "bit varying", "B'1'"),
        ("doc", "xml", "'<a b=\"c\">d</a>'"),
        ("place", "pg_lsn", "'16/B374D848'"),
        ("tx", "xid8", "'42'"),
        ("class", "regclass", "'pg_class'"),
        ("letter", "\"char\"", "'x'"),
        ("pair", "pair", "ROW(1, 'two, \"three\"')"),
        ("pairs", "pair[]", "ARRAY[ROW(1, NULL), NULL]::pair[]"),
        ("more_pairs", "int8multirange", "'{[1,2),[5,)}'"),
        ("when", "tstzrange", "'[2024-01-01 10:00+02,)'"),
        ("days", "daterange", "'[2024-01-01,2024-02-01)'"),
        ("amounts", "numrange", "'(1.50,]'"),
        ("mac8", "macaddr8", "'08:00:2b:01:02:03:04:05'"),
        ("segment", "lseg", "'[(1,2),(3,4)]'"),
        ("frame", "box", "'((1,2),(3,4))'"),
        ("road", "path", "'[(0,0),(1,1)]'"),
        ("infinite", "line", "'{1,-1,0}'"),
        ("question_json", "jsonpath", "'$.a[*] ? (@ > 1)'"),
        ("object", "oid", "4294967295"),
        ("row", "tid", "'(42,7)'"),
        ("seen", "pg_snapshot", "'10:20:10,14'"),
        ("keys", "hstore", "'a=>1, \"b c\"=>NULL'"),
        ("loud", "citext", "'MiXed'"),
        ("tree", "ltree", "'top.middle.leaf'"),
        ("query", "lquery", "'*.leaf'"),
        ("solid", "cube", "'(1,2),(3,4)'"),
        ("stretch", "seg", "'1.5 .. 2'"),
        ("book", "isbn", "'9780393040029'"),
        ("mail", "email", "'a@b.example'"),
        ("mails", "email[]", "'{a@b.example}'"),
    ];
    database.run(&format!(
        "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION seg; \
         CREATE EXTENSION isn; ALTER DATABASE {} SET TimeZone = 'UTC'; CREATE TYPE pair AS (a int, b text); CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%')",
        database.name
    ));
    columns.retain(|(_, ty, value)| database.knows(ty, value));
    let declared: Vec<String> = columns.iter().map(|(name, ty, _)| format!("\"{name}\" {ty}")).collect();
    let values: Vec<&str> = columns.iter().map(|(_, _, value)| *value).collect();
    database.run(&format!(
        "CREATE TABLE t (id int, {}); INSERT INTO t VALUES (1, {}); INSERT INTO t (id) VALUES (2)",
        declared.join(", "),
        values.join(", ")
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["export", "--url", &database.url, "--table", "t", "--out", "snap"];
    let report = crate::fixtures::json(folder.path(), &args, 0);
    let ledger = report["result"]["tables"][0]["ledger"].as_array().expect("a ledger");
    assert_eq!(ledger.len(), columns.len(), "{ledger:#?}");
    let engine = duckdb::Connection::open_in_memory().expect("DuckDB");
    for ((name, _, _), entry) in columns.iter().zip(ledger) {
        assert_eq!((&entry["column"], &entry["values"]), (&serde_json::json!(name), &serde_json::json!(1)));
        assert_eq!(entry["rule"], "carried as PostgreSQL's own text");
        let server: Vec<Option<String>> = database
            .client()
            .query(&format!("SELECT \"{name}\"::text FROM t ORDER BY id"), &[])
            .expect("rows")
            .iter()
            .map(|row| row.get(0))
            .collect();
        // An array is a list of its elements' texts.
        let element = "CASE WHEN x IS NULL THEN 'NULL' WHEN regexp_matches(x, '[\", {}()\\\\]') THEN '\"' || replace(replace(x, '\\', '\\\\'), '\"', '\\\"') || '\"' ELSE x END";
        let text = match entry["type"].as_str().is_some_and(|ty| ty.ends_with("[]")) {
            true => format!("'{{' || array_to_string(list_transform(\"{name}\", lambda x: {element}), ',') || '}}'"),
            false => format!("\"{name}\""),
        };
        let file = folder.path().join("snap/t.parquet");
        let sql = format!("SELECT {text} FROM '{}' ORDER BY id", file.display());
        let mut statement = engine.prepare(&sql).expect(&sql);
        let here: Vec<Option<String>> =
            statement.query_map([], |row| row.get(0)).expect(&sql).map(|row| row.expect("a row")).collect();
        assert_eq!(here, server, "{name}");
    }
    // Such a table is rehearsed: what reads the opaque column is refused by name, all else runs.
    let sql =
        "UPDATE t SET id = id + 1; SELECT id FROM t WHERE words @@ 'top'::tsquery; ALTER TABLE t DROP COLUMN words";
    std::fs::write(folder.path().join("m.sql"), sql).expect("a migration");
    let report = crate::fixtures::json(folder.path(), &["dry-run", "m.sql", "--on", "snap", "--fail-on", "never"], 0);
    let verdicts: Vec<&str> = report["result"]["statements"]
        .as_array()
        .expect("three")
        .iter()
        .filter_map(|s| s["verdict"].as_str())
        .collect();
    assert_eq!(verdicts, ["executed", "unsupported", "executed"]);
}
