//! PostgreSQL's own tables of types, casts, operators and functions, and what parse analysis makes of them.
//!
//! Input: the tab-separated files beside this one, read from a server by `generate.sh`, and types of the catalog. Output: which
//! operator or function a statement means, which types convert into which. Invariants: names and rules are the server's, nothing is
//! listed by hand; a type that the tables don't hold (one of an extension) has no [`Id`], and nothing is said about it.
//! Left out: how a chosen function is computed.

pub mod coercion;
pub mod mapping;
mod polymorphic;
pub mod resolution;
pub(crate) mod settings;
mod units;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Oid;

/// A type as the server's tables know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Id {
    /// A type of pg_catalog, by its place in the table.
    Known(u16),
    /// An enum of the catalog.
    Enum(Oid),
    /// An array of such an enum.
    EnumArray(Oid),
}

/// A row of `pg_type`.
#[derive(Debug)]
pub struct TypeRow {
    /// `int4`
    pub name: &'static str,
    /// `integer`
    pub shown: &'static str,
    /// `typcategory`
    pub category: u8,
    /// Preferred within its category.
    pub preferred: bool,
    /// `b`: base, `p`: pseudo, `r`: range, `m`: multirange.
    pub kind: u8,
    /// Element of an array, bounds of a range, range of a multirange.
    pub element: Option<Id>,
    /// Its array type.
    pub array: Option<Id>,
    /// Reading its text and writing it give the same at any time.
    pub text_is_immutable: (bool, bool),
}

/// When a cast is applied without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// In any expression.
    Implicit,
    /// Into a column.
    Assignment,
    /// Only by CAST or `::`.
    Explicit,
}

/// A row of `pg_cast`.
#[derive(Debug, Clone, Copy)]
pub struct Cast {
    /// The least context it applies in.
    pub context: Context,
    /// The bytes stay the same.
    pub binary: bool,
    /// By the text form.
    pub by_text: bool,
    /// Its function gives the same at any time.
    pub is_immutable: bool,
}

/// A row of `pg_operator`.
#[derive(Debug)]
pub struct Operator {
    /// Absent for a prefix operator.
    pub left: Option<Id>,
    /// Right operand.
    pub right: Id,
    /// Result.
    pub result: Id,
    /// Gives the same at any time.
    pub is_immutable: bool,
}

/// What kind of thing a call calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A function.
    Function,
    /// A procedure, which only CALL calls.
    Procedure,
    /// A window function, which needs OVER.
    Window,
    /// An aggregate.
    Aggregate,
    /// An aggregate that needs WITHIN GROUP.
    OrderedSet,
}

/// A row of `pg_proc`.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// NULL for any NULL argument.
    pub strict: bool,
    /// `i`, `s` or `v`.
    pub volatility: u8,
    /// Returns a set.
    pub returns_set: bool,
    /// Result type.
    pub result: Id,
    /// Argument types; the last is an array where the function is variadic.
    pub arguments: Vec<Id>,
    /// The element type of VARIADIC arguments.
    pub variadic: Option<Id>,
    /// SQL of the last arguments' defaults.
    pub defaults: Vec<&'static str>,
    /// Names of the arguments, where they have any.
    pub names: Vec<&'static str>,
    /// Columns of its result by name and type, where it has several or names for them.
    pub columns: Vec<(&'static str, Id)>,
}

