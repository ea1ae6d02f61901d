//! Expressions of a wanted type over the columns in scope.

use super::dice::Dice;
use super::schema::{Schema, Table, Ty, literal, typed};

/// Columns that an expression may name, and tables that its subqueries may read.
pub struct Scope<'a> {
    /// As they are written, with their types.
    pub columns: Vec<(String, Ty)>,
    pub schema: &'a Schema,
}

impl<'a> Scope<'a> {
    /// The columns of one table, under an alias or bare.
    pub fn of(table: &Table, alias: &str, schema: &'a Schema) -> Scope<'a> {
        let mut scope = Scope { columns: Vec::new(), schema };
        scope.add(table, alias);
        scope
    }

    /// Another table's columns come in.
    pub fn add(&mut self, table: &Table, alias: &str) {
        let prefix = if alias.is_empty() { String::new() } else { format!("{alias}.") };
        self.columns.extend(table.columns.iter().map(|c| (format!("{prefix}{}", c.name), c.ty)));
    }

    fn column(&self, dice: &mut Dice, ty: Ty) -> Option<String> {
        let fitting: Vec<&String> = self.columns.iter().filter(|(_, t)| ty.takes(*t)).map(|(name, _)| name).collect();
        if fitting.is_empty() { None } else { Some(dice.of(&fitting).clone()) }
    }
}

/// An expression of a type. Now and then it is one of another type: a wrong statement.
pub fn expression(dice: &mut Dice, scope: &Scope<'_>, ty: Ty, depth: usize) -> String {
    if dice.below(400) == 0 {
        let other = Ty::any(dice);
        return expression(dice, scope, other, depth);
    }
    if depth == 0 || dice.percent(35) {
        return match scope.column(dice, ty) {
            Some(column) if dice.percent(75) => column,
            _ => typed(dice, ty),
        };
    }
    if dice.percent(12) {
        return any_type(dice, scope, ty, depth - 1);
    }
    let template = dice.word(templates(ty));
    fill(dice, scope, &template, depth - 1)
}

/// Forms that fit every type.
fn any_type(dice: &mut Dice, scope: &Scope<'_>, ty: Ty, depth: usize) -> String {
    let one = |dice: &mut Dice| expression(dice, scope, ty, depth);
    let (a, b) = (one(dice), one(dice));
    match dice.below(5) {
        0 => format!("coalesce({a}, {b})"),
        1 => format!("CASE WHEN {} THEN {a} ELSE {b} END", condition(dice, scope, depth)),
        2 => format!("CASE WHEN {} THEN {a} END", condition(dice, scope, depth)),
        3 if !matches!(ty, Ty::Jsonb) => format!("nullif({a}, {b})"),
        _ => subquery(dice, scope, ty, depth).unwrap_or(a),
    }
}

/// A subquery with one value.
fn subquery(dice: &mut Dice, scope: &Scope<'_>, ty: Ty, depth: usize) -> Option<String> {
    let table = scope.schema.table(dice);
    let column = table.columns.iter().find(|c| c.ty == ty)?.name.clone();
    if matches!(ty, Ty::Jsonb | Ty::Bool | Ty::Uuid | Ty::Ints | Ty::Texts) {
        return None;
    }
    let mut inner = Scope::of(&table, "q", scope.schema);
    inner.columns.extend(scope.columns.iter().cloned());
    let condition = condition(dice, &inner, depth.min(1));
    let aggregate = dice.word(&["max", "min"]);
    Some(format!("(SELECT {aggregate}(q.{column}) FROM {} AS q WHERE {condition})", table.name))
}

/// What can be made of each type: `{t}` is an expression of text, `{i}` of int, `{n}` of numeric, and so on; `{C}` a condition.
fn templates(ty: Ty) -> &'static [&'static str] {
    match ty {
        Ty::Small => &["{i}::smallint", "({i} % 5)::smallint", "abs({i})::smallint"],
        Ty::Int => &[
            "{i} + {i}",
            "{i} - {i}",
            "{i} * 2",
            "{i} / 2",
            "{i} % 3",
            "-{i}",
            "abs({i})",
            "length({t})",
            "{i} / nullif({i}, 0)",
            "{n}::int",
            "{B}::int",
            "greatest({i}, {i})",
            "least({i}, {i}, 3)",
            "position('b' in {t})",
            "cardinality({I})",
            "array_length({T}, 1)",
            "extract(year FROM {d})::int",
            "extract(month FROM {s})::int",
            "{D} - {D}",
            "char_length({t})",
            "sign({i})::int",
            "mod({i}, 4)",
            "strpos({t}, 'a')",
            "({j} ->> 'a')::int",
            "jsonb_array_length('[1,2]')",
            "({I})[1]",
            "{f}::int",
            "ascii({t})",
            "octet_length({t})",
            "CASE {i} WHEN 1 THEN {i} WHEN 2 THEN 0 ELSE {i} END",
            "({i} + {i}) / 3",
            "array_position({I}, 3)",
            "date_part('day', {d})::int",
            "round({n})::int",
            "floor({f})::int",
            "{i} # {i}",
            "{i} & 6",
            "coalesce({i}, 0) + 1",
            "width_bucket({n}, 0, 10, 5)",
        ],
        Ty::Big => &[
            "{i}::bigint",
            "{b} + {i}",
            "{b} * {i}",
            "(SELECT count(*) FROM {R})",
            "{b} - 1",
            "{n}::bigint",
            "extract(epoch FROM {s})::bigint",
            "{b} / 3",
            "{b} % 7",
        ],
        Ty::Numeric(..) | Ty::Decimal => &[
            "{n} + {n}",
            "{n} - {n}",
            "{n} * {n}",
            "round({n}, 1)",
            "round({n})",
            "trunc({n}, 1)",
            "ceil({n})",
            "floor({n})",
            "abs({n})",
            "{i}::numeric",
            "{n} / 4",
            "{n} / nullif({n}, 0)",
            "-{n}",
            "{n} % 3",
            "{i} / 3.0",
            "round({i} * 1.1, 2)",
            "greatest({n}, {n})",
            "{n}::numeric(8,1)",
            "extract(epoch FROM {d})",
            "coalesce({n}, 0)",
            "power({n}, 2)",
            "sqrt(abs({n}))",
            "(SELECT avg(x) FROM (VALUES ({n}), (1)) AS v(x))",
            "to_number('12.5', '99.9')",
        ],
        Ty::Float => &[
            "{f} + {f}",
            "{f} * 2",
            "{i}::float8",
            "{n}::float8",
            "round({f})",
            "abs({f})",
            "{f} / 4",
            "sqrt(abs({f}))",
            "power({f}, 2)",
            "extract(day FROM {d})::float8",
            "floor({f})",
            "-{f}",
            "trunc({f})",
        ],
        Ty::Text | Ty::Varchar(_) => &[
            "{t} || {t}",
            "upper({t})",
            "lower({t})",
            "trim({t})",
            "ltrim({t}, 'a ')",
            "substr({t}, 2)",
            "substring({t} from 1 for 3)",
            "left({t}, 2)",
            "right({t}, 3)",
            "replace({t}, 'a', 'X')",
            "{i}::text",
            "{i} || '-' || {t}",
            "concat({t}, {i}, {t})",
            "concat_ws('/', {t}, {t}, {i})",
            "lpad({t}, 4, '*')",
            "rpad({t}, 3, 'ab')",
            "split_part({t}, ' ', 1)",
            "regexp_replace({t}, '[aeiou]', '_', 'g')",
            "regexp_replace({t}, '\\s+', '-')",
            "md5({t})",
            "initcap({t})",
            "reverse({t})",
            "repeat({t}, 2)",
            "{e}::text",
            "{j} ->> 'a'",
            "{j} ->> 'b'",
            "{j}::text",
            "array_to_string({T}, ',')",
            "array_to_string({I}, '-', '?')",
            "to_char({d}, 'YYYY-MM-DD')",
            "to_char({s}, 'YYYY-MM-DD HH24:MI:SS')",
            "{d}::text",
            "{B}::text",
            "{n}::text",
            "{u}::text",
            "{s}::text",
            "({T})[1]",
            "coalesce({t}, '')",
            "nullif({t}, '')",
            "translate({t}, 'abc', 'xy')",
            "overlay({t} placing 'Q' from 2 for 1)",
            "format('%s-%s', {t}, {i})",
            "{f}::text",
            "to_char({i}, 'FM0000')",
            "btrim({t})",
            "left({t}, -1)",
            "substring({t} from '[a-z]+')",
            "{j} #>> '{b,c}'",
            "to_char({n}, 'FM999990.00')",
            "(SELECT string_agg(x, ',' ORDER BY x) FROM unnest({T}) AS x)",
            "{I}::text",
            "{T}::text",
            "chr(65)",
            "quote_literal({t})",
            "'x' || {e}",
            "encode({t}::bytea, 'hex')",
            "jsonb_typeof({j})",
            "substr({t}, -1, 3)",
            "{t}::varchar(2)",
            "concat({B}, {n})",
            "starts_with({t}, 'a')::text",
            "to_char({s}, 'DD Mon YYYY')",
            "CASE {e} WHEN 'green' THEN 'G' ELSE {t} END",
        ],
        Ty::Bool => &[
            "{C}",
            "{C}",
            "NOT {B}",
            "{B} AND {C}",
            "{B} OR {C}",
            "{i} > {i}",
            "coalesce({B}, false)",
            "{t} LIKE 'a%'",
            "{B} IS TRUE",
            "{t} = ANY({T})",
            "{i}::boolean",
            "{t} IS NULL",
        ],
        Ty::Uuid => &["coalesce({u}, '00000000-0000-0000-0000-000000000000')", "{u}::text::uuid", "md5({t})::uuid"],
        Ty::Date => &[
            "{d} + {i}",
            "{d} - 1",
            "{s}::date",
            "date_trunc('month', {s})::date",
            "greatest({d}, {d})",
            "({d} + interval '1 month')::date",
            "make_date(2024, 2, 28)",
            "coalesce({d}, '2020-01-01')",
            "to_date('2024-02', 'YYYY-MM')",
            "{z}::date",
        ],
        Ty::Timestamp => &[
            "{s} + interval '1 day'",
            "{s} - interval '90 minutes'",
            "date_trunc('day', {s})",
            "date_trunc('hour', {s})",
            "{d}::timestamp",
            "{d} + interval '2 hours'",
            "greatest({s}, {s})",
            "{z} AT TIME ZONE 'UTC'",
            "{s} + {i} * interval '1 hour'",
            "to_timestamp({i})::timestamp",
            "make_timestamp(2024, 1, 2, 3, 4, 5.5)",
            "{s}::timestamp(0)",
            "date_trunc('week', {s})",
        ],
        Ty::Timestamptz => &[
            "{z} + interval '1 month'",
            "{s} AT TIME ZONE 'UTC'",
            "date_trunc('month', {z})",
            "{s}::timestamptz",
            "to_timestamp({i})",
            "least({z}, {z})",
            "{s} AT TIME ZONE 'Europe/Berlin'",
        ],
        Ty::Enum(0) => &[
            "CASE WHEN {C} THEN 'red'::e0 ELSE {e} END",
            "coalesce({e}, 'blue')",
            "'green'::text::e0",
            "(CASE WHEN {C} THEN 'red' ELSE 'blue' END)::e0",
            "greatest({e}, 'green'::e0)",
        ],
        Ty::Enum(_) => &["CASE WHEN {C} THEN 'a'::e1 ELSE 'b' END", "'green'::text::e1"],
        Ty::Jsonb => &[
            "{j} || {j}",
            "{j} - 'a'",
            "{j} -> 'b'",
            "jsonb_build_object('a', {i}, 't', {t})",
            "jsonb_set({j}, '{a}', to_jsonb({i}))",
            "to_jsonb({t})",
            "to_jsonb({i})",
            "jsonb_build_array({i}, {t}, NULL)",
            "jsonb_strip_nulls({j})",
            "coalesce({j}, '{}')",
            "{j} || jsonb_build_object('n', {n})",
            "{j} -> 0",
            "{j} #> '{b,c}'",
            "to_jsonb({I})",
            "to_jsonb({T})",
            "jsonb_build_object({t}, {j})",
            "to_jsonb({d})",
            "to_jsonb({s})",
            "jsonb_insert({j}, '{b,0}', '7')",
            "(SELECT jsonb_agg(x ORDER BY x) FROM unnest({I}) AS x)",
            "{j} #- '{b,0}'",
            "{j} - 0",
            "jsonb_set({j}, '{z,y}', 'true', true)",
            "to_jsonb({B})",
        ],
        Ty::Ints => &[
            "ARRAY[{i}, {i}]",
            "{I} || {i}",
            "array_append({I}, {i})",
            "array_remove({I}, 3)",
            "{I} || {I}",
            "({I})[1:2]",
            "array_prepend({i}, {I})",
            "array_cat({I}, {I})",
            "coalesce({I}, '{}')",
            "array_replace({I}, 1, 9)",
            "(SELECT array_agg(x ORDER BY x) FROM unnest({I}) AS x)",
            "ARRAY(SELECT x + 1 FROM unnest({I}) AS x ORDER BY 1)",
            "string_to_array('1,2', ',')::int[]",
        ],
        Ty::Texts => &[
            "ARRAY[{t}, 'x']",
            "{T} || {t}",
            "array_append({T}, {t})",
            "string_to_array({t}, ',')",
            "array_remove({T}, 'a')",
            "regexp_split_to_array({t}, ' ')",
            "ARRAY[{t}]::text[]",
            "{T} || ARRAY[{t}]",
            "{I}::text[]",
            "(SELECT array_agg(DISTINCT x ORDER BY x) FROM unnest({T}) AS x)",
        ],
    }
}

