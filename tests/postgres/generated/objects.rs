//! Functions, triggers, blocks, views and partitions, and statements that call on them.
//!
//! Each text may hold several statements that belong together.

use super::dice::Dice;
use super::expressions::{Scope, condition, expression};
use super::schema::{Column, LABELS, Schema, Table, Ty, literal};
use super::statements::{insert_values, names, statement};

/// Something beyond tables and single statements.
pub fn object(dice: &mut Dice, schema: &mut Schema) -> String {
    match dice.below(13) {
        0 | 1 => trigger(dice, schema),
        2 => function(dice, schema),
        3 => over_rows(dice, schema),
        4 => when_there_are(dice, schema),
        5 => caught(dice, schema),
        6 => view(dice, schema),
        7 => filled_view(dice, schema),
        8 => partitions(dice, schema),
        9 => enum_swap(dice, schema),
        10 => moved(dice, schema),
        11 => series(dice, schema),
        _ => surgery(dice, schema),
    }
}

/// The columns of a variable's row.
fn row_scope<'s>(table: &Table, row: &str, schema: &'s Schema) -> Scope<'s> {
    Scope::of(table, row, schema)
}

/// A trigger before or after each row; what it runs is a function of its own.
fn trigger(dice: &mut Dice, schema: &mut Schema) -> String {
    let (table, other) = (schema.table(dice), schema.table(dice));
    let number = schema.fresh("");
    let scope = row_scope(&table, "NEW", schema);
    let column = dice.of(&table.columns);
    let value = expression(dice, &scope, column.ty, 1);
    let assign = format!("NEW.{} := {value};", column.name);
    let (when, body, gives) = match dice.below(4) {
        0 => ("BEFORE INSERT OR UPDATE", assign, "NEW"),
        1 => {
            let asked = condition(dice, &scope, 1);
            ("BEFORE INSERT OR UPDATE", format!("IF {asked} THEN {assign} END IF;"), "NEW")
        }
        2 => {
            let asked = condition(dice, &scope, 1);
            let refusal = format!("IF {asked} THEN RAISE EXCEPTION 'refused: %', NEW.{}::text; END IF;", column.name);
            ("BEFORE INSERT", refusal, "NEW")
        }
        _ => {
            let target = dice.of(&other.columns);
            let value = expression(dice, &scope, target.ty, 1);
            let copied = format!("INSERT INTO {} ({}) VALUES ({value});", other.name, target.name);
            ("AFTER INSERT", if other.name == table.name { String::new() } else { copied }, "NULL")
        }
    };
    format!(
        "CREATE FUNCTION f{number}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN {gives}; END $$;\n\
         CREATE TRIGGER g{number} {when} ON {} FOR EACH ROW EXECUTE FUNCTION f{number}()",
        table.name
    )
}

/// A function of one value, and a statement that calls it.
fn function(dice: &mut Dice, schema: &mut Schema) -> String {
    let (table, number) = (schema.table(dice), schema.fresh(""));
    let (takes, gives) = (dice.of(&[Ty::Int, Ty::Text, Ty::Bool]), dice.of(&[Ty::Int, Ty::Text, Ty::Bool]));
    let inside = Scope { columns: vec![("x".to_owned(), takes)], schema };
    let (one, two) = (expression(dice, &inside, gives, 1), expression(dice, &inside, gives, 2));
    let asked = condition(dice, &inside, 1);
    let volatility = dice.word(&["IMMUTABLE", "STABLE", ""]);
    let body = match dice.below(3) {
        0 => format!("LANGUAGE sql {volatility} AS $$ SELECT {two} $$"),
        1 => format!(
            "LANGUAGE plpgsql {volatility} AS $$ BEGIN IF {asked} THEN RETURN {one}; END IF; RETURN {two}; END $$"
        ),
        _ => format!(
            "LANGUAGE plpgsql {volatility} AS $$ DECLARE v {} := {one}; BEGIN IF v IS NULL THEN v := {two}; END IF; RETURN v; END $$",
            gives.name()
        ),
    };
    let scope = Scope::of(&table, "", schema);
    let argument = expression(dice, &scope, takes, 1);
    let targets: Vec<&Column> =
        table.columns.iter().filter(|column| column.ty == gives && column.name != "id").collect();
    let call = match targets.first() {
        Some(column) => format!("UPDATE {} SET {} = h{number}({argument})", table.name, column.name),
        None => format!("SELECT h{number}({argument}) AS v FROM {} ORDER BY 1", table.name),
    };
    format!("CREATE FUNCTION h{number}(x {}) RETURNS {} {body};\n{call}", takes.name(), gives.name())
}

