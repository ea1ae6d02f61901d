//! Bodies and their trees.

use super::*;
use crate::plpgsql::tree::Kind as Statement;

/// What a body's statements are, or what is wrong with it.
fn check(text: &str, kind: Kind, expected: &str) {
    let found = match body(text, &["p".to_owned()], kind) {
        Ok(body) => {
            let kinds = body.block.body.iter().map(|statement| {
                let shown = match &statement.kind {
                    Statement::Sql(sql, into) => format!("Sql [{}] into {}", sql.text, into.is_some()),
                    other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
                };
                format!("{}:{shown}", statement.at)
            });
            kinds.collect::<Vec<_>>().join(" ")
        }
        Err(problem) => problem.to_string(),
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn statements_are_told_apart() {
    check("BEGIN END", Kind::Void, "");
    check("BEGIN p := 1; p = 2; NULL; END;", Kind::Void, "6:Assign 14:Assign 21:Nothing");
    check("BEGIN INSERT INTO t VALUES (1); END", Kind::Void, "6:Sql [INSERT INTO t VALUES (1)] into false");
    check("BEGIN SELECT a, b INTO STRICT p FROM t; END", Kind::Void, "6:Sql [SELECT a, b FROM t] into true");
    check("BEGIN IF p THEN NULL; ELSIF 1 = 2 THEN NULL; ELSE NULL; END IF; END", Kind::Void, "6:If");
    check("BEGIN FOR i IN 1..(2 + 3) LOOP p := i; END LOOP; END", Kind::Void, "6:ForRange");
    check("BEGIN FOR p IN SELECT 1 LOOP END LOOP; END", Kind::Void, "6:ForQuery");
    check("BEGIN UPDATE t SET a = 1; END -- the end", Kind::Void, "6:Sql [UPDATE t SET a = 1] into false");
}

#[test]
fn errors_are_the_servers() {
    check("BEGIN x := 1; END", Kind::Void, "\"x\" is not a known variable (42601)");
    check("BEGIN RETURN 1; END", Kind::Void, "RETURN cannot have a parameter in function returning void (42804)");
    check("BEGIN EXIT; END", Kind::Void, "EXIT cannot be used outside a loop, unless it has a label (42601)");
    check("BEGIN RAISE 'a % b'; END", Kind::Void, "too few parameters specified for RAISE (42601)");
    check("BEGIN RAISE nonsense; END", Kind::Void, "unrecognized exception condition \"nonsense\" (42704)");
    check("BEGIN RETURN NEXT 1; END", Kind::Scalar, "cannot use RETURN NEXT in a non-SETOF function (42804)");
    check("BEGIN OPEN c; END", Kind::Void, "\"c\" is not a known variable (42601)");
    check("BEGIN CLOSE 1; END", Kind::Void, "syntax error at or near \"1\" (42601)");
}
