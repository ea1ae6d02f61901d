//! What the user names becomes files in the order they run.
//!
//! Input: paths as they were written. Output: [`Source`]s (path and migration name) and warnings. Known layouts: a file; `-`; a
//! folder with one `migration.sql` or `up.sql`; a folder of such folders (Prisma, Diesel, Hasura); a folder of `*.sql` (Flyway, Drizzle,
//! golang-migrate, sqlx, dbmate, goose, Supabase). Invariants: names are ordered as
//! numbers where they hold numbers; files that undo are left out and named; nothing else is left out in silence.
//! Left out: what the files hold.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::ui::hinted;

/// The file of a migration in a folder of its own: Prisma's, then Diesel's and Hasura's.
const MIGRATION_FILES: [&str; 2] = ["migration.sql", "up.sql"];

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it is; `-` is stdin.
    pub path: PathBuf,
    /// The migration's name.
    pub migration: String,
}

/// Finds the files that the paths name.
///
/// # Errors
/// A path that doesn't exist or holds no migration.
pub(super) fn find(paths: &[PathBuf], warnings: &mut Vec<String>) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            sources.push(Source { path: path.clone(), migration: "stdin".to_owned() });
        } else if path.is_dir() {
            sources.extend(folder(path, warnings)?);
        } else if path.exists() {
            sources.push(file(path));
        } else {
            return Err(missing(path));
        }
    }
    warn_of_order(&sources, warnings);
    Ok(sources)
}

fn missing(path: &Path) -> anyhow::Error {
    let error = anyhow!("{} doesn't exist", path.display());
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = |path: &Path| path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let wanted = stem(path);
    let near = entries(parent)
        .unwrap_or_default()
        .into_iter()
        .map(|entry| (strsim::jaro_winkler(&stem(&entry), &wanted), entry))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, entry)) => hinted(error, format!("there is {}", entry.display())),
        None => hinted(error, "give a .sql file, a folder of migrations, or - for stdin"),
    }
}

/// One file: `<timestamp>_<name>/migration.sql` is named by its folder.
fn file(path: &Path) -> Source {
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let folder =
        path.parent().map(name_of).filter(|name| !name.is_empty() && MIGRATION_FILES.contains(&name_of(path).as_str()));
    Source { path: path.to_owned(), migration: folder.unwrap_or(stem) }
}

fn folder(path: &Path, warnings: &mut Vec<String>) -> Result<Vec<Source>> {
    let entries = entries(path).with_context(|| format!("reading the folder {}", path.display()))?;
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|entry| entry.is_dir());
    let sql: Vec<PathBuf> = files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "sql")).collect();
    let is_migration = |f: &&PathBuf| MIGRATION_FILES.contains(&name_of(f).as_str());
    if let Some(own) = sql.iter().find(is_migration) {
        let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let others = sql.iter().filter(|f| *f != own && name_of(f) != "down.sql");
        skipped(path, others, &format!("beside {}", name_of(own)), warnings);
        return Ok(vec![Source { path: own.clone(), migration: name_of(&absolute) }]);
    }
    let (migrations, others): (Vec<PathBuf>, Vec<PathBuf>) =
        folders.into_iter().partition(|folder| own_file(folder).is_some());
    if !migrations.is_empty() {
        skipped(path, others.iter().chain(&sql), "without a migration.sql", warnings);
        return Ok(migrations.iter().filter_map(|folder| own_file(folder)).map(|own| file(&own)).collect());
    }
    let (undoing, forward): (Vec<PathBuf>, Vec<PathBuf>) = sql.iter().cloned().partition(|f| undoes(f, &sql));
    skipped(path, undoing.iter(), "that undo", warnings);
    if forward.is_empty() {
        let inner = others.iter().find(|folder| name_of(folder) == "migrations");
        let hint = match inner {
            Some(inner) => format!("did you mean {}?", inner.display()),
            None => "expected .sql files, or folders with a migration.sql".to_owned(),
        };
        return Err(hinted(anyhow!("{} holds no migration", path.display()), hint));
    }
    // Flyway's repeatable migrations run when all others have.
    let (last, first): (Vec<&PathBuf>, Vec<&PathBuf>) = forward.iter().partition(|f| is_flyway(f, 'R'));
    Ok(first.into_iter().chain(last).map(|f| file(f)).collect())
}