/// A loop over a table's rows.
fn over_rows(dice: &mut Dice, schema: &Schema) -> String {
    let (table, other) = (schema.table(dice), schema.table(dice));
    let scope = row_scope(&table, "r", schema);
    let target = dice.of(&other.columns);
    let value = expression(dice, &scope, target.ty, 1);
    let write = match dice.below(3) {
        0 if table.name != other.name => format!("INSERT INTO {} ({}) VALUES ({value});", other.name, target.name),
        1 if table.keyed && table.name == other.name => {
            format!(
                "UPDATE {} SET {} = {value} WHERE {key} = r.{key};",
                table.name,
                target.name,
                key = table.columns[0].name
            )
        }
        _ => format!("IF {} THEN n := n + 1; END IF;", condition(dice, &scope, 1)),
    };
    let all = names(&table.columns);
    let end = dice.word(&["", "RAISE NOTICE 'done %', n;", "IF n > 2 THEN RAISE EXCEPTION 'too many: %', n; END IF;"]);
    format!(
        "DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT {all} FROM {} ORDER BY {all} LOOP {write} END LOOP; {end} END $$",
        table.name
    )
}

/// One statement or another.
fn when_there_are(dice: &mut Dice, schema: &Schema) -> String {
    let table = schema.table(dice);
    let asked = condition(dice, &Scope::of(&table, "", schema), 1);
    let (one, two) = (write(dice, schema), write(dice, schema));
    match dice.below(2) {
        0 => format!(
            "DO $$ BEGIN IF EXISTS (SELECT 1 FROM {} WHERE {asked}) THEN {one}; ELSE {two}; END IF; END $$",
            table.name
        ),
        _ => format!(
            "DO $$ DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM {} WHERE {asked}; \
             CASE WHEN n = 0 THEN {one}; WHEN n < 3 THEN {two}; ELSE NULL; END CASE; END $$",
            table.name
        ),
    }
}

/// What goes wrong is caught.
fn caught(dice: &mut Dice, schema: &Schema) -> String {
    let (one, two, other) = (write(dice, schema), write(dice, schema), write(dice, schema));
    let when =
        dice.word(&["unique_violation", "not_null_violation OR check_violation", "others", "foreign_key_violation"]);
    format!("DO $$ BEGIN {one}; BEGIN {two}; {one}; EXCEPTION WHEN {when} THEN {other}; END; END $$")
}

/// A statement that writes.
fn write(dice: &mut Dice, schema: &Schema) -> String {
    loop {
        let text = statement(dice, schema);
        if !text.starts_with("SELECT") {
            return text;
        }
    }
}

