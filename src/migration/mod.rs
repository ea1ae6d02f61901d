//! Migrations as they lie on disk: files, folders and stdin become statements with their places.
//!
//! Input: what the user named. Output: [`Migration`]: files in order, each split into [`Statement`]s by PostgreSQL's own parser.
//! Invariants: a statement's text is the file's, byte for byte; places are 1-based lines and columns (in characters); comments are
//! kept, because what they promise is held against what the SQL does. Left out: what the statements mean.

use pg_query::NodeEnum;

/// What the user wants rehearsed, in the order it runs.
#[derive(Debug, Clone, Default)]
pub struct Migration {
    /// The files.
    pub files: Vec<File>,
    /// All statements, in order.
    pub statements: Vec<Statement>,
}

/// One migration file.
#[derive(Debug, Clone)]
pub struct File {
    /// As the user would write it to find it again: the path, or `-` for stdin.
    pub name: String,
    /// The migration's own name: the folder of a Prisma migration, the file's stem otherwise.
    pub migration: String,
    /// Its text.
    pub text: String,
    /// What its comments promise: `-- Expected: filled=1,567, orphans=2,485`.
    pub promises: Vec<Promise>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Migration::files`].
    pub file: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One SQL statement of a file.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Position among all statements, from 1: what reports call "statement 4".
    pub index: usize,
    /// Where its first word stands.
    pub place: Place,
    /// Line of its last character.
    pub end_line: usize,
    /// Byte offset of its first word in the file. Node locations count from the start of the *file's* text.
    pub offset: usize,
    /// Its text, without the comment lines above it and without the semicolon.
    pub sql: String,
    /// Comment lines right above it and inside it, without their marks.
    pub comments: Vec<Comment>,
    /// As the parser read it.
    pub node: NodeEnum,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Line, from 1.
    pub line: usize,
    /// Its words, trimmed.
    pub text: String,
}

/// Figures that a comment promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Line of the comment, from 1.
    pub line: usize,
    /// The comment's words.
    pub text: String,
    /// Names and figures in order: (`filled`, 1567), (`orphans`, 2485).
    pub figures: Vec<(String, u64)>,
    /// [`Statement::index`] of the statement that it follows or stands in, where there is one: a promise is about what went before.
    pub statement: Option<usize>,
}
