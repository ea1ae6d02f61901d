//! Statements that change the schema; the model follows them.

use super::dice::Dice;
use super::expressions::{Scope, condition, expression};
use super::schema::{Column, LABELS, Schema, Table, Ty, check, create_table, literal, references};

/// DDL of any kind.
pub fn alteration(dice: &mut Dice, schema: &mut Schema) -> String {
    let at = dice.below(schema.tables.len());
    match dice.below(24) {
        0..=3 => add_column(dice, schema, at),
        4 => drop_column(dice, schema, at),
        5..=8 => change_type(dice, schema, at),
        9 => on_column(dice, schema, at, &["SET NOT NULL", "SET NOT NULL", "DROP NOT NULL", "DROP DEFAULT"]),
        10 => {
            let column = dice.of(&schema.tables[at].columns);
            format!(
                "ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}",
                schema.tables[at].name,
                column.name,
                literal(dice, column.ty)
            )
        }
        11 | 12 => add_constraint(dice, schema, at),
        13 => drop_constraint(dice, schema, at),
        14 => rename_column(dice, schema, at),
        15 => {
            let (old, new) = (schema.tables[at].name.clone(), schema.fresh("r"));
            schema.tables[at].name.clone_from(&new);
            format!("ALTER TABLE {old} RENAME TO {new}")
        }
        16 | 17 => create_index(dice, schema, at),
        18 => enum_change(dice),
        19 => create_table_as(dice, schema, at),
        20 => create_table(dice, schema),
        21 if schema.tables.len() > 1 => {
            let table = schema.tables.remove(at);
            format!("DROP TABLE {}{}", table.name, dice.word(&["", " CASCADE"]))
        }
        22 => {
            let (view, table) = (schema.fresh("v"), schema.tables[at].clone());
            let scope = Scope::of(&table, "", schema);
            format!("CREATE VIEW {view} AS SELECT * FROM {} WHERE {}", table.name, condition(dice, &scope, 1))
        }
        _ => several(dice, schema, at),
    }
}

fn add_column(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let (name, ty) = (schema.fresh("n"), Ty::any(dice));
    let mut text = format!("ALTER TABLE {} ADD COLUMN {name} {}", schema.tables[at].name, ty.name());
    if dice.percent(50) {
        text += &format!(" DEFAULT {}", literal(dice, ty));
    }
    if dice.percent(25) {
        text += " NOT NULL";
    }
    if dice.percent(10) {
        text += &format!(" CHECK ({})", check(dice, &name, ty));
    }
    let parents: Vec<Table> = schema.tables.iter().filter(|t| t.keyed && t.columns[0].ty == ty).cloned().collect();
    if !parents.is_empty() && dice.percent(30) {
        text += &references(dice, &parents);
    }
    schema.tables[at].columns.push(Column { name, ty });
    text
}

fn drop_column(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let table = &mut schema.tables[at];
    let column = dice.below(table.columns.len());
    if table.columns.len() == 1 || (column == 0 && dice.percent(80)) {
        return format!("ALTER TABLE {} DROP COLUMN IF EXISTS nothing", table.name);
    }
    let gone = table.columns.remove(column);
    table.unique.retain(|name| *name != gone.name);
    table.keyed = table.keyed && column > 0;
    format!("ALTER TABLE {} DROP COLUMN {}{}", table.name, gone.name, dice.word(&["", "", " CASCADE"]))
}

fn change_type(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let table = schema.tables[at].clone();
    let place = dice.below(table.columns.len());
    let (column, ty) = (&table.columns[place], Ty::any(dice));
    let using = match dice.below(3) {
        0 => String::new(),
        1 => format!(" USING {}::{}", column.name, ty.name()),
        _ => {
            let scope = Scope::of(&table, "", schema);
            // A subquery isn't allowed here: an error of its own.
            format!(" USING {}", expression(dice, &scope, ty, 1))
        }
    };
    schema.tables[at].columns[place].ty = ty;
    format!("ALTER TABLE {} ALTER COLUMN {} TYPE {}{using}", table.name, column.name, ty.name())
}

fn on_column(dice: &mut Dice, schema: &Schema, at: usize, forms: &[&str]) -> String {
    let column = dice.of(&schema.tables[at].columns);
    format!("ALTER TABLE {} ALTER COLUMN {} {}", schema.tables[at].name, column.name, dice.word(forms))
}