/// A condition.
pub fn condition(dice: &mut Dice, scope: &Scope<'_>, depth: usize) -> String {
    const FORMS: &[&str] = &[
        "{i} = {i}",
        "{i} > 2",
        "{i} < {i}",
        "{i} IN (1, 2, {i})",
        "{i} BETWEEN 0 AND 4",
        "{i} NOT IN (3, 5)",
        "{t} = {t}",
        "{t} <> ''",
        "{t} LIKE '%a%'",
        "{t} ILIKE 'A%'",
        "{t} ~ '^[a-z]+$'",
        "{t} ~* 'B'",
        "{t} !~ 'x'",
        "{t} IS NOT NULL",
        "{t} NOT LIKE '_b%'",
        "{t} IN ('a', 'b', 'abc')",
        "{d} > '2024-01-01'",
        "{s} < '2024-02-01'",
        "{z} >= '2024-01-01'",
        "{B}",
        "NOT {B}",
        "{B} IS NOT TRUE",
        "{e} = 'green'",
        "{e} < 'blue'",
        "{e} IN ('red', 'blue')",
        "{e} IS DISTINCT FROM 'red'",
        "{u} = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "{n} > 1",
        "{n} = {i}",
        "{j} ? 'a'",
        "{j} @> '{\"a\": 1}'",
        "{j} ->> 'a' = '1'",
        "{j} -> 'b' IS NULL",
        "{j} = '{}'",
        "{I} @> ARRAY[1]",
        "{i} = ANY({I})",
        "{t} = ANY(ARRAY['a', 'b'])",
        "{I} && ARRAY[1, 3]",
        "{T} = '{}'",
        "{t} = ANY('{a,ab}')",
        "cardinality({T}) > 0",
        "EXISTS (SELECT 1 FROM {R} WHERE {C})",
        "{i} IN (SELECT length({t}) FROM {R})",
        "{i} NOT IN (SELECT {i} FROM {R} WHERE {C})",
        "{i} > (SELECT count(*) FROM {R})",
        "{C} AND {C}",
        "{C} OR {C}",
        "NOT ({C})",
        "({i}, {t}) = (1, 'a')",
        "({i}, {t}) IN ((1, 'a'), (2, 'b'))",
        "{i} IS DISTINCT FROM {i}",
        "{f} < 2",
        "true",
        "{d} = {s}::date",
        "{t} > 'a'",
        "{t} SIMILAR TO '(a|b)%'",
        "{j} ?| ARRAY['a', 'k']",
        "{s} > {d}",
        "length({t}) > 2",
        "{t} = ''",
        "{i} = ALL({I})",
        "coalesce({t}, '') = ''",
        "{I} IS NULL",
        "{i}::text = {t}",
    ];
    if depth == 0 {
        let (name, ty) = dice.of(&scope.columns);
        return match dice.below(4) {
            0 => format!("{name} IS NOT NULL"),
            1 => format!("{name} IS NULL"),
            _ if ty == Ty::Jsonb => format!("{name} <> {}", typed(dice, ty)),
            _ => format!("{name} {} {}", dice.word(&["=", "<>", "<", ">=", "IS DISTINCT FROM"]), literal(dice, ty)),
        };
    }
    let form = dice.word(FORMS);
    format!("({})", fill(dice, scope, &form, depth - 1))
}