fn view(dice: &mut Dice, schema: &mut Schema) -> String {
    let (name, table, other) = (schema.fresh("v"), schema.table(dice), schema.table(dice));
    let scope = Scope::of(&table, "t", schema);
    let ty = Ty::any(dice);
    let value = expression(dice, &scope, ty, 1);
    let key = dice.of(&table.columns).name;
    let query = match dice.below(4) {
        0 => format!("SELECT t.{key} AS k, {value} AS v FROM {} AS t", table.name),
        1 => format!("SELECT t.{key} AS k, count(*) AS n FROM {} AS t GROUP BY t.{key}", table.name),
        2 => format!(
            "SELECT t.{key} AS k, s.{} AS o FROM {} AS t LEFT JOIN {} AS s ON {}",
            dice.of(&other.columns).name,
            table.name,
            other.name,
            condition(dice, &scope, 0)
        ),
        _ => format!(
            "SELECT t.{key} AS k, row_number() OVER (ORDER BY {}) AS n FROM {} AS t",
            names(&table.columns),
            table.name
        ),
    };
    let asked = dice.word(&[
        "SELECT * FROM # ORDER BY 1, 2",
        "SELECT count(*) AS c FROM #",
        "SELECT k FROM # WHERE k IS NOT NULL ORDER BY 1",
    ]);
    format!("CREATE VIEW {name} AS {query};\n{}", asked.replace('#', &name))
}

fn filled_view(dice: &mut Dice, schema: &mut Schema) -> String {
    let (name, table) = (schema.fresh("m"), schema.table(dice));
    let scope = Scope::of(&table, "", schema);
    let (key, asked) = (dice.of(&table.columns).name, condition(dice, &scope, 1));
    let data = dice.word(&["", "", " WITH NO DATA"]);
    let write = insert_values(dice, schema, &table);
    format!(
        "CREATE MATERIALIZED VIEW {name} AS SELECT {key} AS k, count(*) AS n FROM {} WHERE {asked} GROUP BY {key}{data};\n{write};\nREFRESH MATERIALIZED VIEW {name}",
        table.name
    )
}

/// A partitioned table; statements come to it as to any other.
fn partitions(dice: &mut Dice, schema: &mut Schema) -> String {
    let name = schema.fresh("t");
    let value = Ty::any(dice);
    let columns = vec![Column { name: "id".into(), ty: Ty::Int }, Column { name: "a".into(), ty: value }];
    let (by, bounds) = match dice.below(2) {
        0 => ("RANGE", ["FROM (MINVALUE) TO (3)", "FROM (3) TO (10)"]),
        _ => ("LIST", ["IN (1, 2, 3, NULL)", "IN (4, 5)"]),
    };
    let key = if dice.percent(40) { ", PRIMARY KEY (id)" } else { "" };
    let mut text = format!("CREATE TABLE {name} (id int, a {}{key}) PARTITION BY {by} (id)", value.name());
    for (number, bound) in bounds.iter().enumerate() {
        text += &format!(";\nCREATE TABLE {name}_{number} PARTITION OF {name} FOR VALUES {bound}");
    }
    if dice.percent(50) {
        text += &format!(";\nCREATE TABLE {name}_rest PARTITION OF {name} DEFAULT");
    }
    let table = Table { name, columns, keyed: !key.is_empty(), unique: Vec::new() };
    let rows: Vec<String> = (0..3).map(|_| format!("({}, {})", literal(dice, Ty::Int), literal(dice, value))).collect();
    text += &format!(";\nINSERT INTO {} (id, a) VALUES {}", table.name, rows.join(", "));
    schema.tables.push(table);
    text
}

/// The way in which migrations take labels away: a new type in the place of the old one.
fn enum_swap(dice: &mut Dice, schema: &Schema) -> String {
    let number = dice.below(2);
    let labels: Vec<String> = dice.some(LABELS[number]).iter().map(|label| format!("'{label}'")).collect();
    let mut text = format!("CREATE TYPE e{number}_new AS ENUM ({})", labels.join(", "));
    for table in &schema.tables {
        for column in table.columns.iter().filter(|column| column.ty == Ty::Enum(number as u8)) {
            text += &format!(
                ";\nALTER TABLE {t} ALTER COLUMN {c} DROP DEFAULT;\nALTER TABLE {t} ALTER COLUMN {c} TYPE e{number}_new USING ({c}::text::e{number}_new)",
                t = table.name,
                c = column.name
            );
        }
    }
    format!(
        "{text};\nALTER TYPE e{number} RENAME TO e{number}_old;\nALTER TYPE e{number}_new RENAME TO e{number};\nDROP TYPE e{number}_old"
    )
}

