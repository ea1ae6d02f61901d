//! A rule's predicate: what does this PostgreSQL expression mean, and how is it asked of DuckDB?
//!
//! Input: the text of `when`. Output: [`Predicate`]: the columns it reads, its LIKE patterns, and SQL that DuckDB answers as
//! PostgreSQL would. PostgreSQL's own parser reads it. Invariant: only forms known to mean the same on both sides pass;
//! anything else is refused by name, because a rule that is silently read differently would falsify every figure.
//! Left out: subqueries, aggregates, and types beyond what an enum comparison needs.

use anyhow::{Result, anyhow, bail};
use pg_query::NodeEnum;
use pg_query::protobuf::{self, AExpr, AExprKind, FuncCall, Node, SelectStmt, a_const::Val};

use crate::ui::hinted;

/// A predicate, read and translated.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// As it was written.
    pub source: String,
    /// For DuckDB.
    pub duckdb_sql: String,
    /// Columns it reads, sorted, as PostgreSQL folds their names.
    pub columns: Vec<String>,
    /// LIKE and ILIKE patterns that are constants.
    pub patterns: Vec<Pattern>,
    /// Columns compared with a string constant, for checking enum labels: (column, constant).
    pub comparisons: Vec<(String, String)>,
}

/// A LIKE pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// DuckDB SQL of the expression it is matched against.
    pub subject_sql: String,
    /// The pattern, escapes included.
    pub pattern: String,
    /// ILIKE.
    pub ignores_case: bool,
}

/// Functions that give the same answer in PostgreSQL and in DuckDB for every argument a predicate can pass.
const SAME_FUNCTIONS: &[&str] = &[
    "abs",
    "btrim",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "length",
    "lower",
    "ltrim",
    "nullif",
    "replace",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "position",
    "upper",
];

/// Operators that do.
const SAME_OPERATORS: &[&str] = &["=", "<>", "!=", "<", ">", "<=", ">=", "||", "+", "-", "*"];

const PREFIX: &str = "SELECT 1 WHERE ";

impl Predicate {
    /// Reads a predicate.
    ///
    /// # Errors
    /// Not a single SQL expression (with the place), or a form that isn't known to mean the same in DuckDB (named).
    pub fn parse(source: &str) -> Result<Predicate> {
        let mut parsed = pg_query::parse(&format!("{PREFIX}(\n{source}\n)"), 0)
            .map_err(|error| syntax_error(source, &error.to_string()))?;
        let mut reader = Reader::default();
        {
            let select = only_select(&mut parsed.protobuf)
                .ok_or_else(|| anyhow!("the predicate isn't a single expression: {}", source.trim()))?;
            let condition = select.where_clause.as_mut().expect("the text has a WHERE clause");
            reader.read(condition)?;
        }
        let sql = deparse(&parsed.protobuf)?;
        reader.columns.sort();
        reader.columns.dedup();
        Ok(Predicate {
            source: source.trim().to_owned(),
            duckdb_sql: sql,
            columns: reader.columns,
            patterns: reader.patterns,
            comparisons: reader.comparisons,
        })
    }
}

/// The statement's SELECT, when it is nothing but `SELECT 1 WHERE …`.
fn only_select(parsed: &mut protobuf::ParseResult) -> Option<&mut SelectStmt> {
    let [statement] = parsed.stmts.as_mut_slice() else { return None };
    let Some(NodeEnum::SelectStmt(select)) = statement.stmt.as_mut()?.node.as_mut() else { return None };
    let bare = select.from_clause.is_empty()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.larg.is_none();
    bare.then_some(&mut **select)
}

fn deparse(parsed: &protobuf::ParseResult) -> Result<String> {
    let sql = pg_query::deparse(parsed, Default::default())?;
    let condition = sql.strip_prefix(PREFIX).ok_or_else(|| anyhow!("PostgreSQL's parser printed {sql:?}"))?;
    Ok(condition.to_owned())
}