fn add_constraint(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let name = schema.fresh("k");
    let table = schema.tables[at].clone();
    let column = dice.of(&table.columns);
    let head = format!("ALTER TABLE {} ADD CONSTRAINT {name}", table.name);
    match dice.below(5) {
        0 => {
            schema.tables[at].unique.push(column.name.clone());
            format!("{head} UNIQUE ({})", column.name)
        }
        1 => format!("{head} PRIMARY KEY ({})", column.name),
        2 => {
            let parents: Vec<Table> =
                schema.tables.iter().filter(|t| t.keyed && t.columns[0].ty == column.ty).cloned().collect();
            let parents = if parents.is_empty() { schema.tables.clone() } else { parents };
            let valid = dice.word(&["", "", " NOT VALID"]);
            format!("{head} FOREIGN KEY ({}){}{valid}", column.name, references(dice, &parents))
        }
        3 => {
            let scope = Scope::of(&table, "", schema);
            format!("{head} CHECK ({})", condition(dice, &scope, 1))
        }
        _ => {
            let valid = dice.word(&["", " NOT VALID"]);
            format!("{head} CHECK ({}){valid}", check(dice, &column.name, column.ty))
        }
    }
}

/// By the names that PostgreSQL gives.
fn drop_constraint(dice: &mut Dice, schema: &Schema, at: usize) -> String {
    let table = &schema.tables[at];
    let column = dice.of(&table.columns).name;
    let name = match dice.below(5) {
        0 => format!("{}_pkey", table.name),
        1 => format!("{}_{column}_key", table.name),
        2 => format!("{}_{column}_check", table.name),
        3 => format!("{}_{column}_fkey", table.name),
        _ => format!("k{}", dice.below(schema.named.max(1)) + 1),
    };
    format!("ALTER TABLE {} DROP CONSTRAINT {}{name}", table.name, dice.word(&["", "IF EXISTS "]))
}

fn rename_column(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let new = schema.fresh("m");
    let table = &mut schema.tables[at];
    let place = dice.below(table.columns.len());
    let old = std::mem::replace(&mut table.columns[place].name, new.clone());
    for name in table.unique.iter_mut().filter(|name| **name == old) {
        name.clone_from(&new);
    }
    format!("ALTER TABLE {} RENAME COLUMN {old} TO {new}", table.name)
}

fn create_index(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let name = schema.fresh("i");
    let table = schema.tables[at].clone();
    let scope = Scope::of(&table, "", schema);
    let column = dice.of(&table.columns);
    let key = match column.ty {
        Ty::Text | Ty::Varchar(_) if dice.percent(40) => format!("lower({})", column.name),
        _ => column.name.clone(),
    };
    let unique = if dice.percent(60) { "UNIQUE " } else { "" };
    let filter = if dice.percent(35) { format!(" WHERE {}", condition(dice, &scope, 1)) } else { String::new() };
    if !unique.is_empty() && filter.is_empty() && key == column.name {
        schema.tables[at].unique.push(key.clone());
    }
    format!("CREATE {unique}INDEX {name} ON {} ({key}){filter}", table.name)
}

fn enum_change(dice: &mut Dice) -> String {
    let number = dice.below(2);
    let label = dice.word(LABELS[number]);
    match dice.below(3) {
        0 => format!("ALTER TYPE e{number} RENAME VALUE '{label}' TO '{label}{}'", dice.below(3)),
        1 => format!("ALTER TYPE e{number} ADD VALUE 'new{}' BEFORE '{label}'", dice.below(3)),
        _ => format!("ALTER TYPE e{number} ADD VALUE IF NOT EXISTS 'more'"),
    }
}

fn create_table_as(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let name = schema.fresh("t");
    let source = schema.tables[at].clone();
    let scope = Scope::of(&source, "", schema);
    let mut columns = Vec::new();
    let mut outputs = Vec::new();
    for letter in ["a", "b", "c"].iter().take(dice.between(1, 3) as usize) {
        let ty = Ty::any(dice);
        outputs.push(format!("{} AS {letter}", expression(dice, &scope, ty, 2)));
        columns.push(Column { name: (*letter).to_owned(), ty });
    }
    let filter = if dice.percent(40) { format!(" WHERE {}", condition(dice, &scope, 1)) } else { String::new() };
    schema.tables.push(Table { name: name.clone(), columns, keyed: false, unique: Vec::new() });
    format!("CREATE TABLE {name} AS SELECT {} FROM {}{filter}", outputs.join(", "), source.name)
}

/// One ALTER TABLE with two parts, of which the first adds a column.
fn several(dice: &mut Dice, schema: &mut Schema, at: usize) -> String {
    let head = format!("ALTER TABLE {} ", schema.tables[at].name);
    let other = match dice.below(3) {
        0 => change_type(dice, schema, at),
        1 => on_column(dice, schema, at, &["SET NOT NULL", "DROP NOT NULL", "DROP DEFAULT"]),
        _ => drop_column(dice, schema, at),
    };
    let added = add_column(dice, schema, at);
    let mut parts = [&other[head.len()..], &added[head.len()..]];
    if dice.percent(50) {
        parts.reverse();
    }
    format!("{head}{}", parts.join(", "))
}
