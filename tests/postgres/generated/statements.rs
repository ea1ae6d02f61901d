//! Statements that read and write rows.

use super::dice::Dice;
use super::expressions::{Scope, condition, expression};
use super::schema::{Column, Schema, Table, Ty, literal, wrong};

/// How deep expressions go.
const DEPTH: usize = 2;

/// A statement on the rows.
pub fn statement(dice: &mut Dice, schema: &Schema) -> String {
    match dice.below(20) {
        0..=2 => {
            let table = schema.table(dice);
            insert_values(dice, schema, &table)
        }
        3..=5 => insert_select(dice, schema),
        6..=9 => update(dice, schema),
        10 | 11 => update_from(dice, schema),
        12 => delete(dice, schema),
        13 => delete_using(dice, schema),
        14 | 15 => with(dice, schema),
        _ => query(dice, schema),
    }
}

pub fn names(columns: &[Column]) -> String {
    columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn value(dice: &mut Dice, column: &Column) -> String {
    match dice.below(100) {
        0..=9 => "NULL".to_owned(),
        10 => "DEFAULT".to_owned(),
        11 => wrong(dice),
        _ => literal(dice, column.ty),
    }
}

/// `INSERT … VALUES`, sometimes with ON CONFLICT.
pub fn insert_values(dice: &mut Dice, schema: &Schema, table: &Table) -> String {
    let columns = if dice.percent(70) { table.columns.clone() } else { dice.some(&table.columns) };
    let rows: Vec<String> = (0..dice.between(1, 4))
        .map(|_| format!("({})", columns.iter().map(|c| value(dice, c)).collect::<Vec<_>>().join(", ")))
        .collect();
    let conflict = on_conflict(dice, schema, table, 35);
    format!("INSERT INTO {} ({}) VALUES {}{conflict}", table.name, names(&columns), rows.join(", "))
}

fn on_conflict(dice: &mut Dice, schema: &Schema, table: &Table, percent: usize) -> String {
    if !dice.percent(percent) {
        return String::new();
    }
    let mut targets: Vec<String> = table.unique.clone();
    if table.keyed {
        targets.push(table.columns[0].name.clone());
    }
    let target = if targets.is_empty() || dice.percent(25) { String::new() } else { dice.of(&targets) };
    if target.is_empty() || dice.percent(40) {
        let target = if target.is_empty() { target } else { format!(" ({target})") };
        return format!(" ON CONFLICT{target} DO NOTHING");
    }
    let column = dice.of(&table.columns);
    let mut scope = Scope { columns: Vec::new(), schema };
    scope.add(table, "excluded");
    scope.add(table, &table.name);
    let value =
        if dice.percent(60) { format!("excluded.{}", column.name) } else { expression(dice, &scope, column.ty, 1) };
    let filter = if dice.percent(25) { format!(" WHERE {}", condition(dice, &scope, 1)) } else { String::new() };
    format!(" ON CONFLICT ({target}) DO UPDATE SET {} = {value}{filter}", column.name)
}

fn insert_select(dice: &mut Dice, schema: &Schema) -> String {
    let (table, source) = (schema.table(dice), schema.table(dice));
    let columns = if dice.percent(60) { table.columns.clone() } else { dice.some(&table.columns) };
    let scope = Scope::of(&source, "s", schema);
    let values: Vec<String> = columns.iter().map(|c| expression(dice, &scope, c.ty, DEPTH)).collect();
    let filter = if dice.percent(50) { format!(" WHERE {}", condition(dice, &scope, DEPTH)) } else { String::new() };
    let distinct = if dice.percent(15) { "DISTINCT " } else { "" };
    let conflict = on_conflict(dice, schema, &table, 50);
    // PostgreSQL reads `SELECT … ON` as a join's where nothing stands between.
    let filter = if filter.is_empty() && !conflict.is_empty() { " WHERE true".to_owned() } else { filter };
    format!(
        "INSERT INTO {} ({}) SELECT {distinct}{} FROM {} AS s{filter}{conflict}",
        table.name,
        names(&columns),
        values.join(", "),
        source.name
    )
}

fn assignments(dice: &mut Dice, scope: &Scope<'_>, table: &Table) -> String {
    let mut columns = dice.some(&table.columns);
    if columns.len() > 1 && dice.percent(80) {
        // Keys are changed now and then only: most of the time that ends in a violation.
        columns.retain(|c| c.name != "id");
    }
    columns.truncate(3);
    if columns.len() == 2 && dice.percent(10) {
        let pair: Vec<String> = columns.iter().map(|c| expression(dice, scope, c.ty, 1)).collect();
        return format!("({}) = ({})", names(&columns), pair.join(", "));
    }
    let parts: Vec<String> = columns
        .iter()
        .map(|column| match dice.below(100) {
            0..=2 => format!("{} = DEFAULT", column.name),
            3..=8 => format!("{} = NULL", column.name),
            9..=10 => format!("{} = {}", column.name, wrong(dice)),
            11..=30 => format!("{} = {}", column.name, literal(dice, column.ty)),
            _ => format!("{} = {}", column.name, expression(dice, scope, column.ty, DEPTH)),
        })
        .collect();
    parts.join(", ")
}

fn update(dice: &mut Dice, schema: &Schema) -> String {
    let table = schema.table(dice);
    let scope = Scope::of(&table, "", schema);
    let set = assignments(dice, &scope, &table);
    let filter = if dice.percent(65) { format!(" WHERE {}", condition(dice, &scope, DEPTH)) } else { String::new() };
    format!("UPDATE {} SET {set}{filter}", table.name)
}

/// Columns on which two tables can be joined.
fn join(dice: &mut Dice, one: (&Table, &str), other: (&Table, &str)) -> String {
    let pairs: Vec<String> = one
        .0
        .columns
        .iter()
        .flat_map(|a| other.0.columns.iter().filter(|b| a.ty.takes(b.ty)).map(move |b| (a, b)))
        .filter(|(a, _)| a.ty != Ty::Jsonb)
        .map(|(a, b)| format!("{}.{} = {}.{}", one.1, a.name, other.1, b.name))
        .collect();
    if pairs.is_empty() || dice.percent(2) {
        let (a, b) = (dice.of(&one.0.columns), dice.of(&other.0.columns));
        return format!("{}.{} = {}.{}", one.1, a.name, other.1, b.name);
    }
    dice.of(&pairs)
}

fn update_from(dice: &mut Dice, schema: &Schema) -> String {
    let (table, source) = (schema.table(dice), schema.table(dice));
    let mut scope = Scope::of(&table, "t", schema);
    scope.add(&source, "s");
    let set = assignments(dice, &scope, &table);
    let on = join(dice, (&table, "t"), (&source, "s"));
    let more = if dice.percent(40) { format!(" AND {}", condition(dice, &scope, DEPTH)) } else { String::new() };
    format!("UPDATE {} AS t SET {set} FROM {} AS s WHERE {on}{more}", table.name, source.name)
}

fn delete(dice: &mut Dice, schema: &Schema) -> String {
    let table = schema.table(dice);
    let scope = Scope::of(&table, "", schema);
    format!("DELETE FROM {} WHERE {}", table.name, condition(dice, &scope, DEPTH))
}

fn delete_using(dice: &mut Dice, schema: &Schema) -> String {
    let (table, source) = (schema.table(dice), schema.table(dice));
    let mut scope = Scope::of(&table, "t", schema);
    scope.add(&source, "s");
    let (on, more) = (join(dice, (&table, "t"), (&source, "s")), condition(dice, &scope, DEPTH));
    format!("DELETE FROM {} AS t USING {} AS s WHERE {on} AND {more}", table.name, source.name)
}

fn with(dice: &mut Dice, schema: &Schema) -> String {
    let (table, source) = (schema.table(dice), schema.table(dice));
    let inner = Scope::of(&source, "", schema);
    let column = dice.of(&source.columns);
    match dice.below(3) {
        0 if table.keyed => format!(
            "WITH w AS (SELECT {c} AS v, count(*) AS n FROM {s} WHERE {} GROUP BY {c}) DELETE FROM {t} USING w WHERE w.n > {} AND {t}.{} = (SELECT count(*) FROM w)",
            condition(dice, &inner, 1),
            dice.below(2),
            table.columns[0].name,
            c = column.name,
            s = source.name,
            t = table.name,
        ),
        1 => {
            let target = dice.of(&table.columns);
            let value = expression(dice, &inner, target.ty, DEPTH);
            format!(
                "WITH w AS (SELECT {value} AS v FROM {} WHERE {}) INSERT INTO {} ({}) SELECT DISTINCT v FROM w",
                source.name,
                condition(dice, &inner, 1),
                table.name,
                target.name
            )
        }
        _ => {
            let key = &source.columns[0].name;
            let partners: Vec<&Column> = table.columns.iter().filter(|c| c.ty.takes(source.columns[0].ty)).collect();
            let partner = if partners.is_empty() { &table.columns[0] } else { dice.of(&partners) };
            let target = dice.of(&table.columns);
            let value = expression(dice, &inner, target.ty, DEPTH);
            format!(
                "WITH w AS (SELECT {key} AS k, {value} AS v, row_number() OVER (PARTITION BY {key} ORDER BY {}) AS n FROM {}) \
                 UPDATE {t} SET {} = w.v FROM w WHERE w.k = {t}.{} AND w.n = 1",
                names(&source.columns),
                source.name,
                target.name,
                partner.name,
                t = table.name
            )
        }
    }
}

fn ordinals(count: usize) -> String {
    (1..=count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}

/// Some expressions, each named.
fn outputs(dice: &mut Dice, scope: &Scope<'_>, count: usize) -> String {
    let list: Vec<String> = (0..count)
        .map(|n| {
            let ty = Ty::any(dice);
            format!("{} AS o{n}", expression(dice, scope, ty, DEPTH))
        })
        .collect();
    list.join(", ")
}

fn query(dice: &mut Dice, schema: &Schema) -> String {
    let (table, other) = (schema.table(dice), schema.table(dice));
    let scope = Scope::of(&table, "", schema);
    let filter = if dice.percent(40) { format!(" WHERE {}", condition(dice, &scope, DEPTH)) } else { String::new() };
    match dice.below(8) {
        0 | 1 => {
            let count = dice.between(1, 4) as usize;
            format!("SELECT {} FROM {}{filter} ORDER BY {}", outputs(dice, &scope, count), table.name, ordinals(count))
        }
        2 => {
            let mut scope = Scope::of(&table, "t", schema);
            scope.add(&other, "s");
            let kind = dice.word(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
            let on = join(dice, (&table, "t"), (&other, "s"));
            format!(
                "SELECT {} FROM {} AS t {kind} {} AS s ON {on} ORDER BY 1, 2",
                outputs(dice, &scope, 2),
                table.name,
                other.name
            )
        }
        3 => aggregate(dice, &scope, &table, &filter),
        4 => {
            let (key, value) = (dice.of(&table.columns).name, dice.of(&table.columns).name);
            let all = names(&table.columns);
            let function = dice.word(&[
                "row_number()",
                "rank()",
                "dense_rank()",
                "lag(#)",
                "lead(#, 2)",
                "first_value(#)",
                "count(*)",
                "count(#)",
                "max(#)",
                "ntile(2)",
                "lag(#, 1, NULL)",
            ]);
            format!(
                "SELECT {all}, {} OVER (PARTITION BY {key} ORDER BY {all}) AS w FROM {}{filter} ORDER BY {all}",
                function.replace('#', &value),
                table.name
            )
        }
        5 => {
            let kind = dice.word(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
            let ty = Ty::any(dice);
            let right = Scope::of(&other, "", schema);
            format!(
                "SELECT {} AS o FROM {}{filter} {kind} SELECT {} FROM {} ORDER BY 1",
                expression(dice, &scope, ty, DEPTH),
                table.name,
                expression(dice, &right, ty, DEPTH),
                other.name
            )
        }
        6 => {
            let key = dice.of(&table.columns).name;
            let all = names(&table.columns);
            let direction = dice.word(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            format!("SELECT DISTINCT ON ({key}) {all} FROM {}{filter} ORDER BY {key}{direction}, {all}", table.name)
        }
        _ => {
            let all = names(&table.columns);
            format!(
                "SELECT {all} FROM {}{filter} ORDER BY {all} LIMIT {} OFFSET {}",
                table.name,
                dice.below(4),
                dice.below(2)
            )
        }
    }
}

fn aggregate(dice: &mut Dice, scope: &Scope<'_>, table: &Table, filter: &str) -> String {
    let key = dice.of(&table.columns).name;
    let (ty, form) = dice.of(&[
        (Ty::Int, "sum(#)"),
        (Ty::Int, "count(#)"),
        (Ty::Int, "count(DISTINCT #)"),
        (Ty::Decimal, "sum(#)"),
        (Ty::Int, "avg(#)"),
        (Ty::Text, "max(#)"),
        (Ty::Date, "min(#)"),
        (Ty::Bool, "bool_or(#)"),
        (Ty::Bool, "bool_and(#)"),
        (Ty::Text, "string_agg(#, ',' ORDER BY #)"),
        (Ty::Int, "array_agg(# ORDER BY #)"),
        (Ty::Timestamp, "max(#)"),
        (Ty::Decimal, "avg(#)"),
        (Ty::Enum(0), "max(#)"),
        (Ty::Text, "count(*) FILTER (WHERE # = 'a')"),
        (Ty::Big, "sum(#)"),
        (Ty::Text, "jsonb_agg(# ORDER BY #)"),
        (Ty::Float, "max(#)"),
        (Ty::Uuid, "count(#)"),
    ]);
    let value = expression(dice, scope, ty, 1);
    let having = if dice.percent(25) { format!(" HAVING count(*) > {}", dice.below(3)) } else { String::new() };
    let call = form.replace('#', &value);
    format!("SELECT {key} AS k, {call} AS v FROM {}{filter} GROUP BY {key}{having} ORDER BY 1", table.name)
}