/// PostgreSQL's message, with a caret under the place where it can be told.
fn syntax_error(source: &str, message: &str) -> anyhow::Error {
    let message = message.trim_start_matches("Invalid statement: ");
    let near = message.split("at or near \"").nth(1).and_then(|rest| rest.strip_suffix('"'));
    let place = near.and_then(|token| {
        let at = source.find(token)?;
        let line_start = source[..at].rfind('\n').map_or(0, |i| i + 1);
        let line = source[line_start..].lines().next()?;
        let column = source[line_start..at].chars().count();
        Some(format!("\n  {line}\n  {}^", " ".repeat(column)))
    });
    match place {
        Some(place) => anyhow!("{message}{place}"),
        None => anyhow!("{message} in: {}", source.trim()),
    }
}

#[derive(Default)]
struct Reader {
    columns: Vec<String>,
    patterns: Vec<Pattern>,
    comparisons: Vec<(String, String)>,
}

impl Reader {
    /// Walks an expression, gathers what it reads and rewrites in place what DuckDB would read differently.
    fn read(&mut self, node: &mut Node) -> Result<()> {
        match node.node.as_mut() {
            Some(NodeEnum::AConst(_)) => Ok(()),
            Some(NodeEnum::ColumnRef(column)) => {
                let name = column_name(&column.fields)?;
                self.columns.push(name);
                Ok(())
            }
            Some(NodeEnum::BoolExpr(expression)) => self.read_all(&mut expression.args),
            Some(NodeEnum::NullTest(test)) => self.read_some(&mut test.arg),
            Some(NodeEnum::BooleanTest(test)) => self.read_some(&mut test.arg),
            Some(NodeEnum::List(list)) => self.read_all(&mut list.items),
            Some(NodeEnum::CoalesceExpr(expression)) => self.read_all(&mut expression.args),
            Some(NodeEnum::CaseExpr(case)) => {
                self.read_some(&mut case.arg)?;
                self.read_all(&mut case.args)?;
                self.read_some(&mut case.defresult)
            }
            Some(NodeEnum::CaseWhen(when)) => {
                self.read_some(&mut when.expr)?;
                self.read_some(&mut when.result)
            }
            Some(NodeEnum::FuncCall(call)) => {
                let name = names(&call.funcname).pop().unwrap_or_default();
                if !SAME_FUNCTIONS.contains(&name.as_str()) {
                    return Err(hinted(
                        anyhow!("the function {name} isn't known to give the same answer here as on the server"),
                        format!("functions that are: {}", SAME_FUNCTIONS.join(", ")),
                    ));
                }
                if name == "btrim" {
                    // The same function under the only name DuckDB has for it.
                    call.funcname = vec![word("trim")];
                }
                self.read_all(&mut call.args)
            }
            Some(NodeEnum::AExpr(expression)) => {
                let replacement = self.read_operator(expression)?;
                if replacement.is_some() {
                    node.node = replacement;
                }
                Ok(())
            }
            Some(NodeEnum::SubLink(_)) => bail!("a rule can't contain a subquery: it is asked of one row at a time"),
            Some(NodeEnum::TypeCast(_)) => bail!("a rule can't contain a cast: compare the column as it is"),
            _ => bail!("this form of expression isn't known to give the same answer here as on the server"),
        }
    }

    fn read_all(&mut self, nodes: &mut [Node]) -> Result<()> {
        nodes.iter_mut().try_for_each(|node| self.read(node))
    }

    fn read_some(&mut self, node: &mut Option<Box<Node>>) -> Result<()> {
        node.as_mut().map_or(Ok(()), |node| self.read(node))
    }

