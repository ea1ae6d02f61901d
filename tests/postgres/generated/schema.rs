//! Types, tables and rows as the generator draws them.
//!
//! The model is what the statements so far should have made; where one of them fails on the server the model is ahead of it, and
//! what follows is a wrong statement, which is welcome as well.

use super::dice::Dice;

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    Small,
    Int,
    Big,
    Numeric(u8, u8),
    Decimal,
    Float,
    Text,
    Varchar(u8),
    Bool,
    Uuid,
    Date,
    Timestamp,
    Timestamptz,
    Enum(u8),
    Jsonb,
    Ints,
    Texts,
}

/// Types that columns are drawn from; those that migrations use most come several times.
const COMMON: &[Ty] = &[
    Ty::Int,
    Ty::Int,
    Ty::Int,
    Ty::Big,
    Ty::Small,
    Ty::Text,
    Ty::Text,
    Ty::Text,
    Ty::Varchar(5),
    Ty::Varchar(12),
    Ty::Bool,
    Ty::Bool,
    Ty::Uuid,
    Ty::Date,
    Ty::Timestamp,
    Ty::Timestamptz,
    Ty::Numeric(6, 2),
    Ty::Decimal,
    Ty::Float,
    Ty::Enum(0),
    Ty::Enum(1),
    Ty::Jsonb,
    Ty::Ints,
    Ty::Texts,
];

/// Labels of the enums `e0` and `e1`.
pub const LABELS: [&[&str]; 2] = [&["red", "green", "blue"], &["b", "a", "green"]];

impl Ty {
    /// Any type.
    pub fn any(dice: &mut Dice) -> Ty {
        dice.of(COMMON)
    }

    /// As SQL writes it.
    pub fn name(self) -> String {
        match self {
            Ty::Small => "smallint".into(),
            Ty::Int => "int".into(),
            Ty::Big => "bigint".into(),
            Ty::Numeric(p, s) => format!("numeric({p},{s})"),
            Ty::Decimal => "numeric".into(),
            Ty::Float => "double precision".into(),
            Ty::Text => "text".into(),
            Ty::Varchar(n) => format!("varchar({n})"),
            Ty::Bool => "boolean".into(),
            Ty::Uuid => "uuid".into(),
            Ty::Date => "date".into(),
            Ty::Timestamp => "timestamp".into(),
            Ty::Timestamptz => "timestamptz".into(),
            Ty::Enum(n) => format!("e{n}"),
            Ty::Jsonb => "jsonb".into(),
            Ty::Ints => "int[]".into(),
            Ty::Texts => "text[]".into(),
        }
    }

    /// Do values of the other type stand where this one is asked for without a cast?
    pub fn takes(self, other: Ty) -> bool {
        let number = |ty| matches!(ty, Ty::Small | Ty::Int | Ty::Big | Ty::Numeric(..) | Ty::Decimal | Ty::Float);
        let text = |ty| matches!(ty, Ty::Text | Ty::Varchar(_));
        self == other || (number(self) && number(other)) || (text(self) && text(other))
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: Ty,
}

/// A table; its first column is its key where `keyed`.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub keyed: bool,
    /// Columns with a unique index of their own.
    pub unique: Vec<String>,
}

/// The schema as it should be.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub tables: Vec<Table>,
    /// Names given so far: each is new.
    pub named: usize,
}

impl Schema {
    /// A name that nothing bears yet.
    pub fn fresh(&mut self, stem: &str) -> String {
        self.named += 1;
        format!("{stem}{}", self.named)
    }

    /// Any table.
    pub fn table(&self, dice: &mut Dice) -> Table {
        dice.of(&self.tables)
    }
}