/// An operator that an extension brings: the extension, the types of its operands.
pub type Brought = (&'static str, Option<Id>, Id);

/// The tables, read once.
pub struct Tables {
    types: Vec<TypeRow>,
    by_name: HashMap<&'static str, Id>,
    by_shown: HashMap<&'static str, Id>,
    casts: HashMap<(Id, Id), Cast>,
    operators: HashMap<&'static str, Vec<Operator>>,
    functions: HashMap<&'static str, Vec<Function>>,
    extensions: HashSet<&'static str>,
    extension_functions: HashMap<&'static str, Vec<&'static str>>,
    extension_operators: HashMap<&'static str, Vec<Brought>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);

/// The tables.
pub fn tables() -> &'static Tables {
    &TABLES
}

/// The type of pg_catalog with this name, as the tables themselves use it.
pub(crate) fn named(name: &str) -> Id {
    TABLES.by_name.get(name).copied().expect("a type of pg_catalog")
}

impl Tables {
    fn read() -> Tables {
        let rows = |text: &'static str| text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let listed: Vec<Vec<&'static str>> = rows(include_str!("types.tsv")).collect();
        let by_name: HashMap<&'static str, Id> =
            listed.iter().enumerate().map(|(at, row)| (row[0], Id::Known(at as u16))).collect();
        let maybe = |name: &str| by_name.get(name).copied();
        let sure = |name: &str| maybe(name).unwrap_or_else(|| panic!("the tables name the type {name}"));
        let types = listed
            .iter()
            .map(|row| TypeRow {
                name: row[0],
                shown: row[1],
                category: row[2].as_bytes()[0],
                preferred: row[3] == "p",
                kind: row[4].as_bytes()[0],
                element: maybe(row[5]),
                array: maybe(row[6]),
                text_is_immutable: (row[7] == "i", row[8] == "i"),
            })
            .collect();
        let casts = rows(include_str!("casts.tsv"))
            .map(|row| {
                let context = match row[2] {
                    "i" => Context::Implicit,
                    "a" => Context::Assignment,
                    _ => Context::Explicit,
                };
                let (binary, by_text) = (row[3] == "b", row[3] == "i");
                ((sure(row[0]), sure(row[1])), Cast { context, binary, by_text, is_immutable: row[4] == "i" })
            })
            .collect();
        let mut operators: HashMap<&'static str, Vec<Operator>> = HashMap::new();
        for row in rows(include_str!("operators.tsv")) {
            let (left, right, result) = (maybe(row[1]), sure(row[2]), sure(row[3]));
            let operator = Operator { left, right, result, is_immutable: row[4] == "i" };
            operators.entry(row[0]).or_default().push(operator);
        }
        let mut functions: HashMap<&'static str, Vec<Function>> = HashMap::new();
        for row in rows(include_str!("functions.tsv")) {
            functions.entry(row[0]).or_default().push(function(&row, &sure));
        }
        let mut extensions = HashSet::new();
        let mut extension_functions: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
        let mut extension_operators: HashMap<&'static str, Vec<Brought>> = HashMap::new();
        for row in rows(include_str!("extensions.tsv")) {
            extensions.insert(row[0]);
            match row[1] {
                "f" => extension_functions.entry(row[2]).or_default().push(row[0]),
                _ => extension_operators.entry(row[2]).or_default().push((row[0], maybe(row[3]), sure(row[4]))),
            }
        }
        let by_shown = listed.iter().map(|row| (row[1], sure(row[0]))).collect();
        Tables {
            types,
            by_name,
            by_shown,
            casts,
            operators,
            functions,
            extensions,
            extension_functions,
            extension_operators,
        }
    }

    /// The row of a type of pg_catalog.
    pub fn row(&self, id: Id) -> Option<&TypeRow> {
        match id {
            Id::Known(at) => self.types.get(usize::from(at)),
            Id::Enum(_) | Id::EnumArray(_) => None,
        }
    }

    /// Every type: its own name, the one that messages use, and its kind.
    pub fn type_names(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        self.types.iter().map(|row| {
            let kind = match row.kind {
                b'p' => "p",
                b'r' => "r",
                b'm' => "m",
                _ => "b",
            };
            (row.name, row.shown, kind)
        })
    }

    /// A type by its own name: `int4`.
    pub fn by_name(&self, name: &str) -> Option<Id> {
        self.by_name.get(name).copied()
    }

    /// A type by the name that messages use: `integer`.
    pub fn by_shown(&self, name: &str) -> Option<Id> {
        self.by_shown.get(name).copied()
    }

    /// The cast between two types, where `pg_cast` has one.
    pub fn cast(&self, from: Id, to: Id) -> Option<Cast> {
        self.casts.get(&(from, to)).copied()
    }

    /// Operators of a name.
    pub fn operators(&self, name: &str) -> &[Operator] {
        self.operators.get(name).map_or(&[], Vec::as_slice)
    }

    /// Functions of a name.
    pub fn functions(&self, name: &str) -> &[Function] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Names of all operators.
    pub fn operator_names(&self) -> impl Iterator<Item = &'static str> {
        self.operators.keys().copied()
    }

    /// Names of all functions.
    pub fn function_names(&self) -> impl Iterator<Item = &'static str> {
        self.functions.keys().copied()
    }

    /// An extension whose functions and operators are listed.
    pub fn knows_extension(&self, name: &str) -> bool {
        name == "plpgsql" || self.extensions.contains(name)
    }

    /// Extensions that come with the server.
    pub fn extensions(&self) -> impl Iterator<Item = &'static str> {
        self.extensions.iter().copied()
    }

    /// Names of an extension's functions.
    pub fn functions_of_extension(&self, extension: &str) -> impl Iterator<Item = &'static str> {
        let brings = move |(name, by): (&&'static str, &Vec<&'static str>)| by.contains(&extension).then_some(*name);
        self.extension_functions.iter().filter_map(brings)
    }

    /// Extensions that bring a function of this name.
    pub fn extensions_with_function(&self, name: &str) -> &[&'static str] {
        self.extension_functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Extensions that bring an operator of this name between types of pg_catalog.
    pub fn extensions_with_operator(&self, name: &str) -> &[Brought] {
        self.extension_operators.get(name).map_or(&[], Vec::as_slice)
    }
}

fn function(row: &[&'static str], sure: &impl Fn(&str) -> Id) -> Function {
    let words = |text: &'static str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let columns = words(row[8]);
    Function {
        name: row[0],
        kind: match row[1] {
            "f" => Kind::Function,
            "p" => Kind::Procedure,
            "w" => Kind::Window,
            "n" => Kind::Aggregate,
            _ => Kind::OrderedSet,
        },
        strict: row[2].starts_with('s'),
        volatility: row[2].as_bytes()[1],
        returns_set: row[2].ends_with('r'),
        result: sure(row[3]),
        arguments: words(row[4]).into_iter().map(sure).collect(),
        variadic: Some(row[5]).filter(|name| !name.is_empty()).map(sure),
        defaults: row[6].split(", ").filter(|sql| !sql.is_empty()).collect(),
        names: words(row[7]),
        columns: columns.chunks_exact(2).map(|pair| (pair[0], sure(pair[1]))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read() {
        let row = |name: &str| tables().row(named(name)).expect(name);
        assert_eq!((row("int4").shown, row("int4").category, row("int4").preferred), ("integer", b'N', false));
        assert_eq!(row("_int4").element, Some(named("int4")));
        assert_eq!(row("int4range").element, Some(named("int4")));
        assert!(row("text").preferred);
        let make = &tables().functions("make_interval")[0];
        assert_eq!((make.arguments.len(), make.defaults.len(), make.names[3]), (7, 7, "days"));
        assert_eq!(tables().cast(named("int4"), named("int8")).map(|c| c.context), Some(Context::Implicit));
        assert_eq!(tables().extensions_with_function("similarity"), ["pg_trgm"]);
    }
}