    /// Reads an operator expression; returns what stands in its place, where DuckDB needs other words.
    fn read_operator(&mut self, expression: &mut AExpr) -> Result<Option<NodeEnum>> {
        let operator = names(&expression.name).pop().unwrap_or_default();
        let kind = AExprKind::try_from(expression.kind).unwrap_or(AExprKind::Undefined);
        self.read_some(&mut expression.lexpr)?;
        match kind {
            AExprKind::AexprLike | AExprKind::AexprIlike => {
                self.read_pattern(expression, &operator, kind == AExprKind::AexprIlike)
            }
            AExprKind::AexprOp if ["~", "~*", "!~", "!~*"].contains(&operator.as_str()) => {
                regular_expression(expression, &operator).map(Some)
            }
            AExprKind::AexprOp if SAME_OPERATORS.contains(&operator.as_str()) => {
                self.read_some(&mut expression.rexpr)?;
                self.note_comparison(expression);
                Ok(None)
            }
            AExprKind::AexprIn
            | AExprKind::AexprDistinct
            | AExprKind::AexprNotDistinct
            | AExprKind::AexprBetween
            | AExprKind::AexprNotBetween
            | AExprKind::AexprNullif => {
                self.read_some(&mut expression.rexpr)?;
                self.note_comparison(expression);
                Ok(None)
            }
            _ => bail!("the operator {operator} isn't known to give the same answer here as on the server"),
        }
    }

    /// LIKE: PostgreSQL's default escape character is a backslash, DuckDB's LIKE has none, its `like_escape` has any.
    fn read_pattern(&mut self, expression: &mut AExpr, operator: &str, ignores_case: bool) -> Result<Option<NodeEnum>> {
        let subject = expression.lexpr.as_deref().ok_or_else(|| anyhow!("LIKE without a left side"))?;
        let pattern = expression.rexpr.as_deref().ok_or_else(|| anyhow!("LIKE without a pattern"))?;
        let Some(text) = string_constant(pattern) else {
            bail!("a LIKE pattern must be a string constant, and its escape character the default backslash");
        };
        self.patterns.push(Pattern { subject_sql: expression_sql(subject)?, pattern: text.clone(), ignores_case });
        if !text.contains('\\') {
            return Ok(None);
        }
        let negated = if operator.starts_with('!') { "not_" } else { "" };
        let name = format!("{negated}{}like_escape", if ignores_case { "i" } else { "" });
        Ok(call(&name, vec![subject.clone(), pattern.clone(), constant("\\")]).node)
    }

    fn note_comparison(&mut self, expression: &AExpr) {
        let (Some(left), Some(right)) = (expression.lexpr.as_deref(), expression.rexpr.as_deref()) else { return };
        for (column, constant) in [(left, right), (right, left)] {
            let Some(NodeEnum::ColumnRef(column)) = &column.node else { continue };
            let Ok(column) = column_name(&column.fields) else { continue };
            let constants = match &constant.node {
                Some(NodeEnum::List(list)) => list.items.iter().filter_map(string_constant).collect(),
                _ => Vec::from_iter(string_constant(constant)),
            };
            self.comparisons.extend(constants.into_iter().map(|c| (column.clone(), c)));
        }
    }
}

/// `a ~ 'p'` becomes `regexp_matches(a, '(?s)p')`: in PostgreSQL a dot also matches a line break.
fn regular_expression(expression: &mut AExpr, operator: &str) -> Result<NodeEnum> {
    let pattern = expression.rexpr.as_deref().and_then(string_constant);
    let Some(pattern) = pattern else { bail!("a regular expression must be a string constant") };
    if pattern.contains(['\\', '{']) || pattern.contains("(?") || pattern.contains("[[") {
        bail!("the regular expression {pattern} uses forms that the two engines may read differently");
    }
    let subject = expression.lexpr.take().ok_or_else(|| anyhow!("{operator} without a left side"))?;
    let flags = if operator.ends_with('*') { "i" } else { "" };
    let matches = call("regexp_matches", vec![*subject, constant(&format!("(?s){pattern}")), constant(flags)]);
    if !operator.starts_with('!') {
        return matches.node.ok_or_else(|| anyhow!("an empty expression"));
    }
    Ok(NodeEnum::BoolExpr(Box::new(protobuf::BoolExpr {
        boolop: protobuf::BoolExprType::NotExpr as i32,
        args: vec![matches],
        ..Default::default()
    })))
}

