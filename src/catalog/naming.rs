//! Names as PostgreSQL makes them: which name does an object get that the statement doesn't name, and what becomes of a long one?
//!
//! Input: a table, columns, a suffix. Output: names of at most 63 bytes, numbered where taken. The rules are those of
//! `makeObjectName`, `ChooseRelationName` and `ChooseConstraintName` (src/backend/commands/indexcmds.c, catalog/pg_constraint.c).
//! Left out: nothing else names objects.

use pg_query::NodeEnum;
use pg_query::protobuf::{MinMaxOp, Node, SqlValueFunctionOp, SubLinkType, Token};

use super::Catalog;
use super::tree;

/// Bytes of a name: NAMEDATALEN - 1.
pub const NAME_BYTES: usize = 63;

/// `name` cut to what PostgreSQL keeps of it, never inside a character.
pub fn truncated(name: &str) -> &str {
    clipped(name, NAME_BYTES)
}

fn clipped(name: &str, bytes: usize) -> &str {
    let mut end = bytes.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// What the server notices about a statement's text: names longer than it keeps, which its parser has cut already.
pub fn truncation_notes(sql: &str) -> Vec<String> {
    let Ok(scanned) = pg_query::scan(sql) else { return vec![] };
    let mut notes = Vec::new();
    for token in &scanned.tokens {
        if token.token != Token::Ident as i32 {
            continue;
        }
        let Some(text) =
            usize::try_from(token.start).ok().zip(usize::try_from(token.end).ok()).and_then(|(a, b)| sql.get(a..b))
        else {
            continue;
        };
        let name = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => text.to_ascii_lowercase(),
        };
        if name.len() > NAME_BYTES {
            let note = format!("identifier \"{name}\" will be truncated to \"{}\"", truncated(&name));
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

/// `name1_name2_label`, the two names shortened in turn, the longer one first, until it all fits.
pub fn object_name(name1: &str, name2: Option<&str>, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(name2.is_some());
    let available = NAME_BYTES.saturating_sub(overhead);
    let (mut bytes1, mut bytes2) = (name1.len(), name2.map_or(0, str::len));
    while bytes1 + bytes2 > available {
        if bytes1 > bytes2 { bytes1 -= 1 } else { bytes2 -= 1 }
    }
    match name2 {
        Some(name2) => format!("{}_{}_{label}", clipped(name1, bytes1), clipped(name2, bytes2)),
        None => format!("{}_{label}", clipped(name1, bytes1)),
    }
}

/// Column names joined as part of a name.
pub fn addition(columns: &[String]) -> String {
    let mut all = String::new();
    for column in columns {
        if !all.is_empty() {
            all.push('_');
        }
        all.push_str(column);
        if all.len() > NAME_BYTES {
            break;
        }
    }
    all
}

/// Index columns' names, made different from each other.
pub fn distinct_names(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = name.clone();
        let mut number = 1;
        while all.contains(&candidate) {
            let digits = number.to_string();
            candidate = format!("{}{digits}", clipped(&name, NAME_BYTES - digits.len()));
            number += 1;
        }
        all.push(candidate);
    }
    all
}

impl Catalog {
    /// A name that no relation of the schema bears; for a constraint's index no constraint either.
    pub fn choose_relation_name(
        &self,
        schema: &str,
        name1: &str,
        name2: Option<&str>,
        label: &str,
        constraint: bool,
    ) -> String {
        numbered(name1, name2, label, |name| {
            self.relation(schema, name).is_some() || (constraint && self.is_constraint_name_used(schema, name))
        })
    }

    /// A name that no constraint of the schema bears, nor one of `others`.
    pub fn choose_constraint_name(
        &self,
        schema: &str,
        name1: &str,
        name2: Option<&str>,
        label: &str,
        others: &[String],
    ) -> String {
        numbered(name1, name2, label, |name| {
            others.iter().any(|other| other == name) || self.is_constraint_name_used(schema, name)
        })
    }

    fn is_constraint_name_used(&self, schema: &str, name: &str) -> bool {
        self.constraints
            .values()
            .any(|c| c.name == name && self.tables.get(&c.table).is_some_and(|table| table.schema == schema))
    }
}

fn numbered(name1: &str, name2: Option<&str>, label: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut number = 0;
    let mut name = object_name(name1, name2, label);
    while is_taken(&name) {
        number += 1;
        name = object_name(name1, name2, &format!("{label}{number}"));
    }
    name
}

/// The name PostgreSQL gives an expression's column (FigureColname); `None` where only `?column?` is left.
pub fn expression_name(node: &Node) -> Option<String> {
    figure(node).map(|(name, _)| name)
}

/// A name, and whether it is a strong one, that a cast around it doesn't replace.
fn figure(node: &Node) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => column.fields.iter().rev().find_map(tree::string).map(|name| (name, true)),
        NodeEnum::AIndirection(e) => match e.indirection.iter().rev().find_map(tree::string) {
            Some(name) => Some((name, true)),
            None => figure(e.arg.as_deref()?),
        },
        NodeEnum::FuncCall(call) => tree::strings(&call.funcname).pop().map(|name| (name, true)),
        NodeEnum::AExpr(e) if e.kind == pg_query::protobuf::AExprKind::AexprNullif as i32 => strong("nullif"),
        NodeEnum::TypeCast(cast) => match figure(cast.arg.as_deref()?) {
            Some((name, true)) => Some((name, true)),
            weak => {
                cast.type_name.as_ref().and_then(|ty| tree::strings(&ty.names).pop()).map(|name| (name, false)).or(weak)
            }
        },
        NodeEnum::CollateClause(e) => figure(e.arg.as_deref()?),
        NodeEnum::GroupingFunc(_) => strong("grouping"),
        NodeEnum::SubLink(link) => match SubLinkType::try_from(link.sub_link_type).ok()? {
            SubLinkType::ExistsSublink => strong("exists"),
            SubLinkType::ArraySublink => strong("array"),
            SubLinkType::ExprSublink => match link.subselect.as_deref()?.node.as_ref()? {
                NodeEnum::SelectStmt(select) => match select.target_list.first()?.node.as_ref()? {
                    NodeEnum::ResTarget(target) if !target.name.is_empty() => strong(&target.name),
                    NodeEnum::ResTarget(target) => figure(target.val.as_deref()?),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        NodeEnum::CaseExpr(case) => match case.defresult.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        NodeEnum::AArrayExpr(_) => strong("array"),
        NodeEnum::RowExpr(_) => strong("row"),
        NodeEnum::CoalesceExpr(_) => strong("coalesce"),
        NodeEnum::MinMaxExpr(e) => strong(if e.op == MinMaxOp::IsLeast as i32 { "least" } else { "greatest" }),
        NodeEnum::SqlvalueFunction(function) => {
            strong(value_function_name(SqlValueFunctionOp::try_from(function.op).ok()?))
        }
        _ => None,
    }
}

fn value_function_name(function: SqlValueFunctionOp) -> &'static str {
    use SqlValueFunctionOp as Op;
    match function {
        Op::SvfopCurrentDate => "current_date",
        Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => "current_time",
        Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => "current_timestamp",
        Op::SvfopLocaltime | Op::SvfopLocaltimeN => "localtime",
        Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => "localtimestamp",
        Op::SvfopCurrentRole => "current_role",
        Op::SvfopCurrentUser => "current_user",
        Op::SvfopUser => "user",
        Op::SvfopSessionUser => "session_user",
        Op::SvfopCurrentCatalog => "current_catalog",
        Op::SvfopCurrentSchema => "current_schema",
        Op::SqlvalueFunctionOpUndefined => "?column?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name1: &str, name2: Option<&str>, label: &str, expected: &str) {
        let name = object_name(name1, name2, label);
        assert_eq!(name, expected);
        assert!(name.len() <= NAME_BYTES);
    }

    #[test]
    fn the_longer_part_is_shortened_first() {
        check("t", Some("a"), "key", "t_a_key");
        check("t", None, "pkey", "t_pkey");
        let long = "x".repeat(63);
        check(&long, None, "pkey", &format!("{}_pkey", "x".repeat(58)));
        check(&long, Some("abc"), "fkey", &format!("{}_abc_fkey", "x".repeat(54)));
        check(&long, Some(&"y".repeat(63)), "key", &format!("{}_{}_key", "x".repeat(29), "y".repeat(29)));
        // Never half a character.
        check(&"é".repeat(31), None, "pkey", &format!("{}_pkey", "é".repeat(29)));
    }

    #[test]
    fn the_parser_cuts_long_names_and_the_text_tells() {
        let long = "é".repeat(40);
        let sql = format!("CREATE TABLE \"{long}\" (a int)");
        let parsed = pg_query::parse(&sql, 0).expect("SQL").protobuf;
        let Some(NodeEnum::CreateStmt(statement)) = parsed.stmts[0].stmt.as_ref().and_then(|node| node.node.as_ref())
        else {
            panic!("a CREATE TABLE");
        };
        assert_eq!(statement.relation.as_ref().expect("a table").relname, truncated(&long));
        let expected = format!("identifier \"{long}\" will be truncated to \"{}\"", truncated(&long));
        assert_eq!(truncation_notes(&sql), [expected]);
        assert_eq!(truncation_notes("SELECT a FROM b"), Vec::<String>::new());
    }

    #[test]
    fn expressions_are_named_as_the_server_names_them() {
        let check = |sql: &str, expected: Option<&str>| {
            let node = super::super::expression::parse(sql).expect(sql);
            assert_eq!(expression_name(&node).as_deref(), expected, "{sql}");
        };
        check("lower(a)", Some("lower"));
        check("a::text", Some("a"));
        check("('x')::text", Some("text"));
        check("a + b", None);
        check("coalesce(a, b)", Some("coalesce"));
        check("CASE WHEN a THEN b ELSE c END", Some("c"));
        check("CASE WHEN a THEN b END", Some("case"));
        check("t.a", Some("a"));
    }
}