/// `V1_2__name.sql`, `U1__name.sql`, `R__name.sql`
fn is_flyway(path: &Path, letter: char) -> bool {
    let name = name_of(path);
    let Some((version, _)) = name.strip_prefix(letter).and_then(|rest| rest.split_once("__")) else { return false };
    version.is_empty() == (letter == 'R') && version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_')
}

/// The file of a migration that has a folder of its own.
fn own_file(folder: &Path) -> Option<PathBuf> {
    MIGRATION_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn skipped<'a>(folder: &Path, files: impl Iterator<Item = &'a PathBuf>, what: &str, warnings: &mut Vec<String>) {
    let names: Vec<String> = files.map(|f| name_of(f)).collect();
    if !names.is_empty() {
        warnings.push(format!("{}: left out {what}: {}", folder.display(), names.join(", ")));
    }
}

/// Does this file undo another?
fn undoes(path: &Path, files: &[PathBuf]) -> bool {
    const WORDS: [&str; 3] = ["down", "rollback", "undo"];
    let stem = |path: &Path| path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().to_lowercase());
    if is_flyway(path, 'U') && files.iter().any(|other| is_flyway(other, 'V')) {
        return true;
    }
    let own = stem(path);
    WORDS.iter().any(|word| {
        let Some(rest) = own.strip_suffix(word) else { return false };
        let Some(base) = rest.strip_suffix(['.', '_', '-']) else { return rest.is_empty() };
        // `add_rollback.sql` undoes only where there is something of its name to undo.
        rest.ends_with('.')
            || files.iter().any(|other| {
                let other = stem(other);
                other == base
                    || other.strip_prefix(base).and_then(|r| r.strip_prefix(['.', '_', '-'])).is_some_and(|r| r == "up")
            })
    })
}