fn column_name(fields: &[Node]) -> Result<String> {
    match names(fields).as_slice() {
        [name] if fields.len() == 1 => Ok(name.clone()),
        _ => bail!("a rule names columns alone, without a table and without *"),
    }
}

fn names(nodes: &[Node]) -> Vec<String> {
    nodes
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::String(text)) => Some(text.sval.clone()),
            _ => None,
        })
        .collect()
}

fn string_constant(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Sval(text)) => Some(text.sval.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn constant(text: &str) -> Node {
    Node {
        node: Some(NodeEnum::AConst(protobuf::AConst {
            isnull: false,
            location: -1,
            val: Some(Val::Sval(protobuf::String { sval: text.to_owned() })),
        })),
    }
}

fn word(text: &str) -> Node {
    Node { node: Some(NodeEnum::String(protobuf::String { sval: text.to_owned() })) }
}

fn call(function: &str, args: Vec<Node>) -> Node {
    let call = FuncCall {
        funcname: vec![word(function)],
        args,
        funcformat: protobuf::CoercionForm::CoerceExplicitCall as i32,
        location: -1,
        ..Default::default()
    };
    Node { node: Some(NodeEnum::FuncCall(Box::new(call))) }
}

/// SQL text of one expression.
fn expression_sql(node: &Node) -> Result<String> {
    let mut parsed = pg_query::parse(&format!("{PREFIX}true"), 0)?.protobuf;
    let select = only_select(&mut parsed).ok_or_else(|| anyhow!("the parser's own statement has another shape"))?;
    select.where_clause = Some(Box::new(node.clone()));
    deparse(&parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        assert_eq!(Predicate::parse(source).expect(source).duckdb_sql, expected, "{source}");
    }

    fn check_error(source: &str, expected: &str) {
        let error = Predicate::parse(source).expect_err(source).to_string();
        assert!(error.contains(expected), "{source}: {error}");
    }

    #[test]
    fn like_gets_the_escape_character_it_has_on_the_server() {
        check("operation LIKE 'a_b%'", "operation LIKE 'a_b%'");
        check("operation LIKE 'a\\_b%'", "like_escape(operation, E'a\\\\_b%', E'\\\\')");
        check("operation NOT ILIKE 'a\\_b%'", "not_ilike_escape(operation, E'a\\\\_b%', E'\\\\')");
    }

    #[test]
    fn a_dot_matches_a_line_break() {
        check("operation ~ '^a.b'", "regexp_matches(operation, '(?s)^a.b', '')");
        check("operation !~* 'x'", "NOT regexp_matches(operation, '(?s)x', 'i')");
    }

    #[test]
    fn functions_keep_their_meaning() {
        check("btrim(operation) = 'a'", "\"trim\"(operation) = 'a'");
        check("position('a' in operation) > 1", "POSITION('a' IN operation) > 1");
    }

    #[test]
    fn names_are_folded_unless_quoted() {
        let predicate = Predicate::parse("Operation = 'a' AND \"jobId\" IS NULL").expect("valid");
        assert_eq!(predicate.columns, ["jobId", "operation"]);
        assert_eq!(predicate.comparisons, [("operation".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn what_may_differ_is_refused_by_name() {
        check_error("random() < 0.5", "random");
        check_error("id IN (SELECT 1)", "subquery");
        check_error("operation SIMILAR TO 'a'", "operator");
        check_error("operation LIKE job_id", "constant");
        check_error("true) GROUP BY (1", "single expression");
        check_error("true; DROP TABLE x", "syntax error");
    }

    #[test]
    fn a_syntax_error_points_at_the_place() {
        check_error("operation = = 'a'", "at or near \"=\"\n  operation = = 'a'\n");
    }
}