/// Puts expressions where a template asks for them.
fn fill(dice: &mut Dice, scope: &Scope<'_>, template: &str, depth: usize) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let mark = rest[at..].get(..3).filter(|mark| mark.ends_with('}')).unwrap_or_default();
        let ty = match mark {
            "{i}" => Ty::Int,
            "{b}" => Ty::Big,
            "{n}" => Ty::Decimal,
            "{f}" => Ty::Float,
            "{t}" => Ty::Text,
            "{B}" => Ty::Bool,
            "{u}" => Ty::Uuid,
            "{d}" | "{D}" => Ty::Date,
            "{s}" => Ty::Timestamp,
            "{z}" => Ty::Timestamptz,
            "{e}" => Ty::Enum(0),
            "{j}" => Ty::Jsonb,
            "{I}" => Ty::Ints,
            "{T}" => Ty::Texts,
            "{C}" | "{R}" => Ty::Bool,
            _ => {
                text += &rest[..=at];
                rest = &rest[at + 1..];
                continue;
            }
        };
        text += &rest[..at];
        text += &match mark {
            "{C}" => condition(dice, scope, depth),
            "{R}" => scope.schema.table(dice).name,
            _ => operand(dice, scope, ty, depth),
        };
        rest = &rest[at + 3..];
    }
    text + rest
}

/// An expression that can stand beside any operator.
fn operand(dice: &mut Dice, scope: &Scope<'_>, ty: Ty, depth: usize) -> String {
    let text = expression(dice, scope, ty, depth);
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if plain { text } else { format!("({text})") }
}
