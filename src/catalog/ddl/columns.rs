//! Columns: what does a column definition make?
//!
//! Input: the parser's column definition. Output: [`ColumnDraft`]: the column without a number, its sequence, and the constraints
//! that become the table's. Invariants: serial and identity columns own a sequence; `DEFAULT NULL` is no default, as on the server.
//! Left out: whether a default fits its column's type, which the translator tells.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, ColumnDef, ConstrType, Node};

use super::Change;
use crate::catalog::lookup::quoted;
use crate::catalog::{Catalog, Column, Expression, Identity, Numbers, Outcome, Problem, Sequence, Type, tree};

/// Column names that every table has already.
const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// A column that isn't part of its table yet.
pub(super) struct ColumnDraft {
    /// The column; its number is still 0.
    pub column: Column,
    /// It takes its values from a sequence of its own: serial or identity.
    pub has_sequence: bool,
    /// Options of an identity column's sequence.
    pub sequence_options: Vec<Node>,
    /// Its constraints, as the table would write them.
    pub constraints: Vec<protobuf::Constraint>,
}

impl Change {
    /// Reads a column definition for a table of that name.
    pub(super) fn draft_column(&self, definition: &ColumnDef, table: &str) -> Outcome<ColumnDraft> {
        let name = &definition.colname;
        if SYSTEM_COLUMNS.contains(&name.as_str()) {
            return Err(Problem::rejected(
                "42701",
                format!("column name \"{name}\" conflicts with a system column name"),
            ));
        }
        let type_name = definition.type_name.as_ref().ok_or_else(|| Problem::unsupported("a column without a type"))?;
        let serial = serial_type(type_name);
        let ty = match &serial {
            Some(ty) => ty.clone(),
            None => Type::from_name(type_name, &self.catalog)?,
        };
        let column = Column { not_null: serial.is_some(), ..Column::plain(0, name.clone(), ty) };
        let mut draft =
            ColumnDraft { column, has_sequence: serial.is_some(), sequence_options: vec![], constraints: vec![] };
        let mut nullable = None;
        for node in &definition.constraints {
            if let Some(NodeEnum::Constraint(constraint)) = &node.node {
                self.draft_constraint(&mut draft, constraint, table, &mut nullable)?;
            }
        }
        if draft.column.default.is_some() && (draft.column.generated.is_some() || draft.column.identity.is_some()) {
            let both = if draft.column.generated.is_some() { "generation expression" } else { "identity" };
            let message = format!("both default and {both} specified for column \"{name}\" of table \"{table}\"");
            return Err(Problem::rejected("42601", message).at(definition.location));
        }
        Ok(draft)
    }

    fn draft_constraint(
        &self,
        draft: &mut ColumnDraft,
        constraint: &protobuf::Constraint,
        table: &str,
        nullable: &mut Option<bool>,
    ) -> Outcome<()> {
        let name = draft.column.name.clone();
        let kind = ConstrType::try_from(constraint.contype).unwrap_or(ConstrType::Undefined);
        let twice = |what: &str| {
            Problem::rejected("42601", format!("multiple {what} specified for column \"{name}\" of table \"{table}\""))
                .at(constraint.location)
        };
        match kind {
            ConstrType::ConstrNull | ConstrType::ConstrNotnull => {
                let allowed = kind == ConstrType::ConstrNull;
                if nullable.is_some_and(|before| before != allowed) || (allowed && draft.column.not_null) {
                    let message =
                        format!("conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\"");
                    return Err(Problem::rejected("42601", message).at(constraint.location));
                }
                *nullable = Some(allowed);
                draft.column.not_null |= !allowed;
            }
            ConstrType::ConstrDefault => {
                if draft.column.default.is_some() {
                    return Err(twice("default values"));
                }
                let ty = draft.column.ty.clone();
                draft.column.default = default_expression(constraint.raw_expr.as_deref(), &ty, &self.catalog)?;
            }
            ConstrType::ConstrIdentity => {
                if draft.column.identity.is_some() {
                    return Err(twice("identity specifications"));
                }
                expect_identity_type(&draft.column.ty)?;
                draft.column.identity = Some(identity(&constraint.generated_when));
                draft.column.not_null = true;
                draft.has_sequence = true;
                draft.sequence_options.clone_from(&constraint.options);
            }
            ConstrType::ConstrGenerated => {
                let expression =
                    constraint.raw_expr.as_deref().ok_or_else(|| Problem::unsupported("GENERATED without ()"))?;
                draft.column.generated = Some(Expression::of_table(expression, table)?);
            }
            ConstrType::ConstrCheck => draft.constraints.push(constraint.clone()),
            ConstrType::ConstrPrimary | ConstrType::ConstrUnique => {
                draft.constraints.push(protobuf::Constraint { keys: vec![tree::name(&name)], ..constraint.clone() });
            }
            ConstrType::ConstrForeign => {
                draft
                    .constraints
                    .push(protobuf::Constraint { fk_attrs: vec![tree::name(&name)], ..constraint.clone() });
            }
            ConstrType::ConstrAttrDeferrable => with_last(draft, |last| last.deferrable = true),
            ConstrType::ConstrAttrDeferred => {
                with_last(draft, |last| (last.deferrable, last.initdeferred) = (true, true))
            }
            ConstrType::ConstrAttrNotDeferrable | ConstrType::ConstrAttrImmediate => {}
            _ => return Err(Problem::unsupported("a column constraint of this form").at(constraint.location)),
        }
        Ok(())
    }

