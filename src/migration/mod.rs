//! Migrations as they lie on disk: files, folders and stdin become statements with their places.
//!
//! Input: what the user named. Output: [`Migration`]: files in order, each split into [`Statement`]s by PostgreSQL's own parser.
//! Invariants: a statement's text is the file's, byte for byte; places are 1-based lines and columns (in characters); comments are
//! kept, because what they promise is held against what the SQL does. Left out: what the statements mean.

mod copy;
mod decode;
mod fault;
mod lexer;
mod promises;
mod sections;
mod selection;
mod sources;
mod split;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use pg_query::NodeEnum;

pub use promises::ROWS;
pub use selection::Selection;

use crate::ui::hinted;

/// What the user wants rehearsed, in the order it runs.
#[derive(Debug, Clone, Default)]
pub struct Migration {
    /// The files.
    pub files: Vec<File>,
    /// All statements, in order.
    pub statements: Vec<Statement>,
    /// What was noticed on the way, in whole sentences.
    pub warnings: Vec<String>,
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
    /// Comment lines right above it, inside it and behind it on its last line, without their marks.
    pub comments: Vec<Comment>,
    /// As the parser read it.
    pub node: NodeEnum,
    /// Why there is nothing to run: what stands here isn't SQL, or doesn't parse.
    pub fault: Option<Fault>,
}

/// What stands in a file of a history in a statement's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server's parser refuses the file.
    Syntax {
        /// In its words.
        message: String,
        /// Byte offset in the file at which it stops.
        at: usize,
    },
    /// What can't be read here, as a refusal names it.
    Foreign(String),
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
    /// [`Statement::index`] of the statement that it is about, where there is one: what it stands in, else what went before,
    /// unless it clings to the next statement and not to that.
    pub statement: Option<usize>,
}

impl Migration {
    /// Reads files, Prisma folders, folders of `*.sql` and `-` (stdin).
    ///
    /// # Errors
    /// Nothing there, nothing chosen, a file that isn't UTF-8, a single one that doesn't parse (with line and column), or no statement
    /// at all. Of several files, one that doesn't parse is a statement that the server refuses.
    pub fn read(paths: &[PathBuf], selection: &Selection) -> Result<Migration> {
        Migration::read_with(paths, selection, &mut std::io::stdin())
    }

    fn read_with(paths: &[PathBuf], selection: &Selection, stdin: &mut dyn Read) -> Result<Migration> {
        let mut migration = Migration::default();
        let found = sources::find(paths, &mut migration.warnings)?;
        let names: Vec<String> = found.iter().map(|source| source.migration.clone()).collect();
        let chosen = &found[selection.range(&names)?];
        for source in chosen {
            let bytes = if source.path == Path::new("-") {
                let mut bytes = Vec::new();
                stdin.read_to_end(&mut bytes).context("reading the migration from stdin")?;
                bytes
            } else {
                std::fs::read(&source.path).with_context(|| format!("reading {}", source.path.display()))?
            };
            let name = source.path.display().to_string();
            let text = decode::decode(&name, bytes)?;
            migration.add(name, source.migration.clone(), text, chosen.len() == 1)?;
        }
        if migration.statements.is_empty() {
            let names: Vec<&str> = migration.files.iter().map(|file| file.name.as_str()).collect();
            return Err(hinted(
                anyhow!("there is no statement to rehearse in {}", names.join(", ")),
                "name the files whose SQL is to run",
            ));
        }
        Ok(migration)
    }

    /// A migration of one text, for `-` and for tests of what comes after.
    ///
    /// # Errors
    /// As [`Migration::read`].
    pub fn from_text(name: &str, text: &str) -> Result<Migration> {
        Migration::from_texts(&[(name, text)])
    }

    /// A migration of several texts, each with the name of its file, in the order they run.
    ///
    /// # Errors
    /// As [`Migration::read`].
    pub fn from_texts(files: &[(&str, &str)]) -> Result<Migration> {
        let mut migration = Migration::default();
        for (name, text) in files {
            let stem = name.strip_suffix("/migration.sql").or_else(|| name.strip_suffix(".sql")).unwrap_or(name);
            migration.add((*name).to_owned(), stem.to_owned(), (*text).to_owned(), files.len() == 1)?;
        }
        Ok(migration)
    }

