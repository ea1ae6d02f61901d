//! Sequences: CREATE and ALTER SEQUENCE.
//!
//! Input: the parser's statements, and the options of identity columns. Output: names, owners, and the numbers they may give. Left out:
//! the numbers themselves.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterSeqStmt, CreateSeqStmt, Node};

use super::Change;
use super::columns::nextval_sequence;
use super::tables::named;
use crate::catalog::lookup::schema_of;
use crate::catalog::sequence::bounds;
use crate::catalog::{
    AttNum, Catalog, Column, Numbers, Oid, Outcome, Problem, RelationKind, Sequence, Table, Type, tree,
};

impl Catalog {
    /// The sequence that a text like `app.t_id_seq` or `"T_id_seq"` names, as `nextval` reads it.
    pub fn sequence_by_text(&self, text: &str) -> Option<Oid> {
        let (schema, name) = named_by(text)?;
        self.sequence(schema.as_deref(), &name).map(|sequence| sequence.oid)
    }

    /// The same, where it must exist.
    ///
    /// # Errors
    /// 42P01, or 42809 where the name is another relation's.
    pub fn expect_sequence(&self, text: &str) -> Outcome<&Sequence> {
        let (schema, name) = named_by(text).ok_or_else(|| Problem::rejected("42602", "invalid name syntax"))?;
        match self.find_relation(schema.as_deref(), &name) {
            Some((RelationKind::Sequence, oid)) => Ok(&self.sequences[&oid]),
            Some(_) => Err(Problem::rejected("42809", format!("\"{name}\" is not a sequence"))),
            None if self.partial => {
                Err(Problem::unsupported(format!("the sequence {text}, which the snapshot doesn't hold,")))
            }
            None => Err(self.missing_named(schema.as_deref(), &name)),
        }
    }

    /// The table that a text names, as `regclass` reads it.
    ///
    /// # Errors
    /// 42P01, or 42602 where it isn't a name.
    pub fn table_by_text(&self, text: &str) -> Outcome<&Table> {
        let (schema, name) = named_by(text).ok_or_else(|| Problem::rejected("42602", "invalid name syntax"))?;
        self.table(schema.as_deref(), &name).ok_or_else(|| self.missing_named(schema.as_deref(), &name))
    }

    /// The sequence that a column's values come from by default.
    pub fn sequence_of(&self, table: Oid, column: &Column) -> Option<Oid> {
        match column.default.as_ref().and_then(nextval_sequence) {
            Some(text) => self.default_sequence(&text),
            None if column.identity.is_some() => {
                let owner = Some((table, column.attnum));
                self.sequences.values().find(|sequence| sequence.owner == owner).map(|sequence| sequence.oid)
            }
            None => None,
        }
    }

    /// The same for a stored default: a name without a schema is `public`'s, as snapshots write it, whatever the search path.
    pub(crate) fn default_sequence(&self, text: &str) -> Option<Oid> {
        let (schema, name) = named_by(text)?;
        let stored = self.sequence(Some(schema.as_deref().unwrap_or("public")), &name);
        stored.or_else(|| self.sequence(schema.as_deref(), &name)).map(|sequence| sequence.oid)
    }
}

