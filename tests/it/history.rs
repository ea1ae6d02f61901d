//! Whole histories from an empty database, through the real binary: the answer, a failure in the middle, and how long many files take.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::support::{json, rehearsal, transcript};

/// Writes migrations as Prisma lays them out.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, sql) in files {
        let migration = folder.join("migrations").join(name);
        fs::create_dir_all(&migration).expect("a folder");
        fs::write(migration.join("migration.sql"), sql).expect("a file");
    }
}

const SHOP: [(&str, &str); 4] = [
    (
        "1_init",
        "CREATE TYPE \"Role\" AS ENUM ('USER', 'ADMIN');\n\
         CREATE TABLE \"User\" (\n    \"id\" SERIAL NOT NULL,\n    \"email\" TEXT NOT NULL,\n    \"role\" \"Role\" NOT NULL DEFAULT 'USER',\n    CONSTRAINT \"User_pkey\" PRIMARY KEY (\"id\")\n);\n\
         CREATE UNIQUE INDEX \"User_email_key\" ON \"User\"(\"email\");\n",
    ),
    (
        "2_orders",
        "CREATE TABLE orders (id int PRIMARY KEY, owner int REFERENCES \"User\"(id) ON DELETE CASCADE, total numeric CHECK (total > 0));\n\
         INSERT INTO \"User\" (email) VALUES ('a'), ('b');\n",
    ),
    ("3_typo", "ALTER TABLE orders ADD COLUMN note text;\nUPDATE orders SET \"Note\" = '';\n"),
    ("4_later", "CREATE INDEX ON orders (owner);\n"),
];

#[test]
fn a_history_runs_through() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &SHOP[..2]);
    let report = json(folder.path(), &["dry-run", "migrations", "--on", "empty"], 0);
    assert!(report["snapshot"].is_null());
    assert_eq!(report["outcome"], "clean");
    let schema = &report["result"]["schema"];
    assert_eq!(schema["enums"][0]["labels"], serde_json::json!(["USER", "ADMIN"]));
    let table = &schema["tables"][0];
    assert_eq!(
        (table["name"].as_str(), table["made_by"].as_str()),
        (Some("\"User\""), Some("migrations/1_init/migration.sql:2"))
    );
    assert_eq!(table["columns"][2]["type"], "\"Role\"");
    let orders = &schema["tables"][1];
    let definitions: Vec<&str> = orders["constraints"]
        .as_array()
        .expect("constraints")
        .iter()
        .filter_map(|c| c["definition"].as_str())
        .collect();
    assert_eq!(
        definitions,
        ["FOREIGN KEY (owner) REFERENCES \"User\"(id) ON DELETE CASCADE", "PRIMARY KEY (id)", "CHECK (total > 0)",]
    );
}

#[test]
fn a_history_stops_where_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &SHOP);
    insta::assert_snapshot!(
        "history_stops",
        transcript(&rehearsal(folder.path(), &["dry-run", "migrations", "--on", "empty"]))
    );
    let github = rehearsal(folder.path(), &["dry-run", "migrations", "--on", "empty", "--format", "github"]);
    assert!(crate::support::stdout(&github).contains("file=migrations/3_typo/migration.sql,line=2"));
}

#[test]
fn a_file_that_cannot_be_read_stands_in_its_place() {
    let verdicts = |files: &[(&str, &str)]| -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), files);
        let run = rehearsal(folder.path(), &["dry-run", "migrations", "--on", "empty", "--format", "json"]);
        let report: serde_json::Value = serde_json::from_str(&crate::support::stdout(&run)).expect("a report");
        let statements = report["result"]["statements"].as_array().expect("statements").clone();
        let line = |s: &serde_json::Value| {
            let why = s["error"]["sqlstate"].as_str().or_else(|| s["unsupported"]["what"].as_str()).unwrap_or("");
            format!("{}:{} {} {why}", s["line"], s["column"], s["verdict"].as_str().unwrap_or("")).trim().to_owned()
        };
        statements.iter().map(line).collect()
    };
    assert_eq!(
        verdicts(&[("1", "CREATE TABLE t (a int);"), ("2", "DROP TABLE t;\nSELEC 1;\n"), ("3", "SELECT 1;")]),
        ["1:1 executed", "2:1 failed 42601", "1:1 not-reached"]
    );
    assert_eq!(
        verdicts(&[("1", "\\restrict x\nCREATE TABLE t (a int);\n\\unrestrict x\n"), ("2", "SELECT 1;")]),
        ["2:1 executed", "1:1 executed"]
    );
    assert_eq!(
        verdicts(&[("1", "CREATE TABLE t (a int);\n-- data\n\\copy t FROM 'f'\nSELECT 1;"), ("2", "SELECT 1;")]),
        ["1:1 executed", "3:1 unsupported \\copy, a command of psql,", "4:1 executed", "1:1 executed"]
    );
    assert_eq!(
        verdicts(&[("1", "SELECT 'DROP TABLE t' \\gexec\n"), ("2", "SELECT :id;"), ("3", "SELECT 1;")]),
        [
            "1:23 unsupported a statement that psql ends with \\gexec",
            "1:1 unsupported a variable of psql",
            "1:1 executed"
        ]
    );
}

