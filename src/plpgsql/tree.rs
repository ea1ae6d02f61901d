//! The tree of a routine's body: what PL/pgSQL's parser would make of it.
//!
//! Invariants: every place is a byte offset in the body; every SQL text has been parsed, so that a syntax error is found before
//! anything runs, as on the server.

use pg_query::NodeEnum;

use crate::translate::NameConflict;

/// A routine's body.
#[derive(Debug, Clone)]
pub struct Body {
    /// The outermost block.
    pub block: Block,
    /// `#variable_conflict`: what a name means that is a variable's and a column's.
    pub conflict: NameConflict,
}

/// `[DECLARE …] BEGIN … [EXCEPTION …] END`
#[derive(Debug, Clone)]
pub struct Block {
    /// `<<label>>`
    pub label: Option<String>,
    /// Its variables.
    pub declarations: Vec<Declaration>,
    /// What it does.
    pub body: Vec<Statement>,
    /// `EXCEPTION WHEN …`; empty where there is none.
    pub handlers: Vec<Handler>,
}

/// A variable.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub at: usize,
    /// Its type, or what it is another name of.
    pub ty: Declared,
    /// CONSTANT.
    pub constant: bool,
    /// NOT NULL.
    pub not_null: bool,
    /// Its first value.
    pub default: Option<Sql>,
}

/// What is declared.
#[derive(Debug, Clone)]
pub enum Declared {
    /// A type, as written.
    Type(String),
    /// `name%TYPE`, `table.column%TYPE`
    TypeOf(Vec<String>),
    /// `table%ROWTYPE`
    RowOf(Vec<String>),
    /// ALIAS FOR
    Alias(String),
    /// CURSOR FOR
    Cursor(Box<CursorQuery>),
}

/// The query of a cursor.
#[derive(Debug, Clone)]
pub struct CursorQuery {
    /// Names and types of what it is opened with.
    pub parameters: Vec<(String, String)>,
    /// The query.
    pub query: Query,
}

/// `WHEN condition OR … THEN …`
#[derive(Debug, Clone)]
pub struct Handler {
    /// Condition names as written; an SQLSTATE as itself.
    pub conditions: Vec<Condition>,
    /// What it does.
    pub body: Vec<Statement>,
}

/// What a handler catches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// OTHERS
    Others,
    /// A code, or a class of them that ends in 000.
    State(String),
}

/// A parsed SQL text; an expression is a SELECT of it.
#[derive(Debug, Clone)]
pub struct Sql {
    /// As written.
    pub text: String,
    /// Where it stands.
    pub at: usize,
    /// As the parser read it.
    pub node: NodeEnum,
}

/// A query that is looped over or returned.
#[derive(Debug, Clone)]
pub enum Query {
    /// Written out.
    Static(Sql),
    /// EXECUTE text USING values
    Dynamic {
        /// The text.
        text: Sql,
        /// `$1` and so on.
        using: Vec<Sql>,
    },
}

/// Where a value goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// `variable`, `record.field`, `label.variable`
    pub path: Vec<String>,
    /// `[1]`
    pub subscripts: Vec<Sql>,
}

/// `INTO [STRICT] …`
#[derive(Debug, Clone, Default)]
pub struct Into {
    /// Exactly one row is demanded.
    pub strict: bool,
    /// Where the columns go.
    pub targets: Vec<Target>,
}

/// A statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it begins.
    pub at: usize,
    /// What it is.
    pub kind: Kind,
}

/// Levels of RAISE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// DEBUG and LOG: not shown to the client.
    Hidden,
    /// INFO
    Info,
    /// NOTICE
    Notice,
    /// WARNING
    Warning,
    /// EXCEPTION
    Exception,
}