    /// SEQUENCE NAME among the options of an identity column, as a dump gives it.
    pub(super) fn sequence_named(&self, options: &[Node], schema: &str) -> Outcome<Option<String>> {
        let given = options.iter().find_map(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == "sequence_name" => option.arg.as_deref(),
            _ => None,
        });
        let Some(given) = given else { return Ok(None) };
        let (own, name) = super::qualified_list(given)?;
        if own.is_some_and(|own| own != schema) {
            return Err(Problem::unsupported("an identity column's sequence in another schema"));
        }
        self.catalog.expect_free_relation(schema, &name)?;
        Ok(Some(name))
    }

    /// Makes the sequence of a serial or identity column; returns its name. The table may not exist yet.
    pub(super) fn create_column_sequence(
        &mut self,
        schema: &str,
        table: &str,
        draft: &mut ColumnDraft,
    ) -> Outcome<Option<u32>> {
        if !draft.has_sequence {
            return Ok(None);
        }
        let ty = &draft.column.ty;
        let numbers = super::sequences::read_options(&draft.sequence_options, Numbers::of_type(ty), ty, true)?;
        let name = match self.sequence_named(&draft.sequence_options, schema)? {
            Some(name) => name,
            None => self.catalog.choose_relation_name(schema, table, Some(&draft.column.name), "seq", false),
        };
        let oid = self.catalog.new_oid();
        if draft.column.identity.is_none() {
            draft.column.default = Some(nextval(schema, &name));
        }
        let numbers = Some(numbers);
        self.catalog
            .sequences
            .insert(oid, Sequence { oid, schema: schema.to_owned(), name, owner: None, numbers, replaced: Vec::new() });
        Ok(Some(oid))
    }
}

fn with_last(draft: &mut ColumnDraft, change: impl FnOnce(&mut protobuf::Constraint)) {
    if let Some(last) = draft.constraints.last_mut() {
        change(last);
    }
}

/// `DEFAULT NULL` isn't kept, as on the server, unless it is converted: to a length, or from another type.
pub(super) fn default_expression(node: Option<&Node>, ty: &Type, catalog: &Catalog) -> Outcome<Option<Expression>> {
    match node {
        Some(node) if has_length(ty) || !is_null(node, ty, catalog) => Expression::new(node).map(Some),
        _ => Ok(None),
    }
}

/// NULL itself, or NULL of the column's own type.
fn is_null(node: &Node, ty: &Type, catalog: &Catalog) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => constant.isnull,
        Some(NodeEnum::TypeCast(cast)) => {
            let named = cast.type_name.as_ref().map(|name| Type::from_name(name, catalog));
            cast.arg.as_deref().is_some_and(|arg| is_null(arg, ty, catalog))
                && named.is_some_and(|named| named.is_ok_and(|named| named == *ty))
        }
        _ => false,
    }
}

/// A value of the type is cut or rounded to what the type says, by a function.
fn has_length(ty: &Type) -> bool {
    match ty {
        // A domain's values are judged as they become its own.
        Type::Varchar(Some(_)) | Type::Char(_) | Type::Numeric(Some(_)) | Type::Domain(..) => true,
        Type::Timestamp(Some(_)) | Type::Timestamptz(Some(_)) | Type::Time(Some(_)) => true,
        Type::Opaque(name) => name.ends_with(')') && ["bit", "bit varying"].iter().any(|own| name.starts_with(own)),
        Type::Array(element) => has_length(element),
        _ => false,
    }
}

/// The parser's letter for ALWAYS or BY DEFAULT.
pub(super) fn identity(letter: &str) -> Identity {
    if letter == "a" { Identity::Always } else { Identity::ByDefault }
}

/// 22023 for an identity column that isn't an integer.
pub(super) fn expect_identity_type(ty: &Type) -> Outcome<()> {
    if ty.is_integer() {
        return Ok(());
    }
    Err(Problem::rejected("22023", "identity column type must be smallint, integer, or bigint"))
}

fn serial_type(name: &protobuf::TypeName) -> Option<Type> {
    if !name.array_bounds.is_empty() {
        return None;
    }
    match tree::strings(&name.names).as_slice() {
        [name] => match name.as_str() {
            "smallserial" | "serial2" => Some(Type::Int2),
            "serial" | "serial4" => Some(Type::Int4),
            "bigserial" | "serial8" => Some(Type::Int8),
            _ => None,
        },
        _ => None,
    }
}

/// `nextval('t_id_seq'::regclass)`, as the server shows it.
pub(super) fn nextval(schema: &str, sequence: &str) -> Expression {
    let name = if schema == "public" { quoted(sequence) } else { format!("{}.{}", quoted(schema), quoted(sequence)) };
    let sql = format!("nextval({}::regclass)", crate::query::quote_literal(&name));
    Expression::parse(&sql).expect("the text is a function call")
}

/// The sequence a default takes its values from, as the default names it.
pub(crate) fn nextval_sequence(default: &Expression) -> Option<String> {
    let Some(NodeEnum::FuncCall(call)) = &default.node.node else { return None };
    if tree::strings(&call.funcname).last().map(String::as_str) != Some("nextval") {
        return None;
    }
    let mut name = None;
    tree::walk(call.args.first()?, &mut |node| {
        if let NodeEnum::AConst(constant) = node
            && let Some(protobuf::a_const::Val::Sval(text)) = &constant.val
        {
            name = Some(text.sval.clone());
        }
    });
    name
}