/// A history in which tables come, grow, are linked, renamed and filled: about six statements a file.
fn long_history(files: usize) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for n in 0..files {
        let mut sql = String::new();
        match n % 4 {
            0 => {
                let parent = if n == 0 { String::new() } else { format!(", parent int REFERENCES item_{}(id)", n - 4) };
                write!(
                    sql,
                    "CREATE TYPE state_{n} AS ENUM ('new', 'done');\n\
                     CREATE TABLE item_{n} (id serial PRIMARY KEY, name text NOT NULL, state state_{n} NOT NULL DEFAULT 'new'{parent});\n\
                     CREATE TABLE note_{n} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), item int NOT NULL, body jsonb);\n\
                     ALTER TABLE note_{n} ADD CONSTRAINT note_{n}_item_fkey FOREIGN KEY (item) REFERENCES item_{n}(id) ON DELETE CASCADE ON UPDATE CASCADE;\n\
                     CREATE UNIQUE INDEX item_{n}_name_key ON item_{n}(name);\n\
                     CREATE INDEX note_{n}_item_idx ON note_{n}(item);\n"
                )
            }
            1 => {
                let n = n - 1;
                write!(
                    sql,
                    "ALTER TABLE item_{n} ADD COLUMN created timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD COLUMN price numeric(10,2);\n\
                     ALTER TABLE note_{n} ADD COLUMN author text, ADD COLUMN seen boolean NOT NULL DEFAULT false;\n\
                     ALTER TABLE item_{n} ALTER COLUMN price SET DEFAULT 0;\n\
                     ALTER TABLE item_{n} ADD CONSTRAINT item_{n}_price_check CHECK (price >= 0);\n\
                     CREATE INDEX item_{n}_created_idx ON item_{n}(created DESC) WHERE price > 0;\n\
                     UPDATE item_{n} SET price = 1 WHERE price IS NULL;\n"
                )
            }
            2 => {
                let n = n - 2;
                write!(
                    sql,
                    "ALTER TYPE state_{n} ADD VALUE 'gone';\n\
                     ALTER TABLE item_{n} RENAME COLUMN name TO title;\n\
                     ALTER TABLE note_{n} DROP COLUMN author;\n\
                     ALTER TABLE note_{n} ALTER COLUMN body SET NOT NULL;\n\
                     DROP INDEX note_{n}_item_idx;\n\
                     ALTER TABLE item_{n} ALTER COLUMN title SET DATA TYPE varchar(80);\n"
                )
            }
            _ => {
                let n = n - 3;
                write!(
                    sql,
                    "INSERT INTO item_{n} (title, price) VALUES ('first', 2.5), ('second', 3);\n\
                     UPDATE item_{n} SET state = 'done' WHERE title = 'first';\n\
                     CREATE VIEW done_{n} AS SELECT id, title FROM item_{n} WHERE state = 'done';\n\
                     ALTER TABLE note_{n} RENAME TO remark_{n};\n\
                     COMMENT ON TABLE item_{n} IS 'what is sold';\n\
                     CREATE TABLE tag_{n} (item int REFERENCES item_{n} ON DELETE SET NULL, tag varchar(30) NOT NULL, UNIQUE (item, tag));\n"
                )
            }
        }
        .expect("text");
        all.push((format!("{n:04}_step"), sql));
    }
    all
}

#[test]
fn four_hundred_files_are_soon_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = long_history(400);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
    write(folder.path(), &files);
    let begun = Instant::now();
    let report = json(folder.path(), &["dry-run", "migrations", "--on", "empty"], 0);
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(report["result"]["files"].as_array().expect("files").len(), 400);
    assert_eq!(report["result"]["statements"].as_array().expect("statements").len(), 2400);
    assert_eq!(report["result"]["schema"]["tables"].as_array().expect("tables").len(), 300);
    assert!(report["findings"].as_array().expect("findings").is_empty());
    // The bound leaves room for a machine that does other things meanwhile.
    assert!(seconds < 60.0, "{seconds:.1} s");
}