/// Reads the options of CREATE SEQUENCE, ALTER SEQUENCE and of identity columns into numbers, in the order in which the server
/// checks them (`init_params`). `ty` is the type that bounds them; `new` for a sequence that is being made.
pub(super) fn read_options(options: &[Node], mut numbers: Numbers, ty: &Type, new: bool) -> Outcome<Numbers> {
    let given = |name: &str| {
        options.iter().find_map(|option| match &option.node {
            Some(NodeEnum::DefElem(option)) if option.defname == name => Some(option.arg.as_deref()),
            _ => None,
        })
    };
    let number = |name: &str| given(name).flatten().and_then(integer);
    // The last number given, or the one it stands before.
    let last = if numbers.next == numbers.start { numbers.next } else { numbers.next.saturating_sub(numbers.step) };
    let refuse = |message: String| Err(Problem::rejected("22023", message));
    if let Some(step) = number("increment") {
        if step == 0 {
            return refuse("INCREMENT must not be zero".to_owned());
        }
        let called = numbers.next.saturating_sub(numbers.step);
        // A number that was given stays the last one.
        if !new && numbers.next != numbers.start {
            numbers.next = called.saturating_add(step);
        }
        numbers.step = step;
    }
    if let Some(cycle) = given("cycle") {
        numbers.cycle = cycle.is_none_or(is_true);
    }
    let (least, greatest) = bounds(ty);
    let up = numbers.step > 0;
    for (name, new_default, limit) in [
        ("maxvalue", if up { greatest } else { -1 }, &mut numbers.max),
        ("minvalue", if up { 1 } else { least }, &mut numbers.min),
    ] {
        match given(name) {
            Some(Some(node)) => {
                let value = integer(node);
                let Some(value) = value.filter(|value| (least..=greatest).contains(value)) else {
                    let shown = value.map_or_else(|| "?".to_owned(), |value| value.to_string());
                    let words = ty.base_name(&Catalog::default());
                    return refuse(format!(
                        "{} ({shown}) is out of range for sequence data type {words}",
                        name.to_uppercase()
                    ));
                };
                *limit = value;
            }
            Some(None) => *limit = new_default,
            None if new => *limit = new_default,
            None => {}
        }
    }
    if numbers.min >= numbers.max {
        return refuse(format!("MINVALUE ({}) must be less than MAXVALUE ({})", numbers.min, numbers.max));
    }
    match number("start") {
        Some(start) => numbers.start = start,
        None if new => numbers.start = if up { numbers.min } else { numbers.max },
        None => {}
    }
    expect_within(&numbers, "START", numbers.start)?;
    match given("restart") {
        Some(Some(node)) => numbers.next = integer(node).unwrap_or(numbers.start),
        Some(None) => numbers.restart(),
        None if new => numbers.restart(),
        None => {}
    }
    let stands = if new || given("restart").is_some() { numbers.next } else { last };
    expect_within(&numbers, "RESTART", stands)?;
    if let Some(cache) = number("cache") {
        if cache <= 0 {
            return refuse(format!("CACHE ({cache}) must be greater than zero"));
        }
        numbers.cache = cache;
    }
    Ok(numbers)
}

fn expect_within(numbers: &Numbers, what: &str, value: i64) -> Outcome<()> {
    let message = if value < numbers.min {
        format!("{what} value ({value}) cannot be less than MINVALUE ({})", numbers.min)
    } else if value > numbers.max {
        format!("{what} value ({value}) cannot be greater than MAXVALUE ({})", numbers.max)
    } else {
        return Ok(());
    };
    Err(Problem::rejected("22023", message))
}

fn integer(node: &Node) -> Option<i64> {
    match &node.node {
        Some(NodeEnum::Integer(value)) => Some(i64::from(value.ival)),
        Some(NodeEnum::Float(value)) => value.fval.parse().ok(),
        _ => None,
    }
}

fn is_true(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::Boolean(value)) => value.boolval,
        Some(NodeEnum::Integer(value)) => value.ival != 0,
        _ => true,
    }
}

/// The type that `AS` names: `bigint` where nothing is said.
fn option_type(options: &[Node], catalog: &Catalog) -> Outcome<Option<Type>> {
    for option in options {
        let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
        if option.defname == "as"
            && let Some(NodeEnum::TypeName(name)) = option.arg.as_deref().and_then(|node| node.node.as_ref())
        {
            let ty = Type::from_name(name, catalog)?;
            if !ty.is_integer() {
                return Err(Problem::rejected("22023", "sequence type must be smallint, integer, or bigint"));
            }
            return Ok(Some(ty));
        }
    }
    Ok(None)
}

/// Schema and name out of a qualified name's text.
fn named_by(text: &str) -> Option<(Option<String>, String)> {
    let node = super::super::expression::parse(text).ok()?;
    let Some(NodeEnum::ColumnRef(names)) = &node.node else { return None };
    let mut names = tree::strings(&names.fields);
    let name = names.pop()?;
    Some((names.pop(), name))
}