/// What a folder holds, in order, without hidden entries.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = if folder == Path::new(".") { PathBuf::from(entry?.file_name()) } else { entry?.path() };
        if !name_of(&path).starts_with('.') {
            found.push(path);
        }
    }
    found.sort_by(|a, b| by_number(&name_of(a), &name_of(b)));
    Ok(found)
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Order of names in which 2_b comes before 10_a.
fn by_number(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let ((left_text, left_rest), (right_text, right_rest)) = (part(left), part(right));
        if left_text.is_empty() || right_text.is_empty() {
            return left_text.len().cmp(&right_text.len()).then_with(|| a.cmp(b));
        }
        let numbers = left_text[0].is_ascii_digit() && right_text[0].is_ascii_digit();
        let order = if numbers {
            let (l, r) = (significant(left_text), significant(right_text));
            l.len().cmp(&r.len()).then_with(|| l.cmp(r))
        } else {
            left_text.cmp(right_text)
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The leading run of digits or of anything else.
fn part(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let end = text.iter().position(|b| b.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// A number's digits without leading zeros.
fn significant(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}

/// Files run in the order given; where their names count down, that is likely not meant.
fn warn_of_order(sources: &[Source], warnings: &mut Vec<String>) {
    let number = |source: &Source| -> Option<String> {
        let name = source.migration.trim_start_matches(['V', 'v']);
        let digits = &name[..name.bytes().take_while(u8::is_ascii_digit).count()];
        (!digits.is_empty()).then(|| digits.to_owned())
    };
    for pair in sources.windows(2) {
        let names = (&pair[0].migration, &pair[1].migration);
        if pair[0].path == pair[1].path {
            warnings.push(format!("{} is given twice, so it runs twice", names.0));
        }
        let (Some(first), Some(second)) = (number(&pair[0]), number(&pair[1])) else { continue };
        let equal = significant(first.as_bytes()) == significant(second.as_bytes());
        if !equal && by_number(&first, &second) == Ordering::Greater {
            warnings.push(format!(
                "{} is given after {}, whose number is higher: they run in the order given",
                names.1, names.0
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names found for paths below a folder of these files, and the warnings.
    fn check(files: &[&str], paths: &[&str], names: &[&str], warnings: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("m");
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, "SELECT 1").expect("a file");
        }
        let paths: Vec<PathBuf> = paths.iter().map(|p| if *p == "." { root.clone() } else { root.join(p) }).collect();
        let mut said = Vec::new();
        let found = find(&paths, &mut said).map(|s| s.into_iter().map(|s| s.migration).collect::<Vec<_>>());
        let strip =
            |text: String| text.replace(&format!("{}/", root.display()), "").replace(&root.display().to_string(), "m");
        let found = found.unwrap_or_else(|error| vec![strip(error.to_string())]);
        assert_eq!(found, names, "{files:?}");
        assert_eq!(said.into_iter().map(strip).collect::<Vec<_>>(), warnings, "{files:?}");
    }

    #[test]
    fn prisma_folders_run_in_name_order() {
        check(
            &["2_b/migration.sql", "10_c/migration.sql", "1_a/migration.sql", "migration_lock.toml"],
            &["."],
            &["1_a", "2_b", "10_c"],
            &[],
        );
        check(
            &["1_a/migration.sql", "1_a/rollback.sql"],
            &["1_a"],
            &["1_a"],
            &["1_a: left out beside migration.sql: rollback.sql"],
        );
        check(
            &["1_a/migration.sql", "draft/note.txt"],
            &["."],
            &["1_a"],
            &["m: left out without a migration.sql: draft"],
        );
        check(&["1_a/migration.sql"], &["1_a/migration.sql"], &["1_a"], &[]);
        check(&["1_a/up.sql", "1_a/down.sql", "2_b/up.sql"], &["."], &["1_a", "2_b"], &[]);
    }

    #[test]
    fn plain_folders_leave_out_what_undoes() {
        check(
            &[
                "2_b.up.sql",
                "2_b.down.sql",
                "10_c.sql",
                "10_c_rollback.sql",
                "rollback.sql",
                "3_add_rollback.sql",
                ".x.sql",
            ],
            &["."],
            &["2_b.up", "3_add_rollback", "10_c"],
            &["m: left out that undo: 2_b.down.sql, 10_c_rollback.sql, rollback.sql"],
        );
    }

    #[test]
    fn flyways_files_are_known_by_their_letters() {
        check(
            &["V10__c.sql", "V2__b.sql", "V1.1__a.sql", "R__views.sql", "U2__b.sql"],
            &["."],
            &["V1.1__a", "V2__b", "V10__c", "R__views"],
            &["m: left out that undo: U2__b.sql"],
        );
    }

    #[test]
    fn other_tools_layouts_are_read() {
        check(&["0000_a.sql", "0001_b.sql", "meta/_journal.json"], &["."], &["0000_a", "0001_b"], &[]);
        check(
            &["1_a.up.sql", "1_a.down.sql", "2_b.up.sql", "2_b.down.sql"],
            &["."],
            &["1_a.up", "2_b.up"],
            &["m: left out that undo: 1_a.down.sql, 2_b.down.sql"],
        );
    }

    #[test]
    fn files_run_in_the_order_given_and_that_is_doubted() {
        check(&["a.sql", "b.sql"], &["b.sql", "a.sql"], &["b", "a"], &[]);
        check(
            &["10_a.sql", "2_b.sql"],
            &["10_a.sql", "2_b.sql"],
            &["10_a", "2_b"],
            &["2_b is given after 10_a, whose number is higher: they run in the order given"],
        );
        check(&["a.sql"], &["a.sql", "a.sql"], &["a", "a"], &["a is given twice, so it runs twice"]);
    }

    #[test]
    fn nothing_there_is_an_error() {
        check(&["a.sql"], &["b.sql"], &["b.sql doesn't exist"], &[]);
        check(&["a.txt"], &["."], &["m holds no migration"], &[]);
    }
}