/// A literal's text without quotes, as an input function reads it.
fn bare(dice: &mut Dice, ty: Ty) -> String {
    match ty {
        Ty::Small | Ty::Int | Ty::Big => {
            let common = dice.between(-2, 9).to_string();
            if dice.percent(92) { common } else { dice.word(&["32767", "40000", "2147483647", "100", "-7"]) }
        }
        Ty::Numeric(..) | Ty::Decimal => {
            dice.word(&["0", "1", "1.5", "-2.25", "3.333", "10", "99.995", "0.005", "100.10", "7"])
        }
        Ty::Float => dice.word(&["0", "1", "1.5", "-2.25", "0.1", "1e10", "3", "2.5", "100"]),
        Ty::Text => dice.word(&[
            "",
            "a",
            "b",
            "A",
            "ab",
            "abc",
            "hello world",
            "12",
            "-3",
            "x_y",
            "it's",
            "Äö",
            " pad ",
            "null",
            "a,b,c",
            "red",
            "2024-02-29",
            "%",
            "a b",
            "true",
            "ß-Z",
            "Z",
            "{\"a\": 1}",
            "10%",
        ]),
        Ty::Varchar(_) => dice.word(&["", "a", "b", "abc", "ab", "12", "x_y", "too long for five", "abcde ", "green"]),
        Ty::Bool => dice.word(&["true", "false", "t", "f"]),
        Ty::Uuid => dice.word(&[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
            "00000000-0000-0000-0000-000000000000",
            "B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        ]),
        Ty::Date => dice.word(&["2024-02-29", "2023-12-31", "2024-01-01", "1999-06-15", "2024-03-31"]),
        Ty::Timestamp | Ty::Timestamptz => dice.word(&[
            "2024-02-29 12:34:56",
            "2024-01-01 00:00:00",
            "2023-12-31 23:59:59.999",
            "1999-06-15 06:07:08.5",
            "2024-03-31 01:30:00.123456",
        ]),
        Ty::Enum(n) => dice.word(LABELS[usize::from(n)]),
        Ty::Jsonb => dice.word(&[
            "{}",
            "[]",
            "{\"a\": 1}",
            "{\"a\": \"x\", \"b\": [1, 2]}",
            "[1, \"two\", null]",
            "{\"b\": {\"c\": true}, \"a\": null}",
            "\"text\"",
            "3",
            "1.50",
            "null",
            "{\"k\": \"v\", \"k\": \"w\", \"aa\": 0}",
        ]),
        Ty::Ints => dice.word(&["{}", "{1,2,3}", "{3}", "{1,NULL}", "{5,5}"]),
        Ty::Texts => dice.word(&["{}", "{a,b}", "{a}", "{\"x y\",NULL}", "{b,a,\"\"}"]),
    }
}

/// A literal as it stands in VALUES: numbers bare, the rest quoted, its type left to the column.
pub fn literal(dice: &mut Dice, ty: Ty) -> String {
    let text = bare(dice, ty);
    match ty {
        Ty::Small | Ty::Int | Ty::Big | Ty::Numeric(..) | Ty::Decimal | Ty::Float if dice.percent(95) => text,
        Ty::Bool if text.len() > 1 => text,
        _ => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A literal whose type is told.
pub fn typed(dice: &mut Dice, ty: Ty) -> String {
    match ty {
        Ty::Int | Ty::Bool => literal(dice, ty),
        Ty::Text if dice.percent(70) => literal(dice, ty),
        _ => {
            let text = bare(dice, ty).replace('\'', "''");
            format!("'{text}'::{}", ty.name())
        }
    }
}

/// A value of another type or shape than the column's: mostly an error.
pub fn wrong(dice: &mut Dice) -> String {
    dice.word(&["'nonsense'", "3.7", "true", "'{1,x}'", "1 / 0", "'2024-13-45'", "99999999999", "ARRAY[1]", "NULL"])
}

/// `CREATE TABLE`, with keys, checks and defaults.
pub fn create_table(dice: &mut Dice, schema: &mut Schema) -> String {
    let name = schema.fresh("t");
    let mut columns = Vec::new();
    let mut parts = Vec::new();
    let mut unique = Vec::new();
    let keyed = dice.percent(75);
    let key_type = if dice.percent(80) { Ty::Int } else { dice.of(&[Ty::Big, Ty::Text, Ty::Uuid, Ty::Small]) };
    if keyed {
        let named = if key_type == Ty::Int { dice.word(&["int", "int", "int", "serial"]) } else { key_type.name() };
        parts.push(format!("id {named} PRIMARY KEY"));
        columns.push(Column { name: "id".into(), ty: key_type });
    }
    for letter in ["a", "b", "c", "d", "e"].iter().take(dice.between(1, 5) as usize) {
        let ty = Ty::any(dice);
        let mut part = format!("{letter} {}", ty.name());
        if dice.percent(15) {
            part += &format!(" DEFAULT {}", literal(dice, ty));
        }
        if dice.percent(15) {
            part += " NOT NULL";
        }
        if dice.percent(8) && ty != Ty::Jsonb {
            part += " UNIQUE";
            unique.push((*letter).to_owned());
        }
        if dice.percent(10) {
            part += &format!(" CHECK ({})", check(dice, letter, ty));
        }
        let parents: Vec<Table> = schema.tables.iter().filter(|t| t.keyed && t.columns[0].ty == ty).cloned().collect();
        if !parents.is_empty() && dice.percent(50) {
            part += &references(dice, &parents);
        }
        columns.push(Column { name: (*letter).to_owned(), ty });
        parts.push(part);
    }
    // Nothing is ever written to it, but all tables are compared whole.
    if dice.percent(12) {
        let of = dice.of(&columns);
        parts.push(format!("z text GENERATED ALWAYS AS (coalesce({}, 'none')) STORED", text_of(&of)));
    }
    if dice.percent(10) && columns.len() > 2 {
        let plain: Vec<&Column> = columns.iter().filter(|c| c.ty != Ty::Jsonb).collect();
        if plain.len() > 1 {
            parts.push(format!("UNIQUE ({}, {})", plain[0].name, plain[1].name));
        }
    }
    schema.tables.push(Table { name: name.clone(), columns, keyed, unique });
    format!("CREATE TABLE {name} ({})", parts.join(", "))
}

/// A text that depends on a column and nothing else.
fn text_of(column: &Column) -> String {
    match column.ty {
        Ty::Text | Ty::Varchar(_) => format!("upper({})", column.name),
        Ty::Small | Ty::Int | Ty::Big => format!("({} * 2)::text", column.name),
        Ty::Bool => format!("CASE WHEN {} THEN 'y' ELSE 'n' END", column.name),
        Ty::Jsonb => format!("{} ->> 'a'", column.name),
        _ => format!("CASE WHEN {} IS NULL THEN 'empty' END", column.name),
    }
}

/// `REFERENCES` with its actions.
pub fn references(dice: &mut Dice, parents: &[Table]) -> String {
    let parent = dice.of(parents);
    let actions = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"];
    let mut text = format!(" REFERENCES {} ({})", parent.name, parent.columns[0].name);
    if dice.percent(60) {
        text += &format!(" ON DELETE {}", dice.word(&actions));
    }
    if dice.percent(40) {
        text += &format!(" ON UPDATE {}", dice.word(&actions));
    }
    if dice.percent(10) {
        text += " DEFERRABLE INITIALLY DEFERRED";
    }
    text
}

/// A condition on one column.
pub fn check(dice: &mut Dice, column: &str, ty: Ty) -> String {
    match ty {
        Ty::Small | Ty::Int | Ty::Big | Ty::Numeric(..) | Ty::Decimal | Ty::Float => {
            dice.word(&["# > 0", "# BETWEEN -1 AND 50", "# <> 3", "# IN (1, 2, 3, 4, 5, 6)"])
        }
        Ty::Text | Ty::Varchar(_) => {
            dice.word(&["length(#) < 6", "# <> ''", "# ~ '^[a-z ]*$'", "# IN ('a', 'b', 'abc')"])
        }
        Ty::Enum(_) => "# <> 'green'".to_owned(),
        Ty::Date | Ty::Timestamp | Ty::Timestamptz => "# > '2000-01-01'".to_owned(),
        Ty::Ints | Ty::Texts => "cardinality(#) < 3".to_owned(),
        Ty::Jsonb => "jsonb_typeof(#) = 'object'".to_owned(),
        Ty::Bool | Ty::Uuid => "# IS NOT NULL".to_owned(),
    }
    .replace('#', column)
}