impl Change {
    pub(super) fn create_sequence(&mut self, statement: &CreateSeqStmt) -> Outcome<&'static str> {
        const TAG: &str = "CREATE SEQUENCE";
        let relation = named(statement.sequence.as_ref())?;
        let schema = self.schema_for(relation)?;
        if statement.if_not_exists && self.catalog.relation(&schema, &relation.relname).is_some() {
            self.note(format!("relation \"{}\" already exists, skipping", relation.relname));
            return Ok(TAG);
        }
        self.catalog.expect_free_relation(&schema, &relation.relname)?;
        let owner = self.read_owner(&statement.options)?.flatten();
        let oid = self.catalog.new_oid();
        let ty = option_type(&statement.options, &self.catalog)?.unwrap_or(Type::Int8);
        let numbers = read_options(&statement.options, Numbers::default(), &ty, true)?;
        let name = relation.relname.clone();
        self.catalog
            .sequences
            .insert(oid, Sequence { oid, schema, name, owner, numbers: Some(numbers), replaced: Vec::new() });
        Ok(TAG)
    }

    pub(super) fn alter_sequence(&mut self, statement: &AlterSeqStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER SEQUENCE";
        let relation = named(statement.sequence.as_ref())?;
        let schema = schema_of(relation);
        let Some(oid) = self.catalog.sequence(schema, &relation.relname).map(|sequence| sequence.oid) else {
            if statement.missing_ok {
                self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
                return Ok(TAG);
            }
            if self.catalog.partial {
                self.note(format!(
                    "the snapshot lists no sequences but its columns': {} is taken as existing",
                    relation.relname
                ));
                return Ok(TAG);
            }
            return Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location));
        };
        if let Some(owner) = self.read_owner(&statement.options)?
            && let Some(sequence) = self.catalog.sequences.get_mut(&oid)
        {
            sequence.owner = owner;
        }
        self.set_options(oid, &statement.options)?;
        Ok(TAG)
    }

    /// Options of ALTER SEQUENCE and of ALTER COLUMN … SET.
    pub(super) fn set_options(&mut self, oid: Oid, options: &[Node]) -> Outcome<()> {
        let ty = option_type(options, &self.catalog)?;
        let Some(sequence) = self.catalog.sequences.get_mut(&oid) else { return Ok(()) };
        // Of a snapshot's sequence nothing is known that could change.
        let Some(mut numbers) = sequence.numbers else { return Ok(()) };
        if let Some(ty) = &ty {
            // Limits that were the old type's become the new one's.
            let is_limit = |value: i64| [Type::Int2, Type::Int4, Type::Int8].iter().any(|ty| bounds(ty).1 == value);
            if numbers.step > 0 && is_limit(numbers.max) {
                numbers.max = bounds(ty).1;
            }
        }
        let ty = ty.unwrap_or(Type::Int8);
        let numbers = read_options(options, numbers, &ty, false)?;
        // Its owner and the like aren't part of its state.
        if options.iter().any(|node| matches!(&node.node, Some(NodeEnum::DefElem(o)) if !["owned_by", "generated", "sequence_name"].contains(&o.defname.as_str()))) {
            sequence.replace(numbers);
        }
        Ok(())
    }

    /// OWNED BY: a column or NONE; `None` where the statement doesn't say.
    fn read_owner(&self, options: &[Node]) -> Outcome<Option<Option<(Oid, AttNum)>>> {
        for option in options {
            let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
            if option.defname != "owned_by" {
                continue;
            }
            let Some(NodeEnum::List(list)) = option.arg.as_deref().and_then(|node| node.node.as_ref()) else {
                continue;
            };
            let mut names = tree::strings(&list.items);
            let column = names.pop().unwrap_or_default();
            let Some(table) = names.pop() else {
                if column == "none" {
                    return Ok(Some(None));
                }
                return Err(Problem::rejected("42601", "invalid OWNED BY option")
                    .hint("Specify OWNED BY table.column or OWNED BY NONE."));
            };
            let schema = names.pop();
            let Some(found) = self.catalog.table(schema.as_deref(), &table) else {
                return Err(self.catalog.missing_named(schema.as_deref(), &table));
            };
            return Ok(Some(Some((found.oid, self.catalog.expect_column(found, &column)?.attnum))));
        }
        Ok(None)
    }
}