    fn add(&mut self, name: String, migration: String, text: String, alone: bool) -> Result<()> {
        let content = if alone { split::split(&name, &text)? } else { split::split_one_of_many(&name, &text) };
        self.warnings.extend(content.warnings);
        if content.statements.is_empty() {
            let what = if text.trim().is_empty() { "is empty" } else { "holds no statement, only comments" };
            if alone {
                return Err(hinted(anyhow!("{name} {what}"), "name the file whose SQL is to run"));
            }
            self.warnings.push(format!("{name} {what}"));
        }
        let (file, before) = (self.files.len(), self.statements.len());
        self.statements.extend(content.statements.into_iter().map(|mut statement| {
            statement.index += before;
            statement.place.file = file;
            statement
        }));
        let promises = content
            .promises
            .into_iter()
            .map(|promise| Promise { statement: promise.statement.map(|index| index + before), ..promise })
            .collect();
        self.files.push(File { name, migration, text, promises });
        Ok(())
    }

    /// The place of a byte of a file: what a node's location means.
    pub fn place(&self, file: usize, offset: usize) -> Place {
        let text = &self.files[file].text;
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (line, column) = decode::line_and_column(&text[..end]);
        Place { file, line, column }
    }

    /// Where a statement stands, as people write it: `migration.sql:22`.
    pub fn spot(&self, statement: &Statement) -> String {
        format!("{}:{}", self.files[statement.place.file].name, statement.place.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads files of these names and texts in this order; says what came of it with the folder taken out.
    fn check(files: &[(&str, &[u8])], expected: Result<(&[&str], &[&str]), &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut paths = Vec::new();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("a file");
            paths.push(path);
        }
        let strip = |text: &str| text.replace(&format!("{}/", folder.path().display()), "");
        let found = Migration::read(&paths, &Selection::default())
            .map(|m| {
                let statements: Vec<String> =
                    m.statements.iter().map(|s| format!("{} {} {}", s.index, strip(&m.spot(s)), s.sql)).collect();
                (statements, m.warnings.iter().map(|w| strip(w)).collect::<Vec<_>>())
            })
            .map_err(|error| strip(&error.to_string()));
        match (found, expected) {
            (Ok((statements, warnings)), Ok(expected)) => {
                assert_eq!(statements, expected.0);
                assert_eq!(warnings, expected.1);
            }
            (Err(found), Err(expected)) => assert_eq!(found, expected),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn statements_are_numbered_over_all_files() {
        check(
            &[("b.sql", b"SELECT 1;\n\nSELECT 2"), ("empty.sql", b"-- nothing"), ("a.sql", b"\n  SELECT 3;")],
            Ok((
                &["1 b.sql:1 SELECT 1", "2 b.sql:3 SELECT 2", "3 a.sql:2 SELECT 3"],
                &["empty.sql holds no statement, only comments"],
            )),
        );
    }

    #[test]
    fn nothing_to_run_is_an_error() {
        check(&[("a.sql", b" \n")], Err("a.sql is empty"));
        check(&[("a.sql", b"/* later */")], Err("a.sql holds no statement, only comments"));
        check(&[("a.sql", b""), ("b.sql", b";")], Err("there is no statement to rehearse in a.sql, b.sql"));
    }

    #[test]
    fn stdin_is_a_file_named_by_a_dash() {
        let paths = [PathBuf::from("-")];
        let read = Migration::read_with(&paths, &Selection::default(), &mut "SELECT 1".as_bytes()).expect("SQL");
        assert_eq!((read.files[0].name.as_str(), read.files[0].migration.as_str()), ("-", "stdin"));
        assert_eq!(read.spot(&read.statements[0]), "-:1");
    }

    #[test]
    fn promises_point_at_statements_of_the_whole_migration() {
        let folder = tempfile::tempdir().expect("a folder");
        let texts = ["SELECT 1;", "UPDATE t SET a = 1;\n-- Expected rows: 3\n"];
        let paths: Vec<PathBuf> = (0..2).map(|i| folder.path().join(format!("{i}.sql"))).collect();
        for (path, text) in paths.iter().zip(texts) {
            std::fs::write(path, text).expect("a file");
        }
        let read = Migration::read(&paths, &Selection::default()).expect("SQL");
        assert_eq!(read.files[1].promises[0].statement, Some(2));
        assert_eq!(read.place(1, 23), Place { file: 1, line: 2, column: 4 });
    }

    #[test]
    fn a_large_text_is_read_in_parts_and_keeps_its_places() {
        let row = "INSERT INTO t (a, b) VALUES (1, 'it''s a value of some length'), (2, $$another value$$);\n";
        let text = row.repeat(2_000_000 / row.len());
        let read = Migration::from_text("big.sql", &text).expect("SQL");
        assert_eq!(read.statements.len(), text.len() / row.len());
        let last = read.statements.last().expect("statements");
        assert_eq!((last.place.line, last.offset), (read.statements.len(), text.len() - row.len()));
    }
}