/// Rows that a WITH query takes from one table and the statement puts into another.
fn moved(dice: &mut Dice, schema: &Schema) -> String {
    let (table, source) = (schema.table(dice), schema.table(dice));
    let inner = Scope::of(&source, "", schema);
    let target = dice.of(&table.columns);
    let scope = Scope::of(&source, "w", schema);
    let value = expression(dice, &scope, target.ty, 1);
    let taken = match dice.below(2) {
        0 => format!("DELETE FROM {} WHERE {} RETURNING *", source.name, condition(dice, &inner, 1)),
        _ => {
            let column = dice.of(&source.columns);
            let new = expression(dice, &inner, column.ty, 1);
            format!(
                "UPDATE {} SET {} = {new} WHERE {} RETURNING *",
                source.name,
                column.name,
                condition(dice, &inner, 1)
            )
        }
    };
    format!("WITH w AS ({taken}) INSERT INTO {} ({}) SELECT {value} FROM w", table.name, target.name)
}

/// Rows made from numbers.
fn series(dice: &mut Dice, schema: &Schema) -> String {
    let table = schema.table(dice);
    let scope = Scope { columns: vec![("n".to_owned(), Ty::Int)], schema };
    let columns = dice.some(&table.columns);
    let values: Vec<String> = columns
        .iter()
        .map(|column| {
            if column.name == "id" && column.ty == Ty::Int {
                "n + 20".to_owned()
            } else {
                expression(dice, &scope, column.ty, 1)
            }
        })
        .collect();
    let (first, last) = (dice.below(3), dice.below(6));
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM generate_series({first}, {last}) AS n",
        table.name,
        names(&columns),
        values.join(", ")
    )
}

/// Documents taken apart and put together again.
fn surgery(dice: &mut Dice, schema: &Schema) -> String {
    let with_documents: Vec<(Table, Column)> = schema
        .tables
        .iter()
        .flat_map(|table| table.columns.iter().filter(|c| c.ty == Ty::Jsonb).map(|c| (table.clone(), c.clone())))
        .collect();
    if with_documents.is_empty() {
        return write(dice, schema);
    }
    let (table, column) = dice.of(&with_documents);
    let form = dice.word(&[
        "UPDATE # SET @ = (SELECT jsonb_agg(e || '{\"n\": 1}') FROM jsonb_array_elements(@) AS e) WHERE jsonb_typeof(@) = 'array'",
        "UPDATE # SET @ = (SELECT jsonb_object_agg(k, v) FROM jsonb_each(@) AS p(k, v) WHERE k <> 'a') WHERE jsonb_typeof(@) = 'object'",
        "UPDATE # SET @ = (SELECT jsonb_agg(e ORDER BY e) FROM jsonb_array_elements(@) AS e WHERE e <> 'null') WHERE jsonb_typeof(@) = 'array'",
        "SELECT k, count(*) AS n FROM #, jsonb_object_keys(@) AS k WHERE jsonb_typeof(@) = 'object' GROUP BY k ORDER BY k",
        "UPDATE # SET @ = jsonb_set(@, '{b}', coalesce(@ -> 'a', '0')) WHERE jsonb_typeof(@) = 'object' AND NOT @ ? 'b'",
        "UPDATE # SET @ = @ - 'a' || jsonb_build_object('c', @ -> 'a') WHERE @ ? 'a'",
        "SELECT p.key, p.value FROM #, LATERAL jsonb_each_text(@) AS p WHERE jsonb_typeof(@) = 'object' ORDER BY 1, 2",
        "SELECT e.value ->> 'a' AS v, e.ordinality AS o FROM #, jsonb_array_elements(@) WITH ORDINALITY AS e WHERE jsonb_typeof(@) = 'array' ORDER BY 2, 1",
    ]);
    form.replace('#', &table.name).replace('@', &column.name)
}