/// `RAISE …`
#[derive(Debug, Clone)]
pub struct Raise {
    /// Its level.
    pub level: Level,
    /// The format with its parameters.
    pub message: Option<(String, Vec<Sql>)>,
    /// A condition's name, or an SQLSTATE.
    pub condition: Option<String>,
    /// USING option = value
    pub options: Vec<(String, Sql)>,
    /// `RAISE;`: what was caught once more.
    pub again: bool,
}

/// What a statement is.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a tree is read once and hardly moved")]
pub enum Kind {
    /// A block within.
    Block(Block),
    /// `target := value`
    Assign(Target, Sql),
    /// IF and ELSIF with their conditions, ELSE.
    If(Vec<(Sql, Vec<Statement>)>, Vec<Statement>),
    /// CASE: the subject, each WHEN with its values or its condition, ELSE.
    Case(Option<Sql>, Vec<(Vec<Sql>, Vec<Statement>)>, Option<Vec<Statement>>),
    /// LOOP; with a condition WHILE.
    Loop {
        /// Its label.
        label: Option<String>,
        /// WHILE.
        condition: Option<Sql>,
        /// What it does.
        body: Vec<Statement>,
    },
    /// FOR i IN [REVERSE] from .. to BY step
    ForRange {
        /// Its label.
        label: Option<String>,
        /// The variable, which the loop makes.
        name: String,
        /// Downwards.
        reverse: bool,
        /// From, to and step.
        bounds: [Option<Box<Sql>>; 3],
        /// What it does.
        body: Vec<Statement>,
    },
    /// FOR target IN query
    ForQuery {
        /// Its label.
        label: Option<String>,
        /// What takes each row.
        targets: Vec<Target>,
        /// The query.
        query: Box<Query>,
        /// What it does.
        body: Vec<Statement>,
    },
    /// FOR record IN cursor(arguments)
    ForCursor {
        /// Its label.
        label: Option<String>,
        /// The record, which the loop makes.
        name: String,
        /// The cursor.
        cursor: String,
        /// What it is opened with.
        arguments: Vec<Sql>,
        /// What it does.
        body: Vec<Statement>,
    },
    /// OPEN cursor(arguments), OPEN cursor FOR query
    Open {
        /// The cursor.
        cursor: String,
        /// What it is opened with.
        arguments: Vec<Sql>,
        /// Its query, where it has none of its own.
        query: Option<Query>,
    },
    /// FETCH cursor INTO targets; without targets MOVE.
    Fetch {
        /// The cursor.
        cursor: String,
        /// What takes the row.
        into: Option<Into>,
    },
    /// CLOSE
    Close(String),
    /// FOREACH target IN ARRAY value
    ForEach {
        /// Its label.
        label: Option<String>,
        /// What takes each element.
        target: Target,
        /// The array.
        array: Sql,
        /// What it does.
        body: Vec<Statement>,
    },
    /// EXIT or CONTINUE.
    Leave {
        /// CONTINUE.
        goes_on: bool,
        /// Which loop.
        label: Option<String>,
        /// WHEN
        when: Option<Sql>,
    },
    /// RETURN
    Return(Option<Sql>),
    /// RETURN NEXT
    ReturnNext(Option<Sql>),
    /// RETURN QUERY
    ReturnQuery(Query),
    /// RAISE
    Raise(Raise),
    /// ASSERT condition, message
    Assert(Sql, Option<Sql>),
    /// An SQL statement.
    Sql(Sql, Option<Into>),
    /// EXECUTE text INTO … USING …
    Execute {
        /// The text.
        text: Sql,
        /// Where its row goes.
        into: Option<Into>,
        /// `$1` and so on.
        using: Vec<Sql>,
    },
    /// PERFORM query
    Perform(Sql),
    /// GET [STACKED] DIAGNOSTICS target = item, …
    Diagnostics {
        /// Of the error that is handled.
        stacked: bool,
        /// Targets and items, the items in lower case.
        items: Vec<(Target, String)>,
    },
    /// NULL
    Nothing,
    /// What is read but not run, by name.
    Unsupported(&'static str),
}
